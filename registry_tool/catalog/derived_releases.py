"""What a release shows of its lock, its model, its builds and the places where it runs."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from registry_tool.catalog.context import Context, stored_facts
from registry_tool.catalog.json_text import dumps, members
from registry_tool.catalog.rows import Fact, Value, flag
from registry_tool.domain.records import BuildResult

_PRUNED = BuildResult.PRUNED.value
_SUCCEEDED = BuildResult.SUCCEEDED.value


class ModelFacts(NamedTuple):
    """What releases take over from their model."""

    facts: tuple[Fact, ...] = ()
    parameter_count: int | None = None


_TAKEN_OVER = frozenset(("company", "base_model", "license", "tags", "parameter_count"))


def model_facts(context: Context, model: str) -> ModelFacts:
    """Filter values that a model gives to its releases."""
    found = context.row("SELECT facts, parameter_count FROM models WHERE key = ?", model)
    if found is None:
        return ModelFacts()
    facts = tuple(fact for fact in stored_facts(found[0]) if fact[0] in _TAKEN_OVER)
    return ModelFacts(facts, found[1])


class _Build(NamedTuple):
    """A Build in the store in use, as far as it matters here."""

    id: int
    key: str
    sequence: int
    build_key: str
    result: str
    builder: str
    finished: float


def derive_release(context: Context, key: str, model: ModelFacts) -> None:
    """Derive one release."""
    item_id, terms, path, facts = context.row(
        "SELECT id, terms, path, facts FROM releases WHERE key = ?", key
    )
    lock = context.row("SELECT path, oid, size, summary FROM locks WHERE key = ?", key)
    lock_commit = context.tracer.changed(lock[0]) if lock else None
    builds = _builds(context, key)
    latest = builds[0] if builds else None
    image = _image_build(builds)
    deployments = context.rows(
        "SELECT environment, name, state, wanted, running FROM deployments"
        " WHERE wanted = ? OR running = ? ORDER BY environment, name",
        key,
        key,
    )
    derived: tuple[Fact, ...] = (
        ("result", latest.result if latest else "none"),
        ("locked", flag(lock)),
        *(("environment", row[0]) for row in deployments if row[4] == key),
    )
    columns: dict[str, Value] = {
        "parameter_count": model.parameter_count,
        "size": lock[2] if lock else None,
        "built": image.finished if image else None,
        "image_build": image.id if image else None,
        "extra": _lock_member(context, lock, lock_commit)
        + _extra(context, key, latest, image, deployments),
    }
    traced = context.tracer.file(path, lock_commit)
    all_facts = (*stored_facts(facts), *model.facts, *derived)
    context.store_derived("releases", (item_id, terms), traced, all_facts, columns)


def _builds(context: Context, key: str) -> list[_Build]:
    """Newest first."""
    found = context.rows(
        "SELECT id, key, sequence, build_key, result, builder, finished FROM builds"
        " WHERE release = ? AND store = ? ORDER BY sequence DESC",
        key,
        context.store,
    )
    return [_Build(*row) for row in found]


def _image_build(builds: list[_Build]) -> _Build | None:
    """The newest succeeded build whose images were not pruned since."""
    pruned = set()
    for build in builds:
        if build.result == _PRUNED:
            pruned.add(build.build_key)
        elif build.result == _SUCCEEDED and build.build_key not in pruned:
            return build
    return None


def _extra(
    context: Context,
    key: str,
    latest: _Build | None,
    image: _Build | None,
    deployments: list[Any],
) -> str:
    extra = {
        "build": _latest_build(context, latest) if latest else None,
        "image_build": image.key if image else None,
        "images": _images(context, image) if image else [],
        "deployments": [
            {
                "environment": environment,
                "name": name,
                "state": state,
                "wanted": wanted == key,
                "running": running == key,
            }
            for environment, name, state, wanted, running in deployments
        ],
    }
    return members(dumps(extra))


def _lock_member(context: Context, lock: Any, commit_id: int | None) -> str:
    if lock is None:
        return ',"lock":null'
    path, oid, _, summary = lock
    git = dumps({"path": path, "oid": oid, "commit": context.tracer.oid(commit_id)})
    return f',"lock":{{"git":{git}{summary}}}'


def _latest_build(context: Context, build: _Build) -> dict[str, Any]:
    body = json.loads(context.row("SELECT body FROM builds WHERE id = ?", build.id)[0])
    return {
        "id": build.key,
        "sequence": build.sequence,
        "key": build.build_key,
        "result": build.result,
        "builder": build.builder,
        "finished_at": body["timings"]["finished_at"],
        "error": body["error"],
    }


def _images(context: Context, build: _Build) -> list[Any]:
    body = json.loads(context.row("SELECT body FROM builds WHERE id = ?", build.id)[0])
    images: list[Any] = body["images"]
    return images
