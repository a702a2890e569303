"""All routes of the API."""

from __future__ import annotations

from fastapi import FastAPI

from registry_tool.web import downloads
from registry_tool.web.api import items, lists, logs, system


def add_api(app: FastAPI) -> None:
    """Add them. Every router has the whole prefix itself, so that a route knows its full path."""
    for part in (lists, items, logs, downloads, system):
        app.include_router(part.router)
    app.include_router(system.health_router)
