"""What is served: the tip, replaced as a whole when Git changed, and any other revision on demand."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from fastapi import Depends, HTTPException, Query, Request

from registry_tool.domain.registry import RegistrySpec, WebSettings
from registry_tool.domain.revisions import is_oid
from registry_tool.errors import (
    CatalogProblem,
    InvalidManifests,
    RegistryToolError,
    RepositoryProblem,
)
from registry_tool.web.context import WebContext
from registry_tool.web.credentials import Keys
from registry_tool.web.etag import pair_etag
from registry_tool.web.response_cache import ResponseCache

if TYPE_CHECKING:
    from registry_tool.catalog.files import CatalogPair
    from registry_tool.catalog.queries import Catalog, KeyRecord

log = logging.getLogger(__name__)

_RESOLVED = 10_000
NOTHING_YET = "nothing is served yet: the repository has no valid revision"


@dataclass(frozen=True)
class Tip:
    """The newest revision that may be served, and what is remembered while it is."""

    pair: CatalogPair
    newest: str
    """The commit that the branch names: another than the pair's when that one cannot be served."""
    registry: RegistrySpec
    """Its settings, which are in force whatever revision is looked at."""
    keys: Keys
    etag: str
    """Of what follows from the pair, and from the reason why a newer one is not shown."""
    responses: ResponseCache = field(default_factory=ResponseCache)
    resolved: dict[str, CatalogPair] = field(default_factory=dict)
    """Pairs of commits that were named by their whole oid; other names may come to mean others."""


@dataclass(frozen=True)
class View:
    """One revision, as a request sees it from beginning to end. Not for several threads at once."""

    catalog: Catalog
    tip: Tip
    version: str
    """Of the program."""
    at: str | None = None
    """What `?at=` named; None is the newest."""

    @property
    def pair(self) -> CatalogPair:
        """What is shown; where `at` is None, it may be newer than `tip` for a moment."""
        return self.catalog.pair

    @property
    def settings(self) -> WebSettings:
        """The web settings in force."""
        return self.tip.registry.web

    @property
    def is_tip(self) -> bool:
        """Whether this is what the process serves now, and not another or a newer revision."""
        return self.at is None and self.pair == self.tip.pair

    @property
    def is_fixed(self) -> bool:
        """Whether what is shown is what the address means to this process."""
        return self.is_tip or self.at is not None

    @property
    def etag(self) -> str:
        """Of what follows from the revision, and from the reason why a newer one is not shown."""
        if self.is_tip:
            return self.tip.etag
        return pair_etag(self.pair, self.pair.manifests, self.version)


class Health(TypedDict):
    """How the index is doing."""

    status: Literal["ok", "waiting", "stale", "stalled"]
    version: str
    revision: str | None
    records: str | None
    looked_at: str | None
    problem: str | None


