"""Builds: those that wait and run now, all that were recorded, and one with its log."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.domain.live import active_builds
from registry_tool.web.build_logs import recorded_log
from registry_tool.web.pages.items import Item, require, some
from registry_tool.web.pages.list_specs import FacetSpec, ListSpec, yes_no
from registry_tool.web.pages.lists import list_page
from registry_tool.web.pages.visits import Visit, visit

router = APIRouter()
LOG_LIMIT = 200_000
"""Characters of a log on a page, from its end."""

BUILDS = ListSpec(
    "builds",
    "/builds",
    sorts=("release", "seconds", "uploaded", "finished"),
    descending=frozenset(("seconds", "uploaded", "finished")),
    facets=(
        FacetSpec("result", "Result"),
        FacetSpec("builder", "Builder"),
        FacetSpec("store", "Store"),
        FacetSpec("adopted", "Adopted", yes_no),
        FacetSpec("model", "Model"),
        FacetSpec("quantization", "Quantization"),
    ),
)


@router.get("/builds")
def builds(request: Request) -> Response:
    """All builds."""
    with visit(request) as page:
        return page.render(
            "builds.html",
            title="Builds",
            changing=True,
            list=list_page(page, BUILDS),
            live=active_builds(page.context.live()),
            quiet=False,
        )


@router.get("/builds/live")
def live_builds(request: Request, quiet: bool = False) -> Response:
    """The part of the builds page that changes while something is built."""
    with visit(request) as page:
        live = active_builds(page.context.live())
        return page.render(
            "live_builds.html", title="Builds", changing=True, live=live, quiet=quiet
        )


@router.get("/builds/{model}/{version}/{quantization}/{record}")
def build(request: Request, model: str, version: str, quantization: str, record: str) -> Response:
    """One build."""
    with visit(request) as page:
        release = f"{model}/{version}/{quantization}"
        item = require(page.catalog, "builds", f"builds/{release}/{record}")
        return page.render(
            "build.html",
            title=f"Build of {release}",
            item=item,
            release=release,
            previous=_previous(page, item, release),
        )


@router.get("/builds/{model}/{version}/{quantization}/{record}/log")
def build_log(
    request: Request, model: str, version: str, quantization: str, record: str
) -> Response:
    """The log of one build, as a part of a page."""
    with visit(request) as page:
        item = require(page.catalog, "builds", f"builds/{model}/{version}/{quantization}/{record}")
        log = recorded_log(page.context, page.view.tip.registry, item)
        return page.render(
            "build_log.html",
            title=f"Log of {model}/{version}/{quantization}",
            changing=True,
            text=log.text[-LOG_LIMIT:],
            shortened=len(log.text) > LOG_LIMIT,
            problem=log.problem,
            item=item,
        )


def _previous(page: Visit, item: Item, release: str) -> Item | None:
    """The build of the same release before this one."""
    older = (
        entry
        for entry in some(page.catalog, "builds", release=release, sort=("-sequence",), limit=200)
        if entry["sequence"] < item["sequence"]
    )
    return next(older, None)
