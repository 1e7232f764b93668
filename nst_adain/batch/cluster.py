"""Has Ray call a function on many items, on one machine or on a cluster."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["Item", "call_on_ray"]

Item = Mapping[str, Any]  # of strings, numbers and bytes: all items have the same names
_BLOCKS = 4096  # tasks of Ray's at most: each costs its scheduler some milliseconds


def call_on_ray(
    items: Sequence[Item],
    load: Callable[[int], Callable[[Item], Item]],
    *,
    gpus: bool = True,
    workers: int | None = None,
    address: str | None = None,
) -> Iterator[Item]:
    """Yield what a function returns for each item, in any order; Ray calls it again for items whose worker ended.

    Args:
        items: what to call it on, once for each, unless a worker ends.
        load: makes the function, once in each worker, which has as many of the processor's cores as it is called with.
        gpus: whether a worker is to have a GPU, if there are any.
        workers: how many there are; None: one for each GPU, or for each machine.
        address: of a cluster; None: this machine, or the cluster that `ray.init` joined.
    """
    with _ray(address) as ray:
        count, cores, needs = _resources(ray, gpus, workers)
        # No read operator: workers that take all cores would leave none for it, and Ray waits half an hour before it fails.
        data = ray.data.from_items(list(items), override_num_blocks=min(len(items), _BLOCKS)).map_batches(
            _Worker,
            batch_size=1,
            fn_constructor_args=(load, cores),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=count, initial_size=count),
            **needs,
        )
        yield from data.iter_rows()


class _Worker:
    """Holds the function in a process of Ray's."""

    def __init__(self, load: Callable[[int], Callable[[Item], Item]], cores: int) -> None:
        self.function = load(cores)

    def __call__(self, batch: Item) -> dict[str, list[Any]]:
        results = [self.function(dict(zip(batch, values))) for values in zip(*batch.values())]
        return {name: [result[name] for result in results] for name in results[0]}


@contextlib.contextmanager
def _ray(address: str | None) -> Iterator[Any]:
    """Start Ray here, or join a cluster; leave one alone that this process has joined already."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it logs errors of its own Ray Data's making
    import ray
    import ray.data

    own = not ray.is_initialized()
    if own:
        here: dict[str, Any] = {} if address else {"include_dashboard": False}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        if own:
            ray.shutdown()


def _resources(ray: Any, gpus: bool, workers: int | None) -> tuple[int, int, dict[str, float]]:
    """Return the number of workers, the cores of each, and what each asks Ray for: in all, no more than there is."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    found = int(sum(node.get("GPU", 0) for node in nodes)) if gpus else 0
    cpus = sum(node.get("CPU", 0) for node in nodes)
    if found:
        count = workers or found
        return count, max(1, int(cpus // count)), {"num_gpus": min(1.0, found / count), "num_cpus": min(1.0, cpus / count)}
    count = workers or len(nodes)
    share = min(cpus / count, max(node.get("CPU", 0) for node in nodes))
    return count, max(1, int(share)), {"num_cpus": int(share) if share >= 1 else int(share * 100) / 100}
