"""What a deployment wants, what runs, and how the two compare, by manifests and records alone."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from registry_tool.catalog.context import Context, stored_facts
from registry_tool.catalog.json_text import dumps, members
from registry_tool.catalog.ordering import version_order
from registry_tool.catalog.rows import Fact, Value, present, release_facts
from registry_tool.catalog.tracing import Traced
from registry_tool.catalog.tracked_releases import wanted_release
from registry_tool.domain.records import DeploymentResult
from registry_tool.domain.subjects import ReleaseId

_RUNS = (DeploymentResult.SUCCEEDED.value, DeploymentResult.DELEGATED.value)
_REMOVED = DeploymentResult.REMOVED.value
_FAILURE = DeploymentResult.FAILED.value
_FAILED = (_FAILURE, DeploymentResult.ROLLED_BACK.value)
_NOWHERE = Traced(None, None, None, None)


class _Record(NamedTuple):
    """A DeploymentRecord, as far as it matters here."""

    key: str
    release: str
    deployment_key: str
    result: str
    body: str


def derive_deployment(context: Context, key: str, wanted_key: str | None) -> set[str]:
    """Derive one deployment; its row ends when it is neither declared nor running.

    `wanted_key` is the deployment key that it should run with, if that is known. Returns the releases that show it,
    before or now.
    """
    mentioned = set(_mentioned(context, key))
    records = _records(context, key)
    latest = records[0] if records else None
    declared = context.row("SELECT 1 FROM deployments WHERE key = ? AND path IS NOT NULL", key)
    if not declared:
        _derive_orphan(context, key, latest)
    if declared or (latest is not None and latest.result != _REMOVED):
        _derive(context, key, records, wanted_key)
    mentioned.update(_mentioned(context, key))
    return {release for release in mentioned if release}


def _mentioned(context: Context, key: str) -> tuple[str | None, ...]:
    found = context.row("SELECT wanted, running FROM deployments WHERE key = ?", key)
    return (found[0], found[1]) if found else ()


def _records(context: Context, key: str) -> list[_Record]:
    """The latest record and those before it as far as what runs; newest first."""
    found = []
    query = (
        "SELECT key, release, deployment_key, result, body FROM deployment_records"
        " WHERE deployment = ? ORDER BY sequence DESC"
    )
    for row in context.connection.execute(query, (key,)):
        found.append(_Record(*row))
        if found[-1].result in (*_RUNS, _REMOVED):
            break
    return found


def _derive_orphan(context: Context, key: str, latest: _Record | None) -> None:
    """Make or remove the row of a deployment without a manifest."""
    known = context.row("SELECT id, terms FROM deployments WHERE key = ?", key)
    runs = latest is not None and latest.result != _REMOVED
    if known and not runs:
        context.terms.forget(*known)
        context.connection.execute("DELETE FROM deployments WHERE id = ?", (known[0],))
    elif latest is not None and runs:
        _write_orphan(context, key, latest)


def _write_orphan(context: Context, key: str, latest: _Record) -> None:
    release = ReleaseId(*latest.release.split("/"))
    environment, _, name = key.partition("/")
    head = {"id": key, "subject": f"deployment/{key}", "name": name, "environment": environment}
    columns: dict[str, Value] = {
        "key": key,
        "environment": environment,
        "name": name,
        "model": release.model,
        "version": release.version,
        "version_order": version_order(release.version),
        "quantization": release.quantization,
        "body": dumps(head | {"model": release.model})[1:-1],
        "facts": dumps(
            [
                *(("environment", environment), ("name", name), ("declared", "false")),
                *release_facts(release),
            ]
        ),
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    updates = ", ".join(f"{column} = excluded.{column}" for column in columns)
    context.connection.execute(
        f"INSERT INTO deployments ({names}) VALUES ({marks})"  # noqa: S608
        f" ON CONFLICT (key) DO UPDATE SET {updates}",
        tuple(columns.values()),
    )


def _derive(context: Context, key: str, records: list[_Record], wanted_key: str | None) -> None:
    row = context.row(
        "SELECT id, terms, path, facts, environment, suspend FROM deployments WHERE key = ?", key
    )
    item_id, terms, path, facts, environment, suspend = row
    latest = records[0] if records else None
    running = next((record for record in records if record.result in _RUNS), None)
    wanted = wanted_release(context, key)
    stage = context.row("SELECT stage FROM releases WHERE key = ?", wanted) if wanted else None
    state = _why_not(bool(path), bool(suspend), stage is not None) or _progress(
        latest, running, wanted, wanted_key
    )
    latest_body = json.loads(latest.body) if latest else None
    gates = context.row(
        "SELECT gates, target, target_type FROM environments WHERE key = ?", environment
    )
    extra = {
        "declared": path is not None,
        "wanted": wanted,
        "state": state,
        "recorded": _recorded(latest_body),
        "running": _running(json.loads(running.body)) if running else None,
    }
    gates_text = (
        f',"gates":{gates[0]},"target":{gates[1]}' if gates else ',"gates":null,"target":null'
    )
    health = latest_body["health"] if latest_body else None
    context.store_derived(
        "deployments",
        (item_id, terms),
        context.tracer.file(path) if path else _NOWHERE,
        (
            *stored_facts(facts),
            ("state", state),
            *_derived_facts(wanted, stage, latest, health, gates),
        ),
        {
            "wanted": wanted,
            "running": running.release if running else None,
            "state": state,
            "health": health,
            "since": _since(context, latest),
            "extra": members(dumps(extra)) + gates_text,
        },
    )


def _derived_facts(
    wanted: str | None, stage: Any, latest: _Record | None, health: str | None, gates: Any
) -> list[Fact]:
    return list(
        present(
            {
                "release": wanted,
                "stage": stage[0] if stage else None,
                "result": latest.result if latest else None,
                "health": health,
                "target": gates[2] if gates else None,
            }
        )
    )


def _since(context: Context, latest: _Record | None) -> float | None:
    if latest is None:
        return None
    found = context.row("SELECT finished FROM deployment_records WHERE key = ?", latest.key)
    return float(found[0])


def _why_not(declared: bool, suspended: bool, resolved: bool) -> str | None:
    """Why there is nothing to do."""
    if not declared:
        return "orphaned"
    if suspended:
        return "suspended"
    return None if resolved else "unresolved"


def _progress(
    latest: _Record | None, running: _Record | None, wanted: str | None, wanted_key: str | None
) -> str:
    """How far what is wanted is done, as the planner sees it; where the key is not known, by the release alone."""

    def is_wanted(record: _Record | None) -> bool:
        if record is None:
            return False
        return (
            record.release == wanted if wanted_key is None else record.deployment_key == wanted_key
        )

    if latest is not None and latest.result in _FAILED and is_wanted(latest):
        return latest.result
    # After a failure of something else what ran before has to be put in place again.
    settled = latest is not None and latest.result != _FAILURE
    return "deployed" if is_wanted(running) and (settled or wanted_key is None) else "pending"


def _recorded(record: Any) -> dict[str, Any] | None:
    if record is None:
        return None
    names = ("id", "digest", "image", "build_key", "result", "health", "revision", "error")
    return {
        **{name: record[name] for name in names},
        "release": _release_of(record),
        "since": record["timings"]["finished_at"],
        "who": record["who"],
    }


def _running(record: Any) -> dict[str, Any]:
    return {
        "id": record["id"],
        "release": _release_of(record),
        "digest": record["digest"],
        "since": record["timings"]["finished_at"],
        "who": record["who"],
    }


def _release_of(record: Any) -> str:
    release = record["release"]
    return f"{release['model']}/{release['version']}/{release['quantization']}"
