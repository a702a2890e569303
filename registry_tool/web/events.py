"""Server-sent events: what is served changed, or what is built now."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from registry_tool.domain.live import LiveRun
from registry_tool.web.etag import pair_etag
from registry_tool.web.serving import Serving

LIVE_INTERVAL = 1.0
"""Seconds between two looks at what is built now."""
KEEP_ALIVE = 15.0
"""Seconds after which a proxy is shown that the connection is alive."""

_open: weakref.WeakSet[EventStream] = weakref.WeakSet()


def end_all_streams() -> None:
    """Let all streams of this process end, so that a server that waits for responses can stop.

    Safe in a signal handler. Clients connect again by themselves.
    """
    for stream in tuple(_open):
        stream.end()


class EventStream:
    """The events of one client.

    ``revision`` comes at once and whenever another revision is served; ``live`` at once and whenever
    the builds that run on this machine change.
    """

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._ended = False
        _open.add(self)

    def end(self) -> None:
        """Stop at the next opportunity; from any thread."""
        self._ended = True
        self._notice()

    def _notice(self) -> None:
        self._loop.call_soon_threadsafe(self._changed.set)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        stop_listening = self._serving.listen(self._notice)
        try:
            async for event in self._events():
                yield event
        finally:
            stop_listening()
            _open.discard(self)

    async def _events(self) -> AsyncIterator[bytes]:
        shown: str | None = None
        live: tuple[LiveRun, ...] | None = None
        silence = 0.0
        yield b"retry: 2000\n\n"
        while not self._ended:
            self._changed.clear()
            said = False
            current = revision_event(self._serving)
            if current is not None and current["etag"] != shown:
                shown = current["etag"]
                said = True
                yield _event("revision", current, shown)
            now = await asyncio.to_thread(self._serving.context.live)
            if now != live:
                live = now
                said = True
                yield _event("live", {"runs": [run.model_dump(mode="json") for run in now]})
            silence = 0.0 if said else silence + LIVE_INTERVAL
            if silence >= KEEP_ALIVE:
                silence = 0.0
                yield b": still here\n\n"
            await self._wait()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), LIVE_INTERVAL)
        except TimeoutError:
            return


def revision_event(serving: Serving) -> dict[str, Any] | None:
    """What clients are told of the served revision."""
    tip = serving.tip
    if tip is None:
        return None
    return {
        "revision": str(tip.pair.revision),
        "records": tip.pair.records,
        "etag": pair_etag(tip.pair, tip.newest, serving.context.version),
    }


def _event(name: str, data: dict[str, Any], event_id: str | None = None) -> bytes:
    lines = [f"event: {name}", f"data: {json.dumps(data, separators=(',', ':'))}"]
    if event_id is not None:
        lines.append(f"id: {event_id}")
    return ("\n".join(lines) + "\n\n").encode()


class EventResponse(StreamingResponse):
    """A stream that proxies do not hold back."""

    def __init__(self, serving: Serving) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(EventStream(serving), headers=headers, media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await super().__call__(scope, receive, send)
