"""The dashboard: what there is, what happened, what needs somebody."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.catalog.queries import BuildDuration, DeploymentEvent, ModelStorage
from registry_tool.domain.live import active_builds
from registry_tool.web.charts import Bar, Duration, Event, bars, durations, timeline
from registry_tool.web.pages.items import some
from registry_tool.web.pages.links import Links
from registry_tool.web.pages.visits import visit
from registry_tool.web.text import human_bytes

router = APIRouter()
_RECENT = 7
_LARGEST = 8
_TROUBLE = ("failed", "rolled_back", "unresolved", "orphaned", "pending")
_COLUMNS = 60


@router.get("/")
def dashboard(request: Request) -> Response:
    """The first page."""
    with visit(request) as page:
        catalog, links = page.catalog, page.links
        events = catalog.timeline(limit=300)
        names = sorted({event.environment for event in events})
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
            cells=[cell for cell in catalog.matrix() if cell.state in _TROUBLE][:_RECENT],
        )


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
