"""Progress on stderr: live bars on a terminal, plain lines elsewhere, nothing with -q."""

from __future__ import annotations

import atexit
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from registry_tool.cli.formats.layout import human_bytes, printable
from registry_tool.domain.progress import Silent

if TYPE_CHECKING:
    from rich.progress import TaskID

    from registry_tool.domain.progress import Progress

LINE_INTERVAL = 10.0
"""Seconds between lines about one long task when there is no terminal."""


def for_terminal(verbosity: int, stream: TextIO | None = None) -> Progress:
    """The observer for this run: silent below 0, bars when `stream` is a terminal, else lines."""
    if verbosity < 0:
        return Silent()
    stream = stream if stream is not None else sys.stderr
    return Bars(stream) if stream.isatty() else Lines(stream)


@dataclass
class _Task:
    description: str
    total: int | None
    started: float
    told: float
    done: int = 0


class Lines:
    """One line when a task starts and ends, and one every ten seconds in between."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._tasks: dict[str, _Task] = {}

    def start(self, task: str, description: str, total: int | None = None) -> None:
        now = self._clock()
        size = f" ({human_bytes(total)})" if total is not None else ""
        with self._lock:
            self._tasks[task] = _Task(description, total, now, now)
            self._write(f"{description}{size}")

    def advance(self, task: str, count: int) -> None:
        with self._lock:
            known = self._tasks.get(task)
            if known is None:
                return
            known.done += count
            now = self._clock()
            if now - known.told >= LINE_INTERVAL:
                known.told = now
                self._write(f"{known.description}: {_so_far(known, now)}")

    def finish(self, task: str) -> None:
        with self._lock:
            known = self._tasks.pop(task, None)
            if known is not None:
                self._write(f"{known.description}: ended{_in_all(known, self._clock())}")

    def message(self, text: str) -> None:
        with self._lock:
            self._write(text)

    def _write(self, text: str) -> None:
        self._stream.write(printable(text) + "\n")
        self._stream.flush()


def _so_far(task: _Task, now: float) -> str:
    speed = task.done / max(now - task.started, 1e-9)
    text = human_bytes(task.done)
    if task.total is None:
        return f"{text}, {human_bytes(int(speed))}/s"
    text = f"{text} of {human_bytes(task.total)}, {human_bytes(int(speed))}/s"
    left = (task.total - task.done) / speed if speed else 0.0
    return f"{text}, {_clock_text(left)} left" if left > 0 else text


def _in_all(task: _Task, now: float) -> str:
    if not task.done:
        return ""
    seconds = max(now - task.started, 1e-9)
    speed = human_bytes(int(task.done / seconds))
    took = f"{seconds:.1f} s" if seconds < 60 else _clock_text(seconds)
    return f", {human_bytes(task.done)} in {took}, {speed}/s"


def _clock_text(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Bars:
    """Live bars with bytes, speed and time left; they disappear when their task ends."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream, highlight=False, markup=False, emoji=False),
            transient=True,
        )
        # An interrupted command must not leave the terminal without its cursor.
        atexit.register(self._progress.stop)

    def start(self, task: str, description: str, total: int | None = None) -> None:
        with self._lock:
            if not self._tasks:
                self._progress.start()
            elif task in self._tasks:
                self._progress.remove_task(self._tasks[task])
            self._tasks[task] = self._progress.add_task(printable(description), total=total)

    def advance(self, task: str, count: int) -> None:
        with self._lock:
            if task in self._tasks:
                self._progress.advance(self._tasks[task], count)

    def finish(self, task: str) -> None:
        with self._lock:
            known = self._tasks.pop(task, None)
            if known is not None:
                self._progress.remove_task(known)
            if not self._tasks:
                self._progress.stop()

    def message(self, text: str) -> None:
        with self._lock:
            self._progress.console.print(printable(text))
