"""What a release shows of its lock, its model, its builds and the places where it runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from registry_tool.catalog.context import Context, stored_facts
from registry_tool.catalog.json_text import dumps, members
from registry_tool.catalog.release_sources import Build, Lock, Sources
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


def retag_releases(context: Context, model: str, others: Collection[str]) -> None:
    """Let the releases of a model take over what it gives them now, except for `others`."""
    taken = model_facts(context, model)
    changed = []
    for item_id, key, terms, parameter_count in context.rows(
        "SELECT id, key, terms, parameter_count FROM releases WHERE model = ?", model
    ):
        if key in others:
            continue
        new = context.terms.assign_some("releases", (item_id, terms), _TAKEN_OVER, taken.facts)
        if (new, taken.parameter_count) != (terms, parameter_count):
            changed.append((new, taken.parameter_count, item_id))
    context.connection.executemany(
        "UPDATE releases SET terms = ?, parameter_count = ? WHERE id = ?", changed
    )


def derive_release(context: Context, sources: Sources, model: ModelFacts) -> None:
    """Derive one release."""
    lock = sources.lock
    lock_commit = context.tracer.changed(lock.path) if lock else None
    latest = sources.builds[0] if sources.builds else None
    image = _image_build(sources.builds)
    derived: tuple[Fact, ...] = (
        ("result", latest.result if latest else "none"),
        ("locked", flag(lock)),
        *(("environment", at.environment) for at in sources.places if at.running == sources.key),
    )
    columns: dict[str, Value] = {
        "parameter_count": model.parameter_count,
        "size": lock.size if lock else None,
        "built": image.finished if image else None,
        "image_build": image.id if image else None,
        "extra": _lock_member(context, lock, lock_commit) + _extra(context, sources, latest, image),
    }
    traced = context.tracer.file(sources.path, lock_commit)
    all_facts = (*stored_facts(sources.facts), *model.facts, *derived)
    item = (sources.id, sources.terms)
    context.store_derived("releases", item, traced, all_facts, columns)


def _image_build(builds: Sequence[Build]) -> Build | None:
    """The newest succeeded build whose images were not pruned since."""
    pruned = set()
    for build in builds:
        if build.result == _PRUNED:
            pruned.add(build.build_key)
        elif build.result == _SUCCEEDED and build.build_key not in pruned:
            return build
    return None


def _extra(context: Context, sources: Sources, latest: Build | None, image: Build | None) -> str:
    body = _body(context, latest) if latest else None
    image_body = body if image == latest else _body(context, image) if image else None
    extra = {
        "build": _latest_build(latest, body) if latest else None,
        "image_build": image.key if image else None,
        "images": image_body["images"] if image_body else [],
        "deployments": [
            {
                "environment": at.environment,
                "name": at.name,
                "state": at.state,
                "wanted": at.wanted == sources.key,
                "running": at.running == sources.key,
            }
            for at in sources.places
        ],
    }
    return members(dumps(extra))


def _lock_member(context: Context, lock: Lock | None, commit_id: int | None) -> str:
    if lock is None:
        return ',"lock":null'
    git = dumps({"path": lock.path, "oid": lock.oid, "commit": context.tracer.oid(commit_id)})
    return f',"lock":{{"git":{git}{lock.summary}}}'


def _body(context: Context, build: Build) -> Any:
    return json.loads(context.row("SELECT body FROM builds WHERE id = ?", build.id)[0])


def _latest_build(build: Build, body: Any) -> dict[str, Any]:
    return {
        "id": build.key,
        "sequence": build.sequence,
        "key": build.build_key,
        "result": build.result,
        "builder": build.builder,
        "finished_at": body["timings"]["finished_at"],
        "error": body["error"],
    }
