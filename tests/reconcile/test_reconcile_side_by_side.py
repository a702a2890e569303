"""Chains of work in threads, and how they end before their time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from registry_tool.reconcile.side_by_side import side_by_side


def run(
    chains: list[list[int]], attempt: Callable[[int], int], abandoned: threading.Event
) -> Iterator[int]:
    return side_by_side(chains, attempt, jobs=2, name="test", abandoned=abandoned)


def test_chains_keep_their_order_and_all_results_come() -> None:
    abandoned = threading.Event()
    found = list(run([[1, 2, 3], [10, 20]], lambda number: number + 1, abandoned))
    assert [number for number in found if number < 10] == [2, 3, 4]
    assert [number for number in found if number > 10] == [11, 21]
    assert not abandoned.is_set()
    assert list(run([], lambda number: number, abandoned)) == []


def test_an_exception_is_raised_and_abandons_the_rest() -> None:
    abandoned = threading.Event()

    def attempt(number: int) -> int:
        if number == 1:
            raise LookupError("one")
        abandoned.wait(60)
        return number

    with pytest.raises(LookupError, match="one"):
        list(run([[1], [2], [3]], attempt, abandoned))
    assert abandoned.is_set()


def test_whoever_does_not_wait_any_more_abandons_what_runs() -> None:
    abandoned, ended = threading.Event(), []

    def attempt(number: int) -> int:
        if number > 1:
            abandoned.wait(60)
            ended.append(abandoned.is_set())
        return number

    results = run([[1, 2]], attempt, abandoned)
    assert next(results) == 1
    results.close()
    assert ended == [True]
