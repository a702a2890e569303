"""Trying again: back-off for what may pass, and nothing for what will not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from registry_tool.domain.progress import Progress
from registry_tool.errors import EnvironmentProblem

T = TypeVar("T")
DELAYS = (1.0, 3.0, 9.0)
"""Seconds before each further try."""


def with_retries(
    attempt: Callable[[], T], *, what: str, sleep: Callable[[float], None], progress: Progress
) -> T:
    """The result of `attempt`, tried again while it raises a transient EnvironmentProblem.

    The last problem is raised unchanged; everything else passes through at once.
    """
    for delay in DELAYS:
        try:
            return attempt()
        except EnvironmentProblem as problem:
            if not problem.transient:
                raise
            progress.message(f"{what}: {problem.message}; trying again in {delay:g} s")
            sleep(delay)
    return attempt()
