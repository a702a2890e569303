"""Deployments: the matrix of environments and models, one deployment, one environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.catalog.queries import Catalog, Cell
from registry_tool.domain.subjects import DeploymentId
from registry_tool.web.pages.gates import Gate, declared_gates, gates_of, waiting_for
from registry_tool.web.pages.items import Item, find, require, some
from registry_tool.web.pages.observations import observation_at, observation_of
from registry_tool.web.pages.presenting import release_name
from registry_tool.web.pages.releases import Command
from registry_tool.web.pages.visits import Visit, visit

router = APIRouter()
_ROWS = 100
_ENVIRONMENTS = 200
_RAN = ("succeeded", "delegated")
_ASKED = 60
"""Deployments of one page whose gates are looked at."""


@dataclass(frozen=True)
class MatrixRow:
    """A model, and its deployments by environment."""

    model: str
    cells: tuple[tuple[Cell, ...], ...]


@router.get("/deployments")
def deployments(
    request: Request, q: str = "", state: str = "", environment: str = "", offset: int = 0
) -> Response:
    """What runs where."""
    with visit(request) as page:
        environments = some(page.catalog, "environments", limit=_ENVIRONMENTS)
        cells = page.catalog.matrix()
        every = _columns(environments, cells)
        chosen = [
            cell
            for cell in cells
            if _wanted(cell, q, state) and environment in {"", cell.environment}
        ]
        names = [name for name in every if environment in {"", name}]
        models = sorted({cell.model for cell in chosen})
        start = max(0, offset)
        shown = models[start : start + _ROWS]
        visible = [cell for cell in chosen if cell.model in set(shown)]
        return page.render(
            "deployments.html",
            title="Deployments",
            # Gates open and engines drift while the revision stays what it is.
            changing=True,
            environments=[(name, _named(environments, name)) for name in names],
            gates={item["name"]: declared_gates(item) for item in environments},
            waiting=waiting_for(page, visible, limit=_ASKED),
            observation=observation_of(page, cells),
            rows=[_row(model, names, visible) for model in shown],
            states=sorted({cell.state for cell in cells}),
            q=q,
            state=state,
            environment=environment,
            every=every,
            total=len(models),
            offset=start,
            following=start + _ROWS if start + _ROWS < len(models) else None,
            count=len(cells),
        )


def _wanted(cell: Cell, q: str, state: str) -> bool:
    text = f"{cell.model} {cell.environment}/{cell.name} {cell.wanted or ''} {cell.running or ''}"
    return (not state or cell.state == state) and all(word in text for word in q.lower().split())


def _columns(environments: Sequence[Item], cells: Sequence[Cell]) -> list[str]:
    """All environments, each after the one that it promotes from; then those that only records know."""
    parents = {item["name"]: item["promote_from"] for item in environments}

    def depth(name: str) -> int:
        count, at = 0, parents.get(name)
        while at is not None and count < len(parents):
            count, at = count + 1, parents.get(at)
        return count

    declared = sorted(parents, key=lambda name: (depth(name), name))
    return declared + sorted({cell.environment for cell in cells} - parents.keys())


def _named(environments: Sequence[Item], name: str) -> Item | None:
    return next((item for item in environments if item["name"] == name), None)


def _row(model: str, environments: Sequence[str], cells: Sequence[Cell]) -> MatrixRow:
    own = [cell for cell in cells if cell.model == model]
    return MatrixRow(
        model,
        tuple(
            tuple(cell for cell in own if cell.environment == environment)
            for environment in environments
        ),
    )


@router.get("/deployments/{environment}/{name}")
def deployment(request: Request, environment: str, name: str) -> Response:
    """One deployment."""
    key = f"{environment}/{name}"
    with visit(request) as page:
        item = require(page.catalog, "deployments", key)
        place = find(page.catalog, "environments", environment)
        records = some(page.catalog, "deployment-records", deployment=key, limit=50)
        return page.render(
            "deployment.html",
            title=key,
            changing=True,
            key=key,
            item=item,
            environment=place,
            gates=_gates(page, place, item),
            drift=observation_at(page, [DeploymentId(environment, name)]).drift.get(key, ()),
            records=records,
            changes=some(page.catalog, "audit", about=f"deployment/{key}", limit=20),
            commands=deployment_commands(page.catalog, item, environment, name, records),
        )


def _gates(page: Visit, environment: Item | None, item: Item) -> list[Gate]:
    if environment is None:
        return []
    return gates_of(page, environment, item) if item["declared"] else declared_gates(environment)


@router.get("/deployments/{environment}/{name}/{record}")
def deployment_record(request: Request, environment: str, name: str, record: str) -> Response:
    """One record of a deployment."""
    key = f"{environment}/{name}"
    with visit(request) as page:
        item = require(page.catalog, "deployment-records", f"deployments/{key}/{record}")
        return page.render("record.html", title=f"Record of {key}", item=item, key=key)


def deployment_commands(
    catalog: Catalog, item: Item, environment: str, name: str, records: Sequence[Item]
) -> list[Command]:
    """What people may want to do next, most likely first."""
    key = f"{environment}/{name}"
    if not item["declared"]:
        return []
    found = []
    if records and records[0]["result"] in {"failed", "rolled_back"}:
        found.append(Command("Try again", f"registry-tool retry {key}"))
    for target in some(catalog, "environments", promote_from=environment, limit=20):
        to = target["name"]
        text = f"registry-tool promote {name} --from {environment} --to {to}"
        found.append(Command(f"Promote to {to}", text))
    to = _earlier(catalog, item, records) or "RELEASE"
    found.append(Command("Roll back", f"registry-tool rollback {key} --to {to}"))
    if item["suspend"]:
        found.append(Command("Resume", f"registry-tool resume {key}"))
    else:
        found.append(Command("Suspend", f"registry-tool suspend {key}"))
    return found


def _earlier(catalog: Catalog, item: Item, records: Sequence[Item]) -> str | None:
    """The release that ran before what is wanted now, and that may still run."""
    accepted = item["gates"]["accepts"] if item["gates"] else ()
    for record in records:
        name = release_name(record["release"])
        if record["result"] in _RAN and name != item["wanted"]:
            release = find(catalog, "releases", name)
            if release and not release["yanked"] and release["stage"] in accepted:
                return name
    return None


@router.get("/environments/{name}")
def environment(request: Request, name: str) -> Response:
    """One environment."""
    with visit(request) as page:
        item = require(page.catalog, "environments", name)
        return page.render(
            "environment.html",
            title=name,
            item=item,
            gates=declared_gates(item),
            deployments=some(page.catalog, "deployments", environment=name, limit=500),
            records=some(page.catalog, "deployment-records", environment=name, limit=30),
            changes=some(page.catalog, "audit", about=f"environment/{name}", limit=20),
            following=some(page.catalog, "environments", promote_from=name),
        )
