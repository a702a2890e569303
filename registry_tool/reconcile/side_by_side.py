"""Chains of work, carried out side by side in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


def side_by_side(
    chains: Sequence[Sequence[Work]],
    attempt: Callable[[Work], Result],
    *,
    jobs: int,
    name: str,
    abandoned: threading.Event,
) -> Iterator[Result]:
    """Results as they come; the parts of a chain one after the other.

    An exception of an attempt is raised here. Then, and when nobody waits for results any more (as after Ctrl-C),
    `abandoned` is set, for attempts to look at: this ends after those that run have ended.
    """
    results: Queue[Result | BaseException] = Queue()

    def follow(chain: Sequence[Work]) -> None:
        try:
            for work in chain:
                results.put(attempt(work))
        except BaseException as caught:
            results.put(caught)

    with ThreadPoolExecutor(max_workers=jobs, thread_name_prefix=name) as pool:
        running = [pool.submit(follow, chain) for chain in chains]
        try:
            for _ in range(sum(map(len, chains))):
                result = results.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        except BaseException:
            abandoned.set()
            for each in running:
                each.cancel()
            raise
