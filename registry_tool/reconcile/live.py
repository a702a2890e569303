"""Live state: a small file that tells, while a reconciliation runs, which builds wait and run, and how far they are.

It is written for people who watch. Nothing reads it to decide anything; losing it loses nothing. A file whose process
is gone is ignored, and removed by the next reconciliation.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import ValidationError

from registry_tool.builders.interface import Builder, BuildOrder, BuiltRelease, Check
from registry_tool.domain.live import LIVE_FOLDER, LiveBuild, LiveRun, LiveTask
from registry_tool.domain.plan import Plan
from registry_tool.domain.progress import Progress
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.outcomes import ActionOutcome
from registry_tool.reconcile.redaction import redact
from registry_tool.repository.holder import host_id, process_start

if TYPE_CHECKING:
    from registry_tool.oci.store import ImageStore
    from registry_tool.storage.storage import Storage

WRITE_INTERVAL = timedelta(milliseconds=250)
"""Bytes that move are told this often; beginnings and ends at once."""
FOREIGN_LIFE = timedelta(minutes=1)
"""How long a file counts whose process belongs to another machine or container, and cannot be asked after."""
LOG_LINES = 200
LINE_LIMIT = 2000


@dataclass
class _Build:
    """What is known of one build by now."""

    shown: LiveBuild
    tasks: dict[str, LiveTask] = field(default_factory=dict)
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))

    def seen(self) -> LiveBuild:
        return self.shown.model_copy(
            update={"tasks": tuple(self.tasks.values()), "log": tuple(self.log)}
        )


class LiveReport:
    """Keeps the file of one reconciliation while the context lasts. Calls may come from several threads.

    A disk that cannot be written to is no reason to stop building: the file is then not kept.
    """

    def __init__(self, state_dir: Path, now: Callable[[], datetime]) -> None:
        self._folder = state_dir / LIVE_FOLDER
        self._path = self._folder / f"{os.getpid()}.json"
        self._now = now
        self._lock = threading.Lock()
        self._builds: dict[str, _Build] = {}
        self._head = ""
        self._written: datetime | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            if self._written is not None:
                with suppress(OSError):
                    self._path.unlink(missing_ok=True)

    def watch(self, effects: Effects) -> Effects:
        """The same effects, with builders that tell what they do."""
        builders: Mapping[str, Builder] = {
            name: _WatchedBuilder(builder, self) for name, builder in effects.builders.items()
        }
        return replace(effects, builders=builders)

    def planned(self, plan: Plan) -> None:
        """The builds of a plan wait now."""
        with self._lock:
            self._head = plan.head
            self._builds = {
                action.subject: _Build(
                    LiveBuild(subject=action.subject, key=action.key, reason=action.reason)
                )
                for action in plan.actions
                if action.kind == "build"
            }
            if self._builds:
                self._remove_stale()
                self._write()

    def ended(self, outcome: ActionOutcome) -> None:
        """An action ended, well or not."""
        if outcome.action.kind == "build":
            change = {
                "state": "ended",
                "outcome": outcome.outcome.value,
                "detail": redact(outcome.detail),
            }
            self._change(outcome.action.subject, change)

    def began(self, subject: str) -> None:
        """A build runs now; again when it is retried."""
        self._change(subject, {"state": "running", "started_at": self._now()})

    def _change(self, subject: str, update: Mapping[str, object]) -> None:
        with self._lock:
            build = self._builds.get(subject)
            if build is not None:
                build.shown = build.shown.model_copy(update=dict(update))
                build.tasks.clear()
                self._write()

    def task(self, subject: str, name: str, task: LiveTask | None) -> None:
        """A task of a build began, or with None ended."""
        with self._lock:
            build = self._builds.get(subject)
            if build is None:
                return
            if task is None:
                build.tasks.pop(name, None)
            else:
                build.tasks[name] = task
            self._write()

    def advance(self, subject: str, name: str, count: int) -> None:
        """More bytes of a task are done."""
        with self._lock:
            build = self._builds.get(subject)
            task = build.tasks.get(name) if build else None
            if build is None or task is None:
                return
            build.tasks[name] = task.model_copy(update={"done": task.done + count})
            if self._written is None or self._now() - self._written >= WRITE_INTERVAL:
                self._write()

    def line(self, subject: str, text: str) -> None:
        """A line of a build's log."""
        with self._lock:
            build = self._builds.get(subject)
            if build is not None:
                build.log.append(redact(text)[:LINE_LIMIT])
                self._write()

    def _remove_stale(self) -> None:
        """Remove what killed processes left."""
        now = self._now()
        for path in self._folder.glob("*"):
            run = _read(path)
            if run is None or not _lives(run, now):
                with suppress(OSError):
                    path.unlink()

    def _write(self) -> None:
        """Replace the file at once, so that no reader sees half of it."""
        self._written = self._now()
        pid = os.getpid()
        run = LiveRun(
            host=host_id(),
            pid=pid,
            started=process_start(pid) or "",
            head=self._head,
            updated_at=self._written,
            builds=tuple(build.seen() for build in self._builds.values()),
        )
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                file.write(run.model_dump_json().encode())
            Path(file.name).replace(self._path)


class _WatchedBuilder:
    """A builder whose beginnings, progress and messages are told."""

    def __init__(self, builder: Builder, report: LiveReport) -> None:
        self._builder = builder
        self._report = report

    @property
    def name(self) -> str:
        return self._builder.name

    @property
    def version(self) -> int:
        return self._builder.version

    def build(
        self,
        order: BuildOrder,
        store: ImageStore,
        storage: Storage,
        progress: Progress,
        check: Check,
    ) -> BuiltRelease:
        subject = order.release.subject
        self._report.began(subject)
        watched = _WatchedProgress(progress, self._report, subject)
        return self._builder.build(order, store, storage, watched, check)


class _WatchedProgress:
    """Passes the progress of one build on, and tells it."""

    def __init__(self, progress: Progress, report: LiveReport, subject: str) -> None:
        self._progress = progress
        self._report = report
        self._subject = subject

    def start(self, task: str, description: str, total: int | None = None) -> None:
        self._progress.start(task, description, total)
        self._report.task(self._subject, task, LiveTask(description=description, total=total))

    def advance(self, task: str, count: int) -> None:
        self._progress.advance(task, count)
        self._report.advance(self._subject, task, count)

    def finish(self, task: str) -> None:
        self._progress.finish(task)
        self._report.task(self._subject, task, None)

    def message(self, text: str) -> None:
        self._progress.message(text)
        self._report.line(self._subject, text)


def read_live(state_dir: Path, now: datetime) -> tuple[LiveRun, ...]:
    """What runs now, by the files whose process still lives."""
    found = [_read(path) for path in sorted((state_dir / LIVE_FOLDER).glob("*.json"))]
    return tuple(run for run in found if run is not None and _lives(run, now))


def _read(path: Path) -> LiveRun | None:
    try:
        return LiveRun.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        # Just removed, or of a form that this version does not know.
        return None


def _lives(run: LiveRun, now: datetime) -> bool:
    if run.host != host_id() or not run.host:
        return now - run.updated_at < FOREIGN_LIFE
    return process_start(run.pid) == run.started
