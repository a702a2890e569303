"""Long calls that cannot look up from their work, watched from outside."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from registry_tool.builders.interface import Check
from registry_tool.errors import EnvironmentProblem

T = TypeVar("T")
_INTERVAL = 0.5
_GRACE = 10.0
"""Seconds that abandoned work gets to end; an engine that hangs must not keep the process."""


class _Work(Generic[T]):
    """A call in a thread, and what became of it."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._result: list[T] = []
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as problem:
            self._problem = problem

    def ended(self, seconds: float) -> bool:
        """Whether it has ended, after waiting that long at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> T:
        """What the call returned, or raise what it raised."""
        if self._problem is not None:
            raise self._problem
        return self._result[0]


def supervised(call: Callable[[], T], check: Check, abandon: Callable[[], None]) -> T:
    """The result of `call`, which runs in a thread of its own while `check` is called twice a second.

    When `check` raises, `abandon` is asked to end the call, and what `check` raised is raised here. So is an interrupt.
    """
    work = _Work(call)
    try:
        while not work.ended(_INTERVAL):
            check()
    except BaseException:
        # Why the engine cannot be told does not matter to somebody who wants the build to end.
        with suppress(EnvironmentProblem):
            abandon()
        work.ended(_GRACE)
        raise
    return work.result()
