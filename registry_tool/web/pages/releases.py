"""Releases: the list, and one release with everything that is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from registry_tool.catalog.queries import Catalog
from registry_tool.domain.subjects import ReleaseId, parse_release
from registry_tool.errors import UsageProblem
from registry_tool.web.pages.gates import Gate, gates_before
from registry_tool.web.pages.items import Item, find, require, some
from registry_tool.web.pages.list_specs import (
    FacetSpec,
    ListSpec,
    RangeSpec,
    parameters_text,
    yes_no,
)
from registry_tool.web.pages.lists import list_page
from registry_tool.web.pages.visits import Visit, visit

router = APIRouter()
_PLACES = 12
"""Environments whose gates a release page looks at."""

RELEASES = ListSpec(
    "releases",
    "/releases",
    sorts=("name", "stage", "size", "updated", "built"),
    descending=frozenset(("size", "updated", "built")),
    facets=(
        FacetSpec("stage", "Stage"),
        FacetSpec("quantization", "Quantization"),
        FacetSpec("company", "Company"),
        FacetSpec("base_model", "Base model"),
        FacetSpec("tags", "Tag"),
        FacetSpec("parameter_count", "Parameters", parameters_text),
        FacetSpec("template", "Template"),
        FacetSpec("environment", "Deployed to"),
        FacetSpec("result", "Build"),
        FacetSpec("locked", "Locked", yes_no),
        FacetSpec("yanked", "Yanked", yes_no),
        FacetSpec("platform", "Platform"),
        FacetSpec("model", "Model"),
        FacetSpec("label", "Label"),
    ),
    ranges=(RangeSpec("parameter_count", "Parameters", ("1B", "70B")),),
)


@dataclass(frozen=True)
class Command:
    """A command that does what the page cannot."""

    label: str
    text: str


@router.get("/releases")
def releases(request: Request) -> Response:
    """All releases."""
    with visit(request) as page:
        return page.render("releases.html", title="Releases", list=list_page(page, RELEASES))


@router.get("/releases/{model}/{version}")
@router.get("/releases/{model}/{version}/{quantization}")
def release(request: Request, model: str, version: str, quantization: str = "none") -> Response:
    """One release."""
    identity = release_id(f"{model}/{version}/{quantization}")
    name = str(identity)
    with visit(request) as page:
        if not request.url.path.endswith(f"/{name}"):
            return RedirectResponse(page.links.subject(identity.subject), 308)
        item = require(page.catalog, "releases", name)
        builds = some(page.catalog, "builds", release=name, limit=50)
        return page.render(
            "release.html",
            title=name,
            item=item,
            identity=identity,
            model=find(page.catalog, "models", model),
            builds=builds,
            build=image_build(builds),
            pull=_pull(page, image_build(builds)),
            records=some(page.catalog, "deployment-records", release=name, limit=50),
            changes=some(page.catalog, "audit", about=identity.subject, limit=20),
            commands=release_commands(page.catalog, item, identity, builds),
        )


@router.get("/releases/{model}/{version}/{quantization}/gates")
def release_gates(request: Request, model: str, version: str, quantization: str) -> Response:
    """Where a release may go now, as a part of its page."""
    name = f"{model}/{version}/{quantization}"
    with visit(request) as page:
        item = require(page.catalog, "releases", name)
        return page.render(
            "release_gates.html",
            title=f"Where {name} may go",
            changing=True,
            item=item,
            places=_places(page, item),
        )


def _places(page: Visit, release: Item) -> list[tuple[str, list[Gate]]]:
    """Environments that do not want a release yet, with their gates in front of it."""
    if release["yanked"]:
        return []
    wanted = {entry["environment"] for entry in release["deployments"] if entry["wanted"]}
    environments = some(page.catalog, "environments", limit=_PLACES)
    return [
        (environment["name"], gates_before(page, environment, release))
        for environment in environments
        if environment["name"] not in wanted
    ]


def release_id(text: str) -> ReleaseId:
    """The release that an address names; HTTPException 404 when it cannot be one."""
    try:
        return parse_release(text)
    except UsageProblem as problem:
        raise HTTPException(404, problem.message) from problem


def image_build(builds: Sequence[Item]) -> Item | None:
    """The build that the image comes from: the newest that succeeded and was not pruned."""
    pruned = set()
    for build in builds:
        if build["result"] == "pruned":
            pruned.add(build["key"])
        elif build["result"] == "succeeded" and build["key"] not in pruned:
            return build
    return None


def _pull(page: Visit, build: Item | None) -> str:
    """The command that pulls the complete image; empty while there is none."""
    if build is None or not build["images"]:
        return ""
    reference = build["images"][0]["reference"]
    if build["store"] == page.context.store.name:
        reference = f"{page.view.tip.registry.images.served_at}/{reference}"
    return f"docker pull {reference}"


def release_commands(
    catalog: Catalog, item: Item, identity: ReleaseId, builds: Sequence[Item]
) -> list[Command]:
    """What people may want to do next, most likely first."""
    name = str(identity)
    found = []
    if not item.get("lock"):
        found.append(Command("Lock its files", f"registry-tool lock {name}"))
    if builds and builds[0]["result"] == "failed":
        found.append(Command("Try the build again", f"registry-tool retry {name}"))
    elif not builds and not item["auto_build"]:
        found.append(Command("Build it", f"registry-tool build {name}"))
    if item["stage"] == "released":
        found.append(Command("Demote to candidate", f"registry-tool demote {name}"))
        found.append(Command("Deprecate", f"registry-tool stage {name} deprecated"))
    else:
        found.append(Command("Promote to released", f"registry-tool promote {name}"))
    if item["yanked"]:
        found.append(Command("Take the yank back", f"registry-tool yank {name} --undo"))
    else:
        place = f"{_next_place(catalog, item)}/{identity.model}"
        found.append(Command("Deploy", f"registry-tool new deployment {place} --release {name}"))
        found.append(Command("Yank", f'registry-tool yank {name} --reason "…"'))
    if item.get("lock"):
        found.append(Command("Get the files", f"registry-tool artifact pull {name}"))
    if item["stage"] == "candidate":
        found.append(Command("Add a file", f"registry-tool artifact add {name} FILE"))
    return found


def _next_place(catalog: Catalog, release: Item) -> str:
    """An environment that takes the release and does not have it, rather one that others promote from."""
    has = {entry["environment"] for entry in release["deployments"]}
    names = [
        environment["name"]
        for environment in some(catalog, "environments", limit=_PLACES, sort=("name",))
        if release["stage"] in environment["accepts"] and environment["name"] not in has
    ]
    first = next((name for name in names if _is_promoted_from(catalog, name)), None)
    return first or next(iter(names), "ENVIRONMENT")


def _is_promoted_from(catalog: Catalog, name: str) -> bool:
    return bool(some(catalog, "environments", promote_from=name, limit=1))
