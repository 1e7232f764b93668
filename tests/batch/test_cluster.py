"""A function that Ray calls on items: on all of them, also if its workers are killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from nst_adain.batch.cluster import Item, _resources, call_on_ray

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("ray_here")]  # Ray's warnings


class _Load:
    """Makes the function in a worker; Ray sends it by value, as its workers do not have this file."""

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def __call__(self, cores: int) -> Any:
        def call(item: Item) -> Item:
            if self.folder and not os.path.exists(f"{self.folder}/killed-{item['n']}") and item["n"] in (3, 7):
                Path(f"{self.folder}/killed-{item['n']}").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return {"twice": 2 * item["n"], "bytes": bytes(item["bytes"]), "cores": cores, "process": os.getpid()}

        return call


@pytest.fixture(autouse=True)
def _by_value() -> Any:
    import sys

    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


ITEMS = [{"n": n, "bytes": b"\0a\0" * n} for n in range(12)]


def test_each_item_gets_a_result() -> None:
    results = list(call_on_ray(ITEMS, _Load(), workers=2))
    assert sorted(result["twice"] for result in results) == list(range(0, 24, 2))
    assert sorted(map(len, (result["bytes"] for result in results))) == list(range(0, 36, 3))
    assert {result["cores"] for result in results} == {1}


@pytest.mark.slow
def test_a_worker_that_is_killed_twice_loses_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    results = list(call_on_ray(ITEMS, _Load(str(tmp_path)), workers=2))
    assert sorted(result["twice"] for result in results) == list(range(0, 24, 2))
    assert len(list(tmp_path.iterdir())) == 2
    assert time.monotonic() - began < 120


@pytest.mark.parametrize(
    ("nodes", "gpus", "workers", "expected"),
    [
        ([{"CPU": 8.0}], True, None, (1, 8, {"num_cpus": 8})),
        ([{"CPU": 2.0}], True, 2, (2, 1, {"num_cpus": 1})),
        ([{"CPU": 2.0}], True, 3, (3, 1, {"num_cpus": 0.66})),
        ([{"CPU": 16.0}, {"CPU": 4.0}], True, None, (2, 10, {"num_cpus": 10})),
        ([{"CPU": 16.0, "GPU": 2.0}], True, None, (2, 8, {"num_gpus": 1.0, "num_cpus": 1.0})),
        ([{"CPU": 16.0, "GPU": 2.0}], True, 4, (4, 4, {"num_gpus": 0.5, "num_cpus": 1.0})),
        ([{"CPU": 16.0, "GPU": 2.0}], False, 2, (2, 8, {"num_cpus": 8})),
    ],
)
def test_workers_ask_for_no_more_than_there_is(nodes: Any, gpus: bool, workers: int | None, expected: Any) -> None:
    class Ray:
        @staticmethod
        def nodes() -> list[dict[str, Any]]:
            return [{"Alive": True, "Resources": node} for node in nodes] + [{"Alive": False, "Resources": {"CPU": 99.0}}]

    assert _resources(Ray, gpus, workers) == expected


@pytest.mark.slow
def test_what_the_scheduler_costs() -> None:
    """Of 100,000 keys in shards of 100, which take no time themselves: time per key, and the driver's memory."""
    import psutil

    def measure(count: int) -> tuple[float, int]:
        entries = b"\0".join(b"-n01440764/n01440764_10026.JPEG" for _ in range(100))
        items = [{"n": n, "bytes": entries} for n in range(count // 100)]
        began, results = 0.0, 0
        for _ in call_on_ray(items, _Load(), workers=2):
            began = began or time.monotonic()  # the first: workers have started
            results += 1
        assert results == len(items)
        return time.monotonic() - began, psutil.Process().memory_info().rss

    measure(1000)
    (_, few), (seconds, many) = measure(10_000), measure(100_000)
    print(f"{seconds / 100_000 * 1e6:.0f} us a key, {(many - few) / 2**20:.0f} MiB more for 10 times as many")
    assert seconds < 100
    assert many - few < 100 * 2**20
