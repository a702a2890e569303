"""What is served: the catalog of the tip, replaced as a whole, and catalogs of other revisions."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, HTTPException, Query, Request

from registry_tool.domain.registry import WebSettings
from registry_tool.errors import RegistryToolError, RepositoryProblem
from registry_tool.web.context import WebContext
from registry_tool.web.credentials import Keys

if TYPE_CHECKING:
    from registry_tool.catalog.files import CatalogPair
    from registry_tool.catalog.queries import Catalog

log = logging.getLogger(__name__)

NOTHING_YET = "nothing is served yet: the repository has no valid revision"


@dataclass(frozen=True)
class View:
    """One revision, as a request sees it from beginning to end."""

    pair: CatalogPair
    catalog: Catalog
    settings: WebSettings
    """The web settings of the tip, whatever revision is looked at."""
    keys: Keys
    """The API keys of the tip."""
    at: str | None = None
    """What `?at=` named; None is the tip."""


class Serving:
    """Shared by all requests of a process; views are replaced, never changed."""

    def __init__(self, context: WebContext) -> None:
        self.context = context
        self.problem: str | None = None
        """Why the last refresh failed; None when it did not."""
        self._tip: View | None = None
        self._lock = threading.Lock()
        self._listeners: set[Callable[[View], None]] = set()

    @property
    def tip(self) -> View | None:
        """The newest revision that may be served; None before there is one."""
        return self._tip

    @property
    def settings(self) -> WebSettings:
        """The web settings in force."""
        return self._tip.settings if self._tip else WebSettings()

    def refresh(self) -> bool:
        """Look at Git; returns whether another revision is served now. Never raises."""
        with self._lock:
            try:
                return self._refresh()
            except RegistryToolError as problem:
                self.problem = problem.message
                log.warning("the served revision stays: %s", problem.message)
                return False

    def _refresh(self) -> bool:
        pair = self.context.updater.refresh()
        self.problem = None
        if pair is None or (self._tip is not None and self._tip.pair == pair):
            return False
        self._tip = self._open(pair)
        for listener in tuple(self._listeners):
            listener(self._tip)
        return True

    def _open(self, pair: CatalogPair) -> View:
        raise NotImplementedError

    def at(self, revision: str) -> View:
        """The view of any revision. Raises RepositoryProblem."""
        raise NotImplementedError

    def listen(self, listener: Callable[[View], None]) -> Callable[[], None]:
        """Call `listener`, in any thread, with each new view; returns how to end that."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)


def serving_of(request: Request) -> Serving:
    """The process's `Serving`."""
    serving: Serving = request.app.state.serving
    return serving


CurrentServing = Annotated[Serving, Depends(serving_of)]
"""Parameter type of routes that need more than one catalog."""


def view_of(
    serving: CurrentServing,
    at: Annotated[
        str | None,
        Query(
            description="A revision, branch, tag or commit to look at; the newest by default.",
            max_length=300,
        ),
    ] = None,
) -> View:
    """The view that a request asks for."""
    if at is not None:
        try:
            return serving.at(at)
        except RepositoryProblem as problem:
            raise HTTPException(404, problem.message) from problem
    if serving.tip is None:
        raise HTTPException(503, serving.problem or NOTHING_YET, headers={"Retry-After": "2"})
    return serving.tip


CurrentView = Annotated[View, Depends(view_of)]
"""Parameter type of routes that read a catalog."""
