"""Patience: how long to wait before the next try, and when to stop."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from registry_tool.errors import StoreProblem

FIRST_DELAY = 0.25
LONGEST_DELAY = 60.0
TRIES = 5
"""Tries without any progress; a caller with more time tries the whole build again."""


class Broken(Exception):
    """A try that failed in a way that may pass: `problem` is what it means if it does not.

    `at_once` where waiting is pointless, as after a new token.
    """

    def __init__(
        self, problem: StoreProblem, *, after: float | None = None, at_once: bool = False
    ) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.after = after
        self.at_once = at_once


@dataclass
class Patience:
    """Counts failed tries and waits between them: twice as long each time, and never in step."""

    sleep: Callable[[float], None]
    tries: int = TRIES
    _failed: int = field(default=0, init=False)

    def wait(self, broken: Broken) -> None:
        """Wait before the next try, or raise the problem when there were enough."""
        self._failed += 1
        if self._failed >= self.tries:
            raise broken.problem from broken
        if broken.at_once:
            return
        longest = min(FIRST_DELAY * 2**self._failed, LONGEST_DELAY)
        # Not for secrecy: clients that were refused together shall not come back together.
        delay = longest * random.uniform(0.5, 1.0)  # noqa: S311
        if broken.after is not None:
            delay = min(max(delay, broken.after), LONGEST_DELAY)
        self.sleep(delay)

    def progressed(self) -> None:
        """Something got further than ever before: start counting anew."""
        self._failed = 0


def retry_after(headers: dict[str, str]) -> float | None:
    """Seconds that a server asks to wait; dates are taken as "soon"."""
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() else None
