"""One visit to a page: the revision that it is about, and how the page is made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import HTTPException, Request
from fastapi.responses import HTMLResponse, Response

from registry_tool.catalog.queries import Catalog
from registry_tool.web.answers import HTML, answer
from registry_tool.web.context import WebContext
from registry_tool.web.pages.links import Links
from registry_tool.web.pages.rendering import key_holder, page_text, root_path
from registry_tool.web.serving import Serving, View, serving_of

_AT_LIMIT = 300


@dataclass(frozen=True)
class Visit:
    """A request for a page, with the catalog that answers it."""

    request: Request
    view: View
    links: Links

    @property
    def catalog(self) -> Catalog:
        """The revision that is looked at."""
        return self.view.catalog

    @property
    def context(self) -> WebContext:
        """What the index was given."""
        return serving_of(self.request).context

    @property
    def now(self) -> datetime:
        """The time of the visit."""
        return self.context.clock()

    def render(
        self, template: str, *, title: str, changing: bool = False, **values: Any
    ) -> Response:
        """The page; `values` are what its template documents in its first lines.

        A `changing` one shows more than the revision that is looked at: it is made anew each time.
        """
        html = page_text(self.request, template, view=self.view, title=title, **values)
        if changing:
            return HTMLResponse(html, headers={"Cache-Control": "no-store"})
        anonymous = key_holder(self.request) is None
        return answer(self.request, self.view, html, HTML, remember=anonymous)


@contextmanager
def visit(request: Request) -> Iterator[Visit]:
    """A visit at the revision that ``?at=`` names. Raises HTTPException."""
    at = request.query_params.get("at", "").strip() or None
    if at is not None and len(at) > _AT_LIMIT:
        raise HTTPException(422, f"a revision has at most {_AT_LIMIT} characters")
    serving: Serving = serving_of(request)
    with serving.open(at) as view:
        yield Visit(request, view, Links(root_path(request), at))
