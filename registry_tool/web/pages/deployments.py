"""Deployments: the matrix of environments and models, one deployment, one environment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.catalog.queries import Catalog, Cell
from registry_tool.web.pages.items import Item, find, require, some
from registry_tool.web.pages.releases import Command
from registry_tool.web.pages.visits import visit

router = APIRouter()
_ROWS = 100
_ENVIRONMENTS = 200


@dataclass(frozen=True)
class MatrixRow:
    """A model, and its deployments by environment."""

    model: str
    cells: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Gate:
    """A condition that an environment sets, for people."""

    name: str
    text: str


@router.get("/deployments")
def deployments(request: Request, q: str = "", state: str = "", offset: int = 0) -> Response:
    """What runs where."""
    with visit(request) as page:
        environments = some(page.catalog, "environments", limit=_ENVIRONMENTS)
        cells = page.catalog.matrix()
        chosen = [cell for cell in cells if _wanted(cell, q, state)]
        names = _columns(environments, chosen)
        models = sorted({cell.model for cell in chosen})
        start = max(0, offset)
        shown = models[start : start + _ROWS]
        return page.render(
            "deployments.html",
            title="Deployments",
            environments=[(name, _named(environments, name)) for name in names],
            gates={item["name"]: gates(item) for item in environments},
            rows=[_row(model, names, chosen) for model in shown],
            states=sorted({cell.state for cell in cells}),
            q=q,
            state=state,
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


def gates(environment: Item) -> list[Gate]:
    """What must hold before something is deployed to an environment."""
    found = [Gate("accepts", ", ".join(environment["accepts"]) or "no stage")]
    if environment["promote_from"]:
        soak = f" for {environment['soak']}" if environment["soak"] else ""
        found.append(Gate("promotes from", f"{environment['promote_from']}{soak}"))
    if environment["approvals"]:
        approvals = environment["approvals"]
        whom = f" of {', '.join(approvals['from'])}" if approvals["from"] else ""
        found.append(Gate("approvals", f"{approvals['count']}{whom}"))
    found += [
        Gate("freeze", f"{freeze['schedule']} for {freeze['duration']} ({freeze['timezone']})")
        for freeze in environment["freeze"]
    ]
    return found


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
            key=key,
            item=item,
            environment=place,
            gates=gates(place) if place else [],
            records=records,
            changes=some(page.catalog, "audit", about=f"deployment/{key}", limit=20),
            commands=deployment_commands(page.catalog, item, environment, name, records),
        )


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
    if not item["track"]:
        found.append(Command("Roll back", f"registry-tool rollback {key}"))
    if item["suspend"]:
        found.append(Command("Resume", f"registry-tool resume {key}"))
    else:
        found.append(Command("Suspend", f"registry-tool suspend {key}"))
    return found


@router.get("/environments/{name}")
def environment(request: Request, name: str) -> Response:
    """One environment."""
    with visit(request) as page:
        item = require(page.catalog, "environments", name)
        return page.render(
            "environment.html",
            title=name,
            item=item,
            gates=gates(item),
            deployments=some(page.catalog, "deployments", environment=name, limit=500),
            records=some(page.catalog, "deployment-records", environment=name, limit=30),
            changes=some(page.catalog, "audit", about=f"environment/{name}", limit=20),
            following=some(page.catalog, "environments", promote_from=name),
        )