class Serving:
    """Shared by all requests of a process."""

    def __init__(self, context: WebContext) -> None:
        self.context = context
        self.problem: str | None = None
        """Why the last look at Git failed; None when it did not."""
        self.looked_at: datetime | None = None
        """When Git was looked at last, successfully or not."""
        self._tip: Tip | None = None
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._stopping = False
        self._busy = False
        self._listeners: set[Callable[[], None]] = set()

    @property
    def tip(self) -> Tip | None:
        """What is served; None before there is a valid revision."""
        return self._tip

    @property
    def settings(self) -> WebSettings:
        """The web settings in force."""
        return self._tip.registry.web if self._tip else WebSettings()

    # --- Keeping up with Git ---

    def refresh(self) -> bool:
        """Look at Git; returns whether another revision is served now. Never raises."""
        with self._lock:
            self._busy = True
            try:
                changed = self._refresh()
            except RegistryToolError as problem:
                self.problem = problem.message
                log.warning("what is served stays as it is: %s", problem.message)
                return False
            except Exception:
                # A defect must not end the thread that keeps up with Git.
                self.problem = "the catalog could not be derived; see the server's log"
                log.exception("what is served stays as it is")
                return False
            finally:
                self._busy = False
                self.looked_at = self.context.clock()
        if changed:
            for listener in tuple(self._listeners):
                listener()
        return changed

    def _refresh(self) -> bool:
        self.context.updater.refresh()
        self.problem = None
        meta = self.context.catalogs.current_meta()
        if meta is None:
            return False
        if self._tip is not None and (self._tip.pair, self._tip.newest) == (
            meta.pair,
            meta.tip.oid,
        ):
            return False
        with self.context.catalogs.open() as catalog:
            about = catalog.about()
            etag = pair_etag(about.pair, about.tip, self.context.version)
            self._tip = Tip(about.pair, about.tip, catalog.registry(), Keys(self._key), etag)
        log.info("serving %s", self._tip.pair.revision)
        return True

    def _key(self, key_id: str) -> KeyRecord | None:
        with self.context.catalogs.open() as catalog:
            return catalog.api_key(key_id)

    def keep_up(self) -> None:
        """Look at Git whenever it may have changed, until `stop`. For a thread of its own."""
        self.context.watcher.start(self.wake)
        try:
            while not self._stopping:
                self._woken.wait(self.context.poll)
                self._woken.clear()
                if not self._stopping:
                    self.refresh()
        finally:
            self.context.watcher.stop()

    def wake(self) -> None:
        """Look at Git soon."""
        self._woken.set()

    def stop(self) -> None:
        """End `keep_up`."""
        self._stopping = True
        self._woken.set()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener`, in any thread, after each change; returns how to end that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def health(self) -> Health:
        """Whether this works and keeps up with Git."""
        pair = self._tip.pair if self._tip else None
        return {
            "status": self._status(),
            "version": self.context.version,
            "revision": str(pair.revision) if pair else None,
            "records": pair.records if pair else None,
            "looked_at": self.looked_at.isoformat() if self.looked_at else None,
            "problem": self.problem,
        }

    def _status(self) -> Literal["ok", "waiting", "stale", "stalled"]:
        patience = timedelta(seconds=max(60.0, 10 * self.context.poll))
        late = self.looked_at is not None and self.context.clock() - self.looked_at > patience
        if late and not self._busy:
            return "stalled"
        if self._tip is None:
            return "waiting"
        return "stale" if self.problem else "ok"

    # --- Answering requests ---

    @contextmanager
    def open(self, at: str | None = None) -> Iterator[View]:
        """A view for the time of one request; raises HTTPException when there is none."""
        tip = self._tip
        if tip is None:
            raise HTTPException(503, self.problem or NOTHING_YET, headers={"Retry-After": "2"})
        with ExitStack() as stack:
            try:
                catalog = stack.enter_context(self._catalog(at))
            except CatalogProblem as problem:
                # Somebody deleted it, or more recent ones took its place: derive it once more.
                log.info("deriving a catalog again: %s", problem.message)
                tip.resolved.clear()
                self.context.updater.refresh()
                catalog = stack.enter_context(self._catalog(at))
            yield View(catalog, tip, self.context.version, at)

    def etag_at(self, tip: Tip, at: str | None) -> str | None:
        """The entity tag of what would be shown; None where that takes more than a look."""
        if at is None:
            return tip.etag
        pair = tip.resolved.get(at) or self.context.updater.known(at)
        return pair_etag(pair, pair.manifests, self.context.version) if pair else None

    def _catalog(self, at: str | None) -> AbstractContextManager[Catalog]:
        return self.context.catalogs.open(self._pair_at(at) if at is not None else None)

    def _pair_at(self, revision: str) -> CatalogPair:
        tip = self._tip
        known = tip.resolved.get(revision) if tip else None
        pair = known or self._ask_for(revision)
        if tip and _names_commit(revision) and len(tip.resolved) < _RESOLVED:
            tip.resolved[revision] = pair
        return pair

    def _ask_for(self, revision: str) -> CatalogPair:
        try:
            return self.context.updater.at(revision)
        except InvalidManifests as problem:
            raise HTTPException(404, problem.message) from problem
        except RepositoryProblem as problem:
            if problem.code not in {"RT602", "RT604"}:
                raise
            raise HTTPException(404, problem.message) from problem


def _names_commit(revision: str) -> bool:
    return is_oid(revision.rpartition(":")[2])


def serving_of(request: Request) -> Serving:
    """The process's `Serving`."""
    serving: Serving = request.app.state.serving
    return serving


CurrentServing = Annotated[Serving, Depends(serving_of)]
"""Parameter type of routes that need more than one catalog."""

AtParameter = Annotated[
    str | None,
    Query(
        description="Look at this revision: a branch, a tag, a commit, or `main@sha1:<oid>`.",
        max_length=300,
    ),
]
