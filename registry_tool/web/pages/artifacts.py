"""Artifacts: locked files, and the releases that have them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.web.pages.items import require
from registry_tool.web.pages.list_specs import FacetSpec, ListSpec
from registry_tool.web.pages.lists import list_page
from registry_tool.web.pages.visits import visit

router = APIRouter()

ARTIFACTS = ListSpec(
    "artifacts",
    "/artifacts",
    sorts=("path", "release", "size"),
    descending=frozenset(("size",)),
    facets=(
        FacetSpec("role", "Role"),
        FacetSpec("media_type", "Media type"),
        FacetSpec("model", "Model"),
        FacetSpec("quantization", "Quantization"),
    ),
)


@router.get("/artifacts")
def artifacts(request: Request) -> Response:
    """All locked files."""
    with visit(request) as page:
        return page.render("artifacts.html", title="Artifacts", list=list_page(page, ARTIFACTS))


@router.get("/artifacts/{sha256}")
def artifact(request: Request, sha256: str) -> Response:
    """One file."""
    with visit(request) as page:
        item = require(page.catalog, "artifacts", sha256)
        return page.render("artifact.html", title=item["releases"][0]["path"], item=item)
