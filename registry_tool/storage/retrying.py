"""Trying again what a server could not do just now."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from registry_tool.errors import StorageProblem

T = TypeVar("T")

DELAYS = (0.3, 1.5, 5.0)
"""Seconds before each further try, on average: readers that were throttled together come back apart."""


def retrying(attempt: Callable[[], T], stop: threading.Event | None = None) -> T:
    """The result of `attempt`, tried again while it raises a transient StorageProblem.

    The last problem passes unchanged, as does everything else; setting `stop` ends the waiting.
    """
    stop = stop or threading.Event()
    for delay in DELAYS:
        try:
            return attempt()
        except StorageProblem as problem:
            # Jitter needs no cryptography.
            if not problem.transient or stop.wait(delay * random.uniform(0.5, 1.5)):  # noqa: S311
                raise
    return attempt()
