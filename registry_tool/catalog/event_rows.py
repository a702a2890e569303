"""Records and commits as rows: events that never change once they have happened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from registry_tool.catalog.inputs import Commit, RecordFile
from registry_tool.catalog.json_text import dumps, members
from registry_tool.catalog.rows import (
    LARGEST,
    Fact,
    ItemRow,
    Value,
    Words,
    flag,
    present,
    release_columns,
    release_facts,
)
from registry_tool.domain.records import Build, DeploymentRecord, Request

MOST_CHANGES = 100
"""Changed files that an audit item names; the rest is counted."""
_RECORD_ENDING = ".yaml"


def record_row(file: RecordFile) -> ItemRow:
    """What is stored of a record."""
    key = record_key(file.path)
    match file.record:
        case Build() as build:
            return _build(key, file.sequence, build)
        case DeploymentRecord() as record:
            return _deployment_record(key, file.sequence, record)
        case Request() as request:
            return _request(key, file.sequence, request)


def record_key(path: str) -> str:
    """The id of a record's item."""
    return path.removesuffix(_RECORD_ENDING)


def record_kind(path: str) -> str | None:
    """The kind of the records in a folder, or None for other files."""
    folder = path.partition("/")[0]
    return {
        "builds": "builds",
        "deployments": "deployment-records",
        "requests": "requests",
    }.get(folder)


def _build(key: str, sequence: int, build: Build) -> ItemRow:
    spec = build.spec
    head = {
        "id": key,
        "subject": build.release.subject,
        "release": str(build.release),
        "sequence": sequence,
        "seconds": spec.timings.seconds,
        "labels": build.metadata.labels,
        "annotations": build.metadata.annotations,
    }
    columns: dict[str, Value] = {
        "key": key,
        **release_columns(build.release),
        "sequence": sequence,
        "build_key": spec.key,
        "store": spec.store,
        "result": spec.result.value,
        "builder": spec.builder,
        "adopted": int(spec.adopted),
        "started": spec.timings.started_at.timestamp(),
        "finished": spec.timings.finished_at.timestamp(),
        "seconds": spec.timings.seconds,
        "uploaded": min(spec.bytes.upload, LARGEST),
        "reused": min(spec.bytes.reuse, LARGEST),
        "body": _whole(head, spec.model_dump_json(by_alias=True)),
    }
    facts = (
        *release_facts(build.release),
        ("result", spec.result.value),
        ("builder", spec.builder),
        ("store", spec.store),
        ("adopted", flag(spec.adopted)),
    )
    words = Words(str(build.release), spec.result.value, spec.error or "")
    return ItemRow("builds", columns, facts, words)


def _deployment_record(key: str, sequence: int, record: DeploymentRecord) -> ItemRow:
    spec = record.spec
    release = spec.release.id
    head = {
        "id": key,
        "subject": record.deployment.subject,
        "deployment": str(record.deployment),
        "sequence": sequence,
        "seconds": spec.timings.seconds,
        "labels": record.metadata.labels,
        "annotations": record.metadata.annotations,
    }
    author = spec.who.author.name if spec.who else None
    columns: dict[str, Value] = {
        "key": key,
        **release_columns(release),
        "deployment": str(record.deployment),
        "environment": spec.environment,
        "name": spec.name,
        "sequence": sequence,
        "deployment_key": spec.key,
        "result": spec.result.value,
        "health": spec.health,
        "who": author,
        "started": spec.timings.started_at.timestamp(),
        "finished": spec.timings.finished_at.timestamp(),
        "seconds": spec.timings.seconds,
        "body": _whole(head, spec.model_dump_json(by_alias=True)),
    }
    facts = (
        ("environment", spec.environment),
        ("name", spec.name),
        *release_facts(release),
        ("result", spec.result.value),
        ("health", spec.health),
        *present({"author": author}),
    )
    words = Words(f"{record.deployment} {release}", spec.result.value, spec.error or "")
    return ItemRow("deployment-records", columns, facts, words)


