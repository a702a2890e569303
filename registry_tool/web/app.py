"""The web application: one ASGI app for the API, the pages, downloads and the embedded store."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from fastapi import FastAPI

from registry_tool.web.api.routes import add_api
from registry_tool.web.api.schemas import component_schemas
from registry_tool.web.auth import Authentication, Gate
from registry_tool.web.auth import router as auth_router
from registry_tool.web.context import WebContext
from registry_tool.web.events import end_all_streams
from registry_tool.web.head import HeadAsGet
from registry_tool.web.metrics import Measuring, Metrics
from registry_tool.web.metrics import router as metrics_router
from registry_tool.web.pages.routes import router as pages_router
from registry_tool.web.problems import Crashes, add_problem_handlers
from registry_tool.web.response_cache import CachedResponses
from registry_tool.web.security import CrossOrigin, SecurityHeaders
from registry_tool.web.serving import Serving
from registry_tool.web.static_files import VersionedFiles
from registry_tool.web.storage_usage import StoreScan
from registry_tool.web.v2 import router as v2_router

STATIC_FOLDER = Path(__file__).with_name("static")


class Application(FastAPI):
    """With the schemas of items in its OpenAPI document."""

    def openapi(self) -> dict[str, Any]:
        """The document, made when it is first asked for."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["schemas"].update(component_schemas())
        return super().openapi()


def create_app(context: WebContext) -> Application:
    """The application; the catalog of the tip is there when its lifespan has begun."""
    serving = Serving(context)
    app = Application(
        title="registry-tool",
        version=context.version,
        summary="Read-only index of a model registry that lives in Git",
        lifespan=_lifespan,
        # The interactive pages of FastAPI load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.serving = serving
    app.state.gate = gate = Gate(serving)
    app.state.store_scan = StoreScan(context.store)
    app.state.metrics = metrics = _metrics(serving)
    add_api(app)
    app.include_router(metrics_router)
    app.include_router(auth_router)
    app.include_router(v2_router)
    app.include_router(pages_router)
    app.mount("/static", VersionedFiles(directory=STATIC_FOLDER), name="static")
    add_problem_handlers(app)
    # The last one added sees a request first.
    app.add_middleware(CachedResponses, serving=lambda: serving)
    app.add_middleware(Authentication, gate=gate)
    app.add_middleware(CrossOrigin, origins=lambda: serving.settings.cors_origins)
    app.add_middleware(Crashes)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(HeadAsGet)
    if metrics is not None:
        app.add_middleware(Measuring, metrics=metrics)
    return app


def _metrics(serving: Serving) -> Metrics | None:
    try:
        return Metrics(serving)
    except ImportError:
        return None


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the tip, then keep up with Git in a thread of its own until the server stops."""
    serving: Serving = app.state.serving
    await asyncio.to_thread(serving.refresh)
    _end_streams_on_signals()
    thread = threading.Thread(target=serving.keep_up, name="keep-up")
    thread.start()
    try:
        yield
    finally:
        serving.stop()
        await asyncio.to_thread(thread.join)


def _end_streams_on_signals() -> None:
    """Let event streams end when the server is told to stop.

    A server installs its handlers before the lifespan begins; after a signal it waits for responses
    to end, and streams never end by themselves.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, partial(_end_streams, before))


def _end_streams(
    before: Callable[[int, FrameType | None], object], number: int, frame: FrameType | None
) -> None:
    end_all_streams()
    before(number, frame)
