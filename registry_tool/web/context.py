"""What the web index is given: it derives nothing from Git itself and writes nowhere."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from registry_tool.catalog.files import CatalogPair, Catalogs
from registry_tool.domain.environment import Freeze
from registry_tool.domain.live import LiveRun
from registry_tool.domain.observed import Observed
from registry_tool.domain.patches import Patch, ReadPatch
from registry_tool.errors import RepositoryProblem, StoreProblem
from registry_tool.oci.layout import LayoutStore
from registry_tool.storage.storage import Storage


class Updater(Protocol):
    """Derives catalogs from Git. Calls come from one thread at a time, or are serialised inside."""

    def refresh(self) -> CatalogPair | None:
        """The catalog of the newest revision that may be served; None while there is none."""

    def at(self, revision: str) -> CatalogPair:
        """The catalog of any revision. Raises RepositoryProblem (RT602) when there is none."""

    def known(self, revision: str) -> CatalogPair | None:
        """What `at` gave, while it would give the same; None where that takes more than a look."""


class Watcher(Protocol):
    """Notices that Git changed. What it misses is found by the next poll."""

    def start(self, changed: Callable[[], None]) -> None:
        """Call `changed`, in any thread, whenever something may have changed."""

    def stop(self) -> None:
        """End that."""


class NoWatcher:
    """Notices nothing: polling is enough."""

    def start(self, changed: Callable[[], None]) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _nothing_live() -> tuple[LiveRun, ...]:
    return ()


class LogPlace(NamedTuple):
    """Where the log of a build is."""

    store: str
    """As Build records call it."""
    insecure: bool
    """Whether that store speaks plain HTTP."""
    model: str
    reference: str


def _nothing_observed() -> Observed | None:
    return None


def _no_log(place: LogPlace) -> str:
    raise StoreProblem(f"the log {place.reference} is in {place.store}, which is not read here")


def _no_patch(commit: str) -> Patch:
    raise RepositoryProblem(f"what {commit[:12]} changed is not read here")


@dataclass(frozen=True)
class WebContext:
    """Everything from outside, put together by `cli`."""

    updater: Updater
    catalogs: Catalogs
    store: LayoutStore
    """The embedded store, opened for reading."""
    version: str
    watcher: Watcher = field(default_factory=NoWatcher)
    open_storage: Callable[[Sequence[str]], Storage] = Storage
    """Storage with these allowed prefixes."""
    read_log: Callable[[LogPlace], str] = _no_log
    """The text of a build log. Raises StoreProblem."""
    read_patch: ReadPatch = _no_patch
    """The text that a commit changed."""
    live: Callable[[], tuple[LiveRun, ...]] = _nothing_live
    """What reconcilers on this machine are doing now."""
    observed: Callable[[], Observed | None] = _nothing_observed
    """What was seen of engines and branches when somebody on this machine looked last."""
    frozen_until: Callable[[Freeze, datetime], datetime | None] | None = None
    """When the freeze that holds at a time ends; raises UsageProblem where its schedule is none.

    Without it freezes are only named.
    """
    clock: Callable[[], datetime] = _utc_now
    poll: float = 5.0
    """Seconds between two looks at Git when nothing says that it changed."""
    session_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """Signs session cookies; workers that serve together share it."""
