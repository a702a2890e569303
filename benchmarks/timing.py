"""Whole-process times, in turn, and their medians."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """Seconds of several runs of one command."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The number to quote."""
        return statistics.median(self.seconds)


def run(command: Sequence[str], cwd: Path) -> None:
    """Run one command to its end; raises CalledProcessError with its output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command[:4])} … exited {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def in_turn(
    sides: Sequence[tuple[str, Callable[[], None], Callable[[], None]]], rounds: int
) -> list[Measured]:
    """Time every side once a round, A B A B …, so that a change of the machine's speed touches all alike.

    A side is its name, what prepares a round (not timed) and what is timed.
    """
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in sides}
    for _ in range(rounds):
        for name, prepare, timed in sides:
            prepare()
            start = time.perf_counter()
            timed()
            seconds[name].append(time.perf_counter() - start)
    return [Measured(name, tuple(values)) for name, values in seconds.items()]
