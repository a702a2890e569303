"""Large files as responses: streamed, resumable, and cut short rather than wrong."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from anyio import CancelScope
from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from registry_tool.errors import ContentMismatch, RegistryToolError
from registry_tool.web.etag import names_etag
from registry_tool.web.head import HEAD_ONLY
from registry_tool.web.ranges import Span, Unsatisfiable, parse_range

CHUNK = 1 << 20

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """Bytes that are named by their SHA-256, and how to read them from an offset."""

    sha256: str
    size: int
    open: Callable[[int], BinaryIO]
    media_type: str = "application/octet-stream"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """A strong one: the bytes can never differ."""
        return f'"sha256:{self.sha256}"'


class ContentResponse(Response):
    """Answers 200, 206, 304 or 416, to GET and HEAD.

    What is read as a whole is hashed on the way, and its last part is held back when the hash is
    not the promised one: the client then sees a broken transfer, never wrong bytes.
    """

    def __init__(self, content: Content, *, verify: bool = False) -> None:
        super().__init__()
        self.content = content
        self.verify = verify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        content, request = self.content, Headers(scope=scope)
        shared = {"ETag": content.etag, "Accept-Ranges": "bytes", **content.headers}
        if names_etag(request.get("if-none-match"), content.etag):
            await Response(status_code=304, headers=shared)(scope, receive, send)
            return
        wanted = (
            request.get("range") if request.get("if-range", content.etag) == content.etag else None
        )
        try:
            span = parse_range(wanted, content.size)
        except Unsatisfiable:
            shared["Content-Range"] = f"bytes */{content.size}"
            await Response(status_code=416, headers=shared)(scope, receive, send)
            return
        whole = Span(0, content.size)
        headers = {
            **shared,
            "Content-Type": content.media_type,
            "Content-Length": str((span or whole).length),
        }
        if span is not None:
            headers["Content-Range"] = span.content_range(content.size)
        await self._send(206 if span else 200, headers, span or whole, scope, send)

    async def _send(
        self, status: int, headers: Mapping[str, str], span: Span, scope: Scope, send: Send
    ) -> None:
        is_head = scope["method"] == "HEAD" or HEAD_ONLY in scope
        has_body = not is_head and span.length > 0
        # Opened before anything is promised, so that a file that is gone is an error response.
        file = await run_sync(self.content.open, span.start) if has_body else None
        try:
            raw = [
                (key.lower().encode(), value.encode("latin-1")) for key, value in headers.items()
            ]
            await send({"type": "http.response.start", "status": status, "headers": raw})
            if file is not None:
                async for chunk in self._chunks(file, span):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        except RegistryToolError as problem:
            # The response has begun; the server ends the connection, which the client notices.
            log.warning("%s: the transfer was broken off: %s", scope["path"], problem.message)
        finally:
            if file is not None:
                with CancelScope(shield=True):
                    await run_sync(file.close)

    async def _chunks(self, file: BinaryIO, span: Span) -> AsyncIterator[bytes]:
        verify = self.verify and span.length == self.content.size
        hashed = hashlib.sha256() if verify else None
        left = span.length
        while left:
            chunk = await run_sync(file.read, min(CHUNK, left))
            if not chunk:
                raise ContentMismatch(f"{left} bytes are missing at the end")
            left -= len(chunk)
            if hashed is not None:
                await run_sync(hashed.update, chunk)
                if not left and hashed.hexdigest() != self.content.sha256:
                    raise ContentMismatch(f"the content has SHA-256 {hashed.hexdigest()}")
            yield chunk
