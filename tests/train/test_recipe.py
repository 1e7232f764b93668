"""How weights were made, as it stands in their metadata."""

from __future__ import annotations

import tracemalloc

from train.recipe import runs_of


def test_a_recipe_of_many_runs_takes_memory_in_proportion() -> None:
    runs = [{"task": "fit", "steps_done": 1, "seed": seed} for seed in range(2000)]
    tracemalloc.start()
    try:
        assert runs_of([*runs, {"task": "average", "steps_done": 0, "of": [[], []]}]) == runs
        assert tracemalloc.get_traced_memory()[1] < 2000 * 2000  # 2 kB a run; the way to the last is 100 kB long
    finally:
        tracemalloc.stop()
