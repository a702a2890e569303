"""The dashboard: what there is, what happened, what needs somebody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.catalog.queries import (
    BuildDuration,
    Catalog,
    Cell,
    DeploymentEvent,
    ModelStorage,
)
from registry_tool.domain.live import active_builds
from registry_tool.web.charts import Bar, Duration, Event, bars, durations, timeline
from registry_tool.web.pages.gates import waiting_for
from registry_tool.web.pages.items import find, some
from registry_tool.web.pages.links import Links
from registry_tool.web.pages.observations import observation_of
from registry_tool.web.pages.visits import visit
from registry_tool.web.text import human_bytes

router = APIRouter()
_RECENT = 7
_LARGEST = 8
_TROUBLE = ("failed", "rolled_back", "unresolved", "orphaned", "pending")
_WORST = ("failed", "rolled_back", "unresolved")
_COLUMNS = 60


@router.get("/")
def dashboard(request: Request) -> Response:
    """The first page."""
    with visit(request) as page:
        catalog, links = page.catalog, page.links
        events = catalog.timeline(limit=300)
        names = sorted({event.environment for event in events})
        cells = catalog.matrix()
        observation = observation_of(page, cells)
        trouble = [
            cell
            for cell in cells
            if cell.state in _TROUBLE or f"{cell.environment}/{cell.name}" in observation.drift
        ]
        trouble.sort(key=lambda cell: cell.state not in _WORST)
        return page.render(
            "dashboard.html",
            title="Dashboard",
            changing=True,
            counts=catalog.about().counts,
            totals=catalog.storage_totals(),
            storage=storage_bars(links, catalog.storage(limit=_LARGEST)),
            timeline=timeline(
                (_event(links, event) for event in events),
                [(name, links(f"/environments/{name}")) for name in names],
                page.now,
            ),
            durations=durations(
                [_duration(links, build) for build in catalog.build_durations(limit=_COLUMNS)]
            ),
            live=active_builds(page.context.live()),
            quiet=True,
            releases=some(catalog, "releases", sort=("-updated",), limit=_RECENT),
            records=some(catalog, "deployment-records", limit=_RECENT),
            changes=some(catalog, "audit", limit=_RECENT),
            failed=some(catalog, "releases", result="failed", limit=_RECENT),
            cells=trouble[:_RECENT],
            trouble=len(trouble),
            errors=_errors(catalog, trouble[:_RECENT]),
            waiting=waiting_for(page, trouble[:_RECENT], limit=_RECENT),
            observation=observation,
            states=sorted(Counter(cell.state for cell in cells).items()),
        )


def _errors(catalog: Catalog, cells: Sequence[Cell]) -> dict[str, str]:
    """Why what the records last say of deployments is no success, by ``<environment>/<name>``."""
    found = {}
    for cell in cells:
        item = find(catalog, "deployments", f"{cell.environment}/{cell.name}")
        if item and item["recorded"] and item["recorded"]["error"]:
            found[item["id"]] = item["recorded"]["error"]
    return found


def storage_bars(links: Links, models: Sequence[ModelStorage]) -> tuple[Bar, ...]:
    """The largest models by the bytes of their distinct files."""
    return bars(
        [
            (
                entry.model,
                links(f"/models/{entry.model}"),
                entry.unique_files,
                human_bytes(entry.unique_files),
            )
            for entry in models
        ]
    )


def _event(links: Links, event: DeploymentEvent) -> Event:
    name = f"{event.environment}/{event.name}"
    return Event(
        lane=event.environment,
        at=event.finished_at,
        result=event.result,
        href=links.record(event.key),
        title=f"{name}: {event.release} {event.result.replace('_', ' ')}",
    )


def _duration(links: Links, build: BuildDuration) -> Duration:
    return Duration(
        at=build.finished_at,
        seconds=build.seconds,
        result=build.result,
        href=links.record(build.key),
        title=f"{build.release} {build.result}{', adopted' if build.adopted else ''}",
    )
