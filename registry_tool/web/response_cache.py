"""Finished responses, given again without asking the catalog: the page that everybody opens."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Receive, Scope, Send

from registry_tool.web.etag import names_etag

if TYPE_CHECKING:
    from registry_tool.web.serving import Serving

LIMIT = 64 << 20
"""Bytes of responses that are kept for one revision."""
ENTRY_LIMIT = 4 << 20
_WORTH_COMPRESSING = 600

RawHeaders = tuple[tuple[bytes, bytes], ...]


class Key(NamedTuple):
    """What a response answers, and of which revision."""

    path: str
    query: bytes
    etag: str


class Stored:
    """A response in its forms."""

    __slots__ = ("_compressed", "body", "etag", "headers", "route")

    def __init__(self, etag: str, headers: RawHeaders, body: bytes, route: str) -> None:
        """`headers` are all but those of the length and the encoding, `route` the template of the route."""
        self.etag = etag
        self.headers = headers
        self.body = body
        self.route = route
        self._compressed: bytes | None = None

    def compress(self) -> bytes:
        """The compressed body, made when it is first wanted."""
        if self._compressed is None:
            self._compressed = gzip.compress(self.body, 5, mtime=0)
        return self._compressed

    async def send(self, scope: Scope, send: Send) -> None:
        """Answer a GET request: 200, or 304 when the client has it."""
        known, compress = _asked(scope)
        if known is not None and names_etag(known, self.etag):
            headers = [header for header in self.headers if header[0] != b"content-type"]
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        body = self.body
        encoding: RawHeaders = ()
        if compress and len(body) >= _WORTH_COMPRESSING:
            compressed = self._compressed
            body = await asyncio.to_thread(self.compress) if compressed is None else compressed
            encoding = ((b"content-encoding", b"gzip"),)
        headers = [*self.headers, *encoding, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _asked(scope: Scope) -> tuple[str | None, bool]:
    """The If-None-Match header, and whether gzip is accepted."""
    known, compress = None, False
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            compress = _accepts_gzip(value)
        elif name == b"if-none-match":
            known = value.decode("latin-1")
    return known, compress


@lru_cache(maxsize=256)
def _accepts_gzip(header: bytes) -> bool:
    for part in header.decode("latin-1").lower().split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip() in {"gzip", "*"}:
            quality = parameters.replace(" ", "").removeprefix("q=")
            return quality.strip("0.") != "" or quality == ""
    return False


def accepts_gzip(scope: Scope) -> bool:
    """Whether the client takes compressed bodies."""
    return _asked(scope)[1]


@lru_cache(maxsize=1024)
def asked_revision(query: bytes) -> str | None:
    """The revision that ``at`` names, as routes read it."""
    if b"at=" not in query:
        return None
    fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return next((value for name, value in reversed(fields) if name == "at"), None)


class ResponseCache:
    """Bounded by bytes; the oldest responses go first."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._stored: dict[Key, Stored] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Stored | None:
        """The response, when it is kept."""
        return self._stored.get(key)

    def put(self, key: Key, response: Stored) -> None:
        """Keep a response."""
        size = _size(key, response)
        if size > ENTRY_LIMIT:
            return
        with self._lock:
            if key in self._stored:
                return
            self._stored[key] = response
            self._bytes += size
            while self._bytes > self._limit:
                oldest = next(iter(self._stored))
                self._bytes -= _size(oldest, self._stored.pop(oldest))


def _size(key: Key, response: Stored) -> int:
    overhead = 1024
    # The compressed form may come later; a quarter is more than it takes.
    return overhead + len(key.query) + len(response.body) * 5 // 4


class CachedResponses:
    """ASGI middleware: answers GET requests that were answered before and would be answered alike."""

    def __init__(self, app: ASGIApp, serving: Callable[[], Serving]) -> None:
        self.app = app
        self.serving = serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            stored = self._stored(scope)
            if stored:
                scope["registry_tool.route"] = stored.route
                await stored.send(scope, send)
                return
        await self.app(scope, receive, send)

    def _stored(self, scope: Scope) -> Stored | None:
        serving, query = self.serving(), scope["query_string"]
        tip = serving.tip
        if tip is None:
            return None
        etag = serving.etag_at(tip, asked_revision(query))
        return tip.responses.get(Key(scope["path"], query, etag)) if etag else None