def _request(key: str, sequence: int, request: Request) -> ItemRow:
    spec = request.spec
    head = {
        "id": key,
        "sequence": sequence,
        "labels": request.metadata.labels,
        "annotations": request.metadata.annotations,
    }
    columns: dict[str, Value] = {
        "key": key,
        "sequence": sequence,
        "target": spec.subject,
        "requested": spec.requested_at.timestamp(),
        "body": _whole(head, spec.model_dump_json(by_alias=True)),
    }
    facts = (("action", spec.action), ("requested_by", spec.requested_by.name))
    return ItemRow("requests", columns, facts, Words(spec.subject, spec.requested_by.name))


def _whole(head: dict[str, object], spec: str) -> str:
    return f"{dumps(head)[:-1]}{members(spec)}}}"


# --- commits -------------------------------------------------------------------------------------


class About(NamedTuple):
    """What a path is about, by where files of each kind belong."""

    kind: str
    """``model``, ``release`` …"""
    subject: str
    model: str | None = None
    environment: str | None = None


def about(path: str) -> About | None:
    """What a manifest or template file declares if it lies where it belongs."""
    parts = path.split("/")
    match parts:
        case ["manifests", "registry.yaml"]:
            return About("registry", "registry")
        case ["manifests", "models", name]:
            return About("model", f"model/{_stem(name)}", model=_stem(name))
        case ["manifests", "releases", model, version, name]:
            stem = _stem(name).removesuffix(".lock")
            return About("release", f"release/{model}/{version}/{stem}", model=model)
        case ["manifests", "environments", name]:
            return About("environment", f"environment/{_stem(name)}", environment=_stem(name))
        case ["manifests", "deployments", environment, name]:
            subject = f"deployment/{environment}/{_stem(name)}"
            return About("deployment", subject, environment=environment)
        case ["manifests", "api-keys", name]:
            return About("api-key", f"api-key/{_stem(name)}")
        case ["build_templates", name, *_]:
            return About("template", f"template/{name}")
    return None


def paths_about(subject: str) -> tuple[str, ...]:
    """Where the files of a subject belong; a folder ends in a slash. The inverse of `about`."""
    kind, _, name = subject.partition("/")
    match kind:
        case "registry":
            return ("manifests/registry.yaml",)
        case "release":
            return (f"manifests/releases/{name}.yaml", f"manifests/releases/{name}.lock.yaml")
        case "template":
            return (f"build_templates/{name}/",)
        case "model" | "environment" | "deployment" | "api-key":
            return (f"manifests/{kind}s/{name}.yaml",)
    return ()


def _stem(name: str) -> str:
    return name.removesuffix(".yaml").removesuffix(".yml")


def commit_row(commit: Commit) -> ItemRow:
    """What is stored of a commit, its touches apart."""
    brief = {
        "oid": commit.oid,
        "author": commit.author.model_dump(),
        "authored_at": commit.authored_at.isoformat(),
        "committer": commit.committer.model_dump(),
        "committed_at": commit.committed_at.isoformat(),
        "message": commit.message,
    }
    shown = [
        {
            "path": touch.path,
            "status": touch.arrived or touch.status,
            "origin": touch.origin,
            "about": found.subject if (found := about(touch.path)) else None,
        }
        for touch in commit.touches[:MOST_CHANGES]
    ]
    item = {
        "id": commit.oid,
        **brief,
        "body": commit.body,
        "approved_by": commit.approved_by,
        "is_merge": commit.is_merge,
        "change_count": len(commit.touches),
        "changes": shown,
    }
    columns: dict[str, Value] = {
        "key": commit.oid,
        "step": commit.step,
        "brief": dumps(brief),
        "committed": commit.committed_at.timestamp(),
        "authored": commit.authored_at.timestamp(),
        "body": dumps(item),
    }
    people = f"{commit.author.name} {commit.author.email} {commit.committer.name}"
    return ItemRow(
        "audit", columns, tuple(_commit_facts(commit)), Words(commit.message, people, commit.body)
    )


def _commit_facts(commit: Commit) -> Iterator[Fact]:
    yield "author", commit.author.name
    yield "committer", commit.committer.name
    for value in dict.fromkeys(commit.approved_by):
        yield "approved_by", value
    found: dict[Fact, None] = {}
    for touch in commit.touches:
        subject = about(touch.path)
        if subject is None:
            continue
        found["kind", subject.kind] = None
        if subject.model is not None:
            found["model", subject.model] = None
        if subject.environment is not None:
            found["environment", subject.environment] = None
    yield from found
