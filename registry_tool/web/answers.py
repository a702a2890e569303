"""Responses that follow from a catalog: entity tag, revision, compression, and memory of them."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from registry_tool.web.paths import route_template
from registry_tool.web.response_cache import Key, Stored, accepts_gzip, asked_revision
from registry_tool.web.serving import View

JSON = "application/json"
HTML = "text/html; charset=utf-8"


class CatalogAnswer(Response):
    """Answers 200 or 304, compressed where the client takes it."""

    def __init__(self, stored: Stored) -> None:
        super().__init__()
        self.stored = stored

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stored.send(scope, send)


def answer(
    request: Request,
    view: View,
    body: bytes | str,
    media_type: str = JSON,
    *,
    remember: bool = True,
) -> CatalogAnswer:
    """A response that follows from the view, the path and the query alone.

    With `remember` it is given again without asking for as long as the address means the same
    revision, to everybody who may read: leave that off where it depends on anything else, such as a
    cookie.
    """
    etag = view.etag
    closed = view.settings.require_api_key
    headers = (
        (b"content-type", media_type.encode()),
        (b"etag", etag.encode()),
        (b"x-registry-revision", quote(str(view.pair.revision), safe="/@:").encode()),
        (b"cache-control", b"private, no-cache" if closed else b"no-cache"),
        (b"vary", b"Accept-Encoding"),
    )
    content = body.encode() if isinstance(body, str) else body
    stored = Stored(etag, headers, content, route_template(request.scope))
    if accepts_gzip(request.scope):
        # Here is a thread that may take its time.
        stored.compress()
    query = request.scope["query_string"]
    # Who asks again is found by what the query says, not by what a route makes of it.
    if remember and view.is_fixed and asked_revision(query) == view.at:
        view.tip.responses.put(Key(request.scope["path"], query, etag), stored)
    return CatalogAnswer(stored)
