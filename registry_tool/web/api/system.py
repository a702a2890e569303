"""The index about itself: statistics, storage, health, events, metrics."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response

from registry_tool.catalog.listing import ListQuery, Page
from registry_tool.catalog.queries import Catalog
from registry_tool.web.answers import answer
from registry_tool.web.api.documenting import (
    COMMON,
    NOT_MODIFIED,
    UNFIT,
    UNKNOWN,
    item_responses,
)
from registry_tool.web.api.system_shapes import LIVE, SEARCH, STATS, STORAGE
from registry_tool.web.events import EventResponse
from registry_tool.web.paths import API_PREFIX
from registry_tool.web.serving import AtParameter, CurrentServing
from registry_tool.web.storage_usage import StoreScan, mounts

router = APIRouter(prefix=API_PREFIX, tags=["system"])
health_router = APIRouter(tags=["system"])
_CATALOG = {**NOT_MODIFIED, **UNKNOWN, **UNFIT, **COMMON}
_COUNTED = {"releases": ("stage",), "deployments": ("environment", "state"), "builds": ("result",)}


def compact(document: Any) -> bytes:
    """JSON as the API writes it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


@router.get("/stats", responses={**_CATALOG, **STATS})
def stats(request: Request, serving: CurrentServing, at: AtParameter = None) -> Response:
    """Count what there is: items by kind, releases by stage, deployments, builds, bytes."""
    with serving.open(at) as view:
        catalog = view.catalog
        about = catalog.about()
        totals = catalog.storage_totals()
        document = {
            "revision": str(about.pair.revision),
            "records": about.pair.records,
            "committed_at": _moment(about.committed_at),
            "tip": about.tip,
            "counts": about.counts,
            **{kind: _counted(catalog, kind, names) for kind, names in _COUNTED.items()},
            "storage": totals._asdict(),
            "problems": [
                {
                    "path": file.path,
                    "subject": file.subject,
                    "codes": [p.code for p in file.problems],
                }
                for file in (*about.refused, *about.invalid)
            ],
        }
        return answer(request, view, compact(document))


def _moment(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _counted(catalog: Catalog, kind: str, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    facets = catalog.page(ListQuery(kind, limit=1, facets=names)).facets
    return {name: {value.value: value.count for value in facets[name]} for name in names}


@router.get("/search", responses={**_CATALOG, **SEARCH})
def search(
    request: Request,
    serving: CurrentServing,
    q: str = Query(
        min_length=1,
        max_length=1000,
        description="Words, or the beginning of an oid, key or digest",
    ),
    kind: Annotated[list[str] | None, Query(description="Only items of these kinds")] = None,
    limit: int = Query(default=20, ge=1, le=100),
    at: AtParameter = None,
) -> Response:
    """Find items of all kinds, the best matches first."""
    with serving.open(at) as view:
        hits = view.catalog.search(q, kinds=kind or (), limit=limit)
        items = tuple(
            f'{{"kind":{json.dumps(hit.kind)},"key":{json.dumps(hit.key)},"item":{hit.item}}}'
            for hit in hits
        )
        found = Page(view.pair, items, total=len(hits), next=None, facets={})
        return answer(request, view, found.to_json())


@router.get("/system/storage", responses={**UNFIT, **COMMON, **STORAGE})
def storage(
    request: Request,
    serving: CurrentServing,
    limit: int = Query(default=100, ge=1, le=1000, description="How many models"),
) -> Response:
    """Show how full storage and store are, and what models occupy after deduplication."""
    context = serving.context
    scan: StoreScan = request.app.state.store_scan
    with serving.open() as view:
        document = {
            "revision": str(view.pair.revision),
            "mounts": mounts(view.tip.registry.storage.allowed, context.store.root),
            "prefixes": list(view.tip.registry.storage.allowed),
            "store": {"name": context.store.name, **scan.usage()._asdict()},
            "totals": view.catalog.storage_totals()._asdict(),
            "models": [model._asdict() for model in view.catalog.storage(limit=limit)],
        }
    return JSONResponse(document, headers={"Cache-Control": "no-store"})


@router.get("/live", responses={**COMMON, **LIVE})
def live(serving: CurrentServing) -> Response:
    """Show the builds that reconcilers on this machine have queued or run now."""
    runs = [run.model_dump(mode="json") for run in serving.context.live()]
    return JSONResponse({"runs": runs}, headers={"Cache-Control": "no-store"})


@router.get("/registry", responses=item_responses("registry"))
def registry(request: Request, serving: CurrentServing, at: AtParameter = None) -> Response:
    """Show the settings of the repository."""
    with serving.open(at) as view:
        return answer(request, view, view.catalog.registry_item())


_EVENT_EXAMPLE = 'event: revision\\ndata: {"revision":"main@sha1:8d2f…","records":"1c0d…","etag":"W/\\"…\\""}\\n\\n'


@router.get(
    "/events",
    status_code=200,
    response_class=EventResponse,
    responses={
        200: {
            "description": "`revision` now and when another revision is served; `live` when builds"
            " that run on this machine change",
            "content": {
                "text/event-stream": {"schema": {"type": "string"}, "example": _EVENT_EXAMPLE}
            },
        },
        **COMMON,
    },
)
async def events(serving: CurrentServing) -> Response:
    """Follow what is served, as server-sent events."""
    return EventResponse(serving)


_HEALTH = {
    "type": "object",
    "required": ["status", "version", "revision", "records", "looked_at", "problem"],
    "properties": {
        "status": {"type": "string", "enum": ["ok", "waiting", "stale", "stalled"]},
        "version": {"type": "string"},
        "revision": {"type": ["string", "null"]},
        "records": {"type": ["string", "null"]},
        "looked_at": {"type": ["string", "null"], "format": "date-time"},
        "problem": {"type": ["string", "null"]},
    },
}
_HEALTH_CONTENT = {
    "application/json": {
        "schema": _HEALTH,
        "example": {
            "status": "ok",
            "version": "0.1.0",
            "revision": "main@sha1:8d2f3a5c1b7e9f00112233445566778899aabbcc",
            "records": "1c0d5b3e7a9f00112233445566778899aabbccdd",
            "looked_at": "2026-01-31T12:00:00+00:00",
            "problem": None,
        },
    }
}


@health_router.get(
    "/health",
    responses={
        200: {
            "description": "`ok`; `waiting` for a first valid revision; `stale`: the newest revision"
            " cannot be served, an older one is",
            "content": _HEALTH_CONTENT,
        },
        503: {"description": "`stalled`: nobody looks at Git any more", "content": _HEALTH_CONTENT},
    },
)
async def health(serving: CurrentServing) -> Response:
    """Say whether the index works and keeps up with Git; needs no API key."""
    found = serving.health()
    status = 503 if found["status"] == "stalled" else 200
    return JSONResponse(found, status, headers={"Cache-Control": "no-store"})
