"""Live state: what a reconciler does at this moment. It hints at what will be recorded and is never the truth."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from registry_tool.domain.digests import Sha256
from registry_tool.domain.frozen import Frozen

LIVE_FOLDER = "live"
"""Below the state directory: one file for each reconciler that runs."""

Count = Annotated[int, Field(ge=0)]


class LiveTask(Frozen):
    """Bytes on their way."""

    description: str
    """For people."""
    done: Count = 0
    """Bytes so far."""
    total: Count | None = None
    """Bytes in all, when known."""

    @property
    def percent(self) -> int | None:
        """How much is done; None while the total is not known."""
        return min(100, self.done * 100 // self.total) if self.total else None


class LiveBuild(Frozen):
    """A build of a plan that is carried out."""

    subject: str
    """The release."""
    key: Sha256
    """The build key."""
    reason: str = ""
    """Why it is built."""
    state: Literal["queued", "running", "ended"] = "queued"
    """``ended`` until its record is visible."""
    outcome: str | None = None
    """How it ended."""
    detail: str = ""
    """How it ended, in a line."""
    started_at: AwareDatetime | None = None
    """When it began to run."""
    tasks: tuple[LiveTask, ...] = ()
    """What moves now."""
    log: tuple[str, ...] = ()
    """The last lines."""

    @property
    def active(self) -> bool:
        """Whether it still waits or runs."""
        return self.state != "ended"


class LiveRun(Frozen):
    """One reconciliation."""

    format_version: Literal[1] = 1
    host: str
    """The boot and process numbering that `pid` belongs to."""
    pid: int
    """The reconciler's process."""
    started: str
    """When that process began, as the system tells it."""
    head: str
    """The commit that is reconciled."""
    updated_at: AwareDatetime
    """When this was written."""
    builds: tuple[LiveBuild, ...] = ()
    """In the order of the plan."""


def active_builds(runs: tuple[LiveRun, ...]) -> tuple[LiveBuild, ...]:
    """Builds that run or wait, the running ones first, the oldest before newer ones."""
    found = [build for run in runs for build in run.builds if build.active]
    return tuple(sorted(found, key=_order))


def _order(build: LiveBuild) -> tuple[bool, float, str]:
    began: datetime | None = build.started_at
    return (began is None, began.timestamp() if began else 0.0, build.subject)
