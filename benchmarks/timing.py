"""Whole-process times, in turn, and their medians."""

from __future__ import annotations

import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measured:
    """Seconds of several runs of one command, and of the processors meanwhile."""

    name: str
    seconds: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def median(self) -> float:
        """The number to quote."""
        return statistics.median(self.seconds)

    @property
    def median_cpu(self) -> float:
        """User and system time: what others do on the machine changes it little."""
        return statistics.median(self.cpu)


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
    cpu: dict[str, list[float]] = {name: [] for name, _, _ in sides}
    for _ in range(rounds):
        for name, prepare, timed in sides:
            prepare()
            start, busy = time.perf_counter(), _children()
            timed()
            seconds[name].append(time.perf_counter() - start)
            cpu[name].append(_children() - busy)
    return [Measured(name, tuple(seconds[name]), tuple(cpu[name])) for name, _, _ in sides]


def _children() -> float:
    """Processor seconds of all processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
