"""What is tried again, how often, and what is not."""

from __future__ import annotations

import pytest

from registry_tool.domain.progress import Silent
from registry_tool.errors import BuildFailed, EnvironmentProblem, StorageProblem
from registry_tool.reconcile.failing import DELAYS, with_retries


class Flaky:
    """Fails a number of times, then answers."""

    def __init__(self, failures: int, problem: Exception) -> None:
        self.calls = 0
        self._failures = failures
        self._problem = problem

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._problem
        return "answer"


def attempt(flaky: Flaky, slept: list[float]) -> str:
    return with_retries(flaky, what="it", sleep=slept.append, progress=Silent())


def test_a_transient_problem_is_tried_again_with_back_off() -> None:
    flaky, slept = Flaky(2, StorageProblem("reset", transient=True)), []
    assert attempt(flaky, slept) == "answer"
    assert slept == list(DELAYS[:2])


def test_giving_up_raises_the_last_problem() -> None:
    flaky, slept = Flaky(99, StorageProblem("reset", transient=True)), []
    with pytest.raises(EnvironmentProblem, match="reset"):
        attempt(flaky, slept)
    assert flaky.calls == len(DELAYS) + 1


@pytest.mark.parametrize("problem", [StorageProblem("no such folder"), BuildFailed("wrong")])
def test_what_will_not_pass_is_not_tried_again(problem: Exception) -> None:
    flaky, slept = Flaky(1, problem), []
    with pytest.raises(type(problem)):
        attempt(flaky, slept)
    assert (flaky.calls, slept) == (1, [])
