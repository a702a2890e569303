"""Templates and what they all need: where the visitor is, what is served, how values are written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from registry_tool.web import text
from registry_tool.web.markdown import excerpt, notes_excerpt, render_markdown
from registry_tool.web.pages import presenting
from registry_tool.web.pages.links import Links
from registry_tool.web.paths import route_path
from registry_tool.web.serving import Serving, View

if TYPE_CHECKING:
    from registry_tool.catalog.queries import About, KeyRecord

TEMPLATES = Path(__file__).parent.parent / "templates"
STATIC = Path(__file__).parent.parent / "static"
NAVIGATION = (
    ("/models", "Models"),
    ("/releases", "Releases"),
    ("/deployments", "Deployments"),
    ("/builds", "Builds"),
    ("/artifacts", "Artifacts"),
    ("/activity", "Activity"),
    ("/registry", "Registry"),
)
_SECTIONS = {
    "/environments": "/deployments",
    "/templates": "/registry",
    "/api-keys": "/registry",
    "/compare": "/activity",
}
"""Pages below these belong to another entry of the navigation."""


@dataclass(frozen=True)
class Site:
    """What the frame of a page shows."""

    title: str
    """Of the registry."""
    version: str
    """Of the program."""
    path: str
    """Of this page, without prefix and query."""
    query: Mapping[str, tuple[str, ...]]
    """Of this page, without ``at``."""
    at: str | None = None
    """The revision in the address; None is the newest."""
    served: str = ""
    """The newest revision that is served; empty before there is one, and where a key is needed to know."""
    etag: str = ""
    """Names what is shown; the events of the server name the same."""
    about: About | None = None
    """The revision that is shown; None on pages that show none."""
    key_holder: str | None = None
    """Who is logged in."""
    edit_url: str | None = None
    """Where the forge edits a file, with ``{path}``."""
    serving_problem: str | None = None
    """Why the newest revision is not served."""
    navigable: bool = False
    """Whether the visitor may go to other pages."""

    @property
    def section(self) -> str:
        """The entry of the navigation that this page belongs to."""
        first = "/" + self.path.split("/")[1]
        return _SECTIONS.get(first, first)

    def edit_link(self, path: str | None) -> str | None:
        """The forge's page that edits a manifest."""
        if not self.edit_url or not path:
            return None
        from urllib.parse import quote

        return self.edit_url.replace("{path}", quote(path))


def render(
    request: Request,
    template: str,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A page that follows from no revision."""
    return HTMLResponse(page_text(request, template, **values), status)


def page_text(request: Request, template: str, *, view: View | None = None, **values: Any) -> str:
    """A page as HTML. `values` are what its template documents in its first lines."""
    site = _site(request, view)
    links = Links(root_path(request), site.at)
    page = _environment().get_template(template)
    return page.render(site=site, url=links, navigation=NAVIGATION, **values)


def key_holder(request: Request) -> str | None:
    """Who is logged in."""
    holder: KeyRecord | None = request.scope.get("registry_tool.api_key")
    return holder.owner if holder else None


def root_path(request: Request) -> str:
    """The prefix under which a proxy offers the index."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/")


def _site(request: Request, view: View | None) -> Site:
    serving: Serving = request.app.state.serving
    query: dict[str, tuple[str, ...]] = {}
    for name, value in request.query_params.multi_items():
        if name != "at":
            query[name] = (*query.get(name, ()), value)
    holder = key_holder(request)
    return Site(
        title=serving.settings.title,
        version=serving.context.version,
        path=route_path(request.scope),
        query=query,
        at=view.at if view else None,
        served=_served(serving),
        etag=view.etag if view else "",
        about=view.catalog.about() if view else None,
        key_holder=holder,
        edit_url=serving.settings.edit_url,
        serving_problem=serving.problem,
        navigable=serving.tip is not None
        and (holder is not None or not serving.settings.require_api_key),
    )


def _served(serving: Serving) -> str:
    if serving.tip is None or serving.settings.require_api_key:
        return ""
    return serving.tip.pair.revision.short


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=text.finalize,
        auto_reload=False,
    )
    environment.filters |= {
        "bytes": text.human_bytes,
        "parameters": text.human_count,
        "duration": text.human_seconds,
        "moment": _moment,
        "iso": _iso,
        "short": text.shortened,
        "counted": text.counted,
        "markdown": render_markdown,
        "excerpt": excerpt,
        "notes_excerpt": notes_excerpt,
        "number": "{:,}".format,
        "capitalize_first": lambda value: value[:1].upper() + value[1:],
        "build_page": presenting.build_page,
        "record_page": presenting.record_page,
        "release_name": presenting.release_name,
        "release_page": presenting.release_page,
        "short_revision": presenting.short_revision,
        "latest_by_deployment": presenting.latest_by_deployment,
        "people": presenting.people,
        "without_none": presenting.without_none,
        "manifest_fields": presenting.manifest_fields,
        "item_of": presenting.item_of,
    }
    environment.globals |= {"static": static_address, "results": RESULTS}
    return environment


RESULTS = {
    "succeeded": "good",
    "delegated": "good",
    "created": "good",
    "updated": "good",
    "healthy": "good",
    "released": "good",
    "running": "good",
    "deployed": "good",
    "satisfied": "good",
    "candidate": "info",
    "queued": "quiet",
    "unknown": "quiet",
    "pruned": "quiet",
    "removed": "quiet",
    "deleted": "quiet",
    "suspended": "warn",
    "waiting": "warn",
    "drift": "warn",
    "pending": "warn",
    "orphaned": "warn",
    "unresolved": "bad",
    "deprecated": "warn",
    "rolled_back": "warn",
    "unhealthy": "bad",
    "failed": "bad",
    "yanked": "bad",
}
"""How a stage, result or state is coloured."""


def _when(value: datetime | str) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _moment(value: datetime | str) -> str:
    return text.moment(_when(value))


def _iso(value: datetime | str) -> str:
    return _when(value).isoformat()


@cache
def _static_version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]


def static_address(url: Links, name: str) -> str:
    """The address of a file of this server, another one whenever its content changes."""
    return f"{url.plain(f'/static/{name}')}?v={_static_version(name)}"
