"""The web application: one ASGI app for the API, the pages, downloads and the embedded store."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from registry_tool.web.api.routes import router as api_router
from registry_tool.web.auth import Authentication, Gate
from registry_tool.web.auth import router as auth_router
from registry_tool.web.context import WebContext
from registry_tool.web.pages.routes import router as pages_router
from registry_tool.web.problems import add_problem_handlers
from registry_tool.web.response_cache import CachedResponses
from registry_tool.web.security import CrossOrigin, SecurityHeaders
from registry_tool.web.serving import Serving
from registry_tool.web.v2 import router as v2_router

STATIC_FOLDER = Path(__file__).with_name("static")


def create_app(context: WebContext) -> FastAPI:
    """The application; the catalog of the tip is there when its lifespan has begun."""
    serving = Serving(context)
    app = FastAPI(
        title="registry-tool",
        version=context.version,
        summary="Read-only index of a model registry that lives in Git",
        root_path=context.root_path,
        lifespan=_lifespan,
        # The interactive pages of FastAPI load their scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )
    app.state.serving = serving
    app.state.gate = gate = Gate(serving)
    app.include_router(api_router)
    app.include_router(auth_router)
    app.include_router(v2_router)
    app.include_router(pages_router)
    app.mount("/static", StaticFiles(directory=STATIC_FOLDER), name="static")
    add_problem_handlers(app)
    # The last one added sees a request first.
    app.add_middleware(CachedResponses, serving=lambda: serving)
    app.add_middleware(Authentication, gate=gate)
    app.add_middleware(CrossOrigin, origins=lambda: serving.settings.cors_origins)
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the tip, then keep up with Git in a thread of its own until the server stops."""
    serving: Serving = app.state.serving
    await asyncio.to_thread(serving.refresh)
    thread = threading.Thread(target=serving.keep_up, name="keep-up")
    thread.start()
    try:
        yield
    finally:
        serving.stop()
        await asyncio.to_thread(thread.join)
