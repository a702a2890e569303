"""All routes of the API."""

from __future__ import annotations

from fastapi import APIRouter

from registry_tool.web import downloads
from registry_tool.web.api import items, lists, logs, system

router = APIRouter(prefix="/api/v1")
for _part in (lists, items, logs, downloads, system):
    router.include_router(_part.router)
