"""The registry itself: settings, environments, templates, API keys, problems."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.web.pages.items import parse, require, some
from registry_tool.web.pages.visits import visit

router = APIRouter()


@router.get("/registry")
def registry(request: Request) -> Response:
    """Settings, and the kinds that have no list of their own."""
    with visit(request) as page:
        return page.render(
            "registry.html",
            title="Registry",
            changing=True,
            item=parse(page.catalog.registry_item()),
            environments=some(page.catalog, "environments", limit=500),
            templates=some(page.catalog, "templates", limit=500),
            api_keys=some(page.catalog, "api-keys", limit=500),
            requests=some(page.catalog, "requests", limit=20),
            now=page.now.isoformat(),
        )


@router.get("/templates/{name}")
def template(request: Request, name: str) -> Response:
    """One build template."""
    with visit(request) as page:
        return page.render(
            "template.html",
            title=name,
            item=require(page.catalog, "templates", name),
            releases=some(page.catalog, "releases", template=name, limit=50),
            changes=some(page.catalog, "audit", about=f"template/{name}", limit=20),
        )


@router.get("/api-keys/{name}")
def api_key(request: Request, name: str) -> Response:
    """One API key: everything but its hash."""
    with visit(request) as page:
        return page.render(
            "api_key.html",
            title=name,
            item=require(page.catalog, "api-keys", name),
            changes=some(page.catalog, "audit", about=f"api-key/{name}", limit=20),
        )
