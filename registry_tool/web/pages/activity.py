"""Activity: who changed what, from Git; one commit; two revisions compared; search over everything."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.catalog.queries import Catalog, Difference
from registry_tool.domain.patches import Patch
from registry_tool.domain.revisions import is_oid
from registry_tool.errors import RepositoryProblem
from registry_tool.web.pages.items import Item, missing, parse, require, some
from registry_tool.web.pages.list_specs import FacetSpec, ListSpec
from registry_tool.web.pages.lists import list_page
from registry_tool.web.pages.visits import Visit, visit
from registry_tool.web.serving import serving_of

router = APIRouter()
MOST_DIFFERENCES = 500
_OFFERED = 40
"""Commits that the form suggests."""

ACTIVITY = ListSpec(
    "audit",
    "/activity",
    sorts=("committed",),
    descending=frozenset(("committed",)),
    facets=(
        FacetSpec("author", "Author"),
        FacetSpec("approved_by", "Approved by"),
        FacetSpec("kind", "Kind"),
        FacetSpec("environment", "Environment"),
        FacetSpec("model", "Model"),
    ),
)
_KIND_WORDS = {
    "models": "Models",
    "releases": "Releases",
    "deployments": "Deployments",
    "environments": "Environments",
    "templates": "Templates",
    "artifacts": "Artifacts",
    "api-keys": "API keys",
    "builds": "Builds",
    "deployment-records": "Deployment records",
    "requests": "Requests",
    "audit": "Commits",
}


@dataclass(frozen=True)
class Found:
    """Search results of one kind."""

    kind: str
    label: str
    items: tuple[tuple[str, Item], ...]
    """Key and item."""


@router.get("/activity")
def activity(request: Request) -> Response:
    """All commits that changed manifests."""
    with visit(request) as page:
        return page.render("activity.html", title="Activity", list=list_page(page, ACTIVITY))


@router.get("/activity/{oid}")
def commit(request: Request, oid: str) -> Response:
    """One commit with what it changed."""
    with visit(request) as page:
        if not is_oid(oid):
            raise missing(page.catalog.pair, "audit", oid)
        item = require(page.catalog, "audit", oid)
        patch, problem = _patch(page, oid)
        return page.render(
            "commit.html",
            title=item["message"] or oid[:12],
            item=item,
            oid=oid,
            patch=patch,
            problem=problem,
        )


def _patch(page: Visit, oid: str) -> tuple[Patch, str]:
    """What a commit changed, or why that cannot be told."""
    try:
        return page.context.read_patch(oid), ""
    except RepositoryProblem as problem:
        return Patch(), problem.message


@router.get("/compare")
def compare(request: Request, older: str = "", newer: str = "") -> Response:
    """Two revisions side by side."""
    with visit(request) as page:
        older, newer = older.strip(), newer.strip()
        pairs, found = _differences(page, older, newer) if older else (None, [])
        return page.render(
            "compare.html",
            title="Compare revisions",
            changing=True,
            older=older,
            newer=newer,
            pairs=pairs,
            differences=found,
            shortened=len(found) >= MOST_DIFFERENCES,
            recent=some(page.catalog, "audit", limit=_OFFERED),
        )


def _differences(page: Visit, older: str, newer: str) -> tuple[tuple[str, str], list[Difference]]:
    """The oids of both revisions and what is not the same; the newer one is the page's by default."""
    serving = serving_of(page.request)
    with serving.open(older) as before:
        if not newer:
            return _between(before.catalog, page.catalog)
        with serving.open(newer) as after:
            return _between(before.catalog, after.catalog)


def _between(older: Catalog, newer: Catalog) -> tuple[tuple[str, str], list[Difference]]:
    found = list(islice(older.differences(newer), MOST_DIFFERENCES))
    return (older.pair.manifests, newer.pair.manifests), found


@router.get("/search")
def search(request: Request, q: str = "") -> Response:
    """Everything that some words are found in."""
    words = q.strip()[:200]
    with visit(request) as page:
        hits = page.catalog.search(words, limit=60) if words else []
        kinds = [kind for kind in _KIND_WORDS if any(hit.kind == kind for hit in hits)]
        found = [
            Found(
                kind,
                _KIND_WORDS[kind],
                tuple((hit.key, parse(hit.item)) for hit in hits if hit.kind == kind),
            )
            for kind in kinds
        ]
        return page.render("search.html", title="Search", q=words, found=found, count=len(hits))
