"""What the web index is given: it derives nothing from Git itself and writes nowhere."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from registry_tool.domain.live import LiveRun
from registry_tool.oci.layout import LayoutStore
from registry_tool.storage.storage import Storage

if TYPE_CHECKING:
    from registry_tool.catalog.files import CatalogPair


class Updater(Protocol):
    """Derives catalogs from Git. Calls come from one thread at a time, or are serialised inside."""

    def refresh(self) -> CatalogPair | None:
        """The catalog of the newest revision that may be served; None while there is none."""

    def at(self, revision: str) -> CatalogPair:
        """The catalog of any revision. Raises RepositoryProblem (RT602) when there is none."""


class Changes(Protocol):
    """Says when to look again; a missed change is found by the next poll."""

    def wait(self, timeout: float) -> None:
        """Return when something may have changed, at the latest after `timeout` seconds."""

    def stop(self) -> None:
        """Make every `wait` return at once, now and later."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _nothing_live() -> tuple[LiveRun, ...]:
    return ()


@dataclass(frozen=True)
class WebContext:
    """Everything from outside, put together by `cli`."""

    updater: Updater
    changes: Changes
    store: LayoutStore
    """The embedded store, opened for reading."""
    version: str
    open_storage: Callable[[Sequence[str]], Storage] = Storage
    """Storage with these allowed prefixes."""
    live: Callable[[], tuple[LiveRun, ...]] = _nothing_live
    """What reconcilers on this machine are doing now."""
    clock: Callable[[], datetime] = _utc_now
    poll: float = 5.0
    """Seconds between two looks at Git when nothing says that it changed."""
    root_path: str = ""
    """The prefix under which a proxy offers the index."""
    session_secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    """Signs session cookies; workers that serve together share it."""
