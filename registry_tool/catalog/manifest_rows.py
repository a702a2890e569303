"""Manifests as rows: their fields as JSON for items, and the filter values that follow from one manifest alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import JsonValue

from registry_tool.catalog.inputs import ManifestFile
from registry_tool.catalog.json_text import dumps, members
from registry_tool.catalog.ordering import version_order
from registry_tool.catalog.rows import (
    LARGEST,
    Fact,
    ItemRow,
    LockRow,
    RegistryRow,
    Value,
    Words,
    flag,
    present,
    release_columns,
    release_facts,
    seconds,
)
from registry_tool.domain.api_key import ApiKey
from registry_tool.domain.build_template import BuildTemplate
from registry_tool.domain.deployment import Deployment
from registry_tool.domain.environment import Environment
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.model import Model
from registry_tool.domain.registry import Registry
from registry_tool.domain.release import ArtifactLock, Release
from registry_tool.domain.versions import is_prerelease


def manifest_rows(file: ManifestFile) -> ItemRow | LockRow | RegistryRow:
    """What is stored of a manifest."""
    match file.manifest:
        case Model() as model:
            return _item(
                "models", file, _model_columns(model), _model_facts(model), _model_words(model)
            )
        case Release() as release:
            return _release(file, release)
        case ArtifactLock() as lock:
            return _lock(file, lock)
        case Environment() as environment:
            return _environment(file, environment)
        case Deployment() as deployment:
            return _deployment(file, deployment)
        case BuildTemplate() as template:
            return _template(file, template)
        case ApiKey() as key:
            return _api_key(file, key)
        case Registry() as registry:
            return _registry(file, registry)


def _item(
    kind: str,
    file: ManifestFile,
    columns: Mapping[str, Value],
    facts: tuple[Fact, ...],
    words: Words,
    *,
    hidden: set[str] | None = None,
) -> ItemRow:
    common: dict[str, Value] = {
        "key": file.name,
        "path": file.path,
        "oid": file.oid,
        "body": _body(file, hidden or set()),
    }
    return ItemRow(kind, {**common, **columns}, (*facts, *_label_facts(file.manifest)), words)


def _body(file: ManifestFile, hidden: set[str]) -> str:
    """The members of an item that come from the manifest."""
    manifest: Any = file.manifest
    metadata = manifest.metadata
    head = {"id": file.name, "subject": manifest.subject, "name": file.name}
    if not isinstance(manifest, Release):
        head["name"] = metadata.name
    labels = {"labels": metadata.labels, "annotations": metadata.annotations}
    spec = manifest.spec.model_dump_json(by_alias=True, exclude=hidden)
    return dumps(head | labels)[1:-1] + members(spec)


def _label_facts(manifest: Manifest) -> Iterator[Fact]:
    labels: Mapping[str, str] = getattr(manifest, "metadata").labels  # noqa: B009
    for name, value in labels.items():
        yield "label", f"{name}={value}"


def _label_words(manifest: Any) -> str:
    metadata = manifest.metadata
    return " ".join((*metadata.labels.values(), *metadata.annotations.values()))


def _strings(value: JsonValue) -> Iterator[str]:
    """All texts in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _strings(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _strings(entry)


def _model_columns(model: Model) -> dict[str, Value]:
    spec = model.spec
    return {
        "company": spec.company,
        "base_model": spec.base_model,
        "license": spec.license,
        "parameter_count": spec.parameter_count,
        "storage_path": spec.storage_path,
    }


def _model_facts(model: Model) -> tuple[Fact, ...]:
    spec = model.spec
    single = present(
        {
            "company": spec.company,
            "base_model": spec.base_model,
            "license": spec.license,
            "parameter_count": spec.parameter_count,
        }
    )
    return (*single, *(("tags", tag) for tag in spec.tags))


def _model_words(model: Model) -> Words:
    spec = model.spec
    known = (spec.company, spec.base_model, spec.license, *spec.tags)
    words = " ".join(text for text in known if text)
    texts = (spec.description, _label_words(model), *_strings(spec.metadata))
    return Words(model.metadata.name, words, "\n".join(texts))


def _release(file: ManifestFile, release: Release) -> ItemRow:
    spec = release.spec
    stage, prerelease = spec.stage.value, is_prerelease(spec.version)
    columns: dict[str, Value] = {
        "model": spec.model,
        "version": spec.version,
        "version_order": version_order(spec.version),
        "quantization": spec.quantization,
        "stage": stage,
        "template": spec.template.name,
        "storage_path": spec.storage_path,
        "yanked": int(spec.yanked is not None),
        "prerelease": int(prerelease),
    }
    facts = (
        *release_facts(release.id),
        ("stage", stage),
        ("template", spec.template.name),
        ("yanked", flag(spec.yanked)),
        ("prerelease", flag(prerelease)),
        ("auto_build", flag(spec.auto_build)),
        *(("platform", platform) for platform in dict.fromkeys(spec.platforms)),
    )
    reason = spec.yanked.reason if spec.yanked else ""
    texts = (spec.release_notes, reason, _label_words(release), *_strings(spec.metadata))
    words = Words(
        f"{spec.model} {spec.version} {spec.quantization}", spec.template.name, "\n".join(texts)
    )
    return _item("releases", file, columns, facts, words)


def _lock(file: ManifestFile, lock: ArtifactLock) -> LockRow:
    spec = lock.spec
    roles: dict[str, int] = {}
    for entry in spec.files:
        role = entry.role.value
        roles[role] = roles.get(role, 0) + entry.size
    size = sum(roles.values())
    summary = {
        "target": spec.target,
        "set_digest": spec.set_digest,
        "file_count": len(spec.files),
        "layer_count": len(spec.layers),
        "size": size,
        "layer_size": sum(layer.size for layer in spec.layers),
        "roles": dict(sorted(roles.items())),
    }
    head = {"labels": lock.metadata.labels, "annotations": lock.metadata.annotations}
    layers = spec.model_dump_json(by_alias=True, include={"layers"})
    columns: dict[str, Value] = {
        "key": file.name,
        "path": file.path,
        "oid": file.oid,
        "model": spec.model,
        "size": min(size, LARGEST),
        "summary": members(dumps(summary)),
        "detail": members(dumps(head)) + members(layers),
    }
    return LockRow(columns, tuple(_artifacts(file.name, lock)))


def _artifacts(release: str, lock: ArtifactLock) -> Iterator[ItemRow]:
    shared = {**release_columns(lock.id), "version": lock.spec.version}
    names = release_facts(lock.id)
    for file in lock.spec.files:
        columns: dict[str, Value] = {
            **shared,
            "path": file.path,
            "size": min(file.size, LARGEST),
            "sha256": file.sha256,
            "body": members(file.model_dump_json(by_alias=True)),
        }
        facts = (
            ("role", file.role.value),
            *present({"media_type": file.media_type}),
            *names,
        )
        yield ItemRow("artifacts", columns, facts, Words(file.path, release))


def _environment(file: ManifestFile, environment: Environment) -> ItemRow:
    spec = environment.spec
    fields = spec.model_dump(mode="json", by_alias=True)
    gates = ("accepts", "promote_from", "soak", "freeze", "approvals")
    columns: dict[str, Value] = {
        "gates": dumps({name: fields[name] for name in gates}),
        "target": dumps(fields["target"]),
        "target_type": spec.target.type.value,
    }
    facts = (
        ("target", spec.target.type.value),
        *(("accepts", stage.value) for stage in dict.fromkeys(spec.accepts)),
        *present({"promote_from": spec.promote_from}),
    )
    reasons = "\n".join(freeze.reason for freeze in spec.freeze)
    words = Words(environment.metadata.name, spec.target.type.value, reasons)
    return _item("environments", file, columns, facts, words)


def _deployment(file: ManifestFile, deployment: Deployment) -> ItemRow:
    spec = deployment.spec
    track = spec.track.model_dump_json() if spec.track else None
    columns: dict[str, Value] = {
        "environment": spec.environment,
        "name": deployment.metadata.name,
        "model": spec.model,
        "version": spec.version,
        "version_order": version_order(spec.version) if spec.version else None,
        "quantization": spec.quantization,
        "track": track,
        "suspend": int(spec.suspend),
        "replicas": spec.replicas,
    }
    facts = (
        ("environment", spec.environment),
        ("name", deployment.metadata.name),
        ("model", spec.model),
        ("quantization", spec.quantization),
        *present({"version": spec.version}),
        ("weights", spec.weights.value),
        ("suspend", flag(spec.suspend)),
        ("declared", "true"),
    )
    words = Words(
        f"{spec.environment} {deployment.metadata.name}", spec.model, _label_words(deployment)
    )
    return _item("deployments", file, columns, facts, words)


def _template(file: ManifestFile, template: BuildTemplate) -> ItemRow:
    spec = template.spec
    builder = "native" if spec.image is not None else "docker"
    columns: dict[str, Value] = {"files": dumps([entry._asdict() for entry in file.files])}
    facts = (
        ("builder", builder),
        *(("platform", platform) for platform in dict.fromkeys(spec.platforms)),
    )
    words = Words(template.metadata.name, builder, f"{spec.description}\n{_label_words(template)}")
    return _item("templates", file, columns, facts, words)


def _api_key(file: ManifestFile, key: ApiKey) -> ItemRow:
    spec = key.spec
    columns: dict[str, Value] = {
        "owner": spec.owner,
        "key_id": spec.key_id,
        "sha256": spec.sha256,
        "expires": seconds(spec.expires_at),
        "revoked": int(spec.revoked),
    }
    facts = (("owner", spec.owner), ("revoked", flag(spec.revoked)))
    words = Words(key.metadata.name, spec.owner)
    return _item("api-keys", file, columns, facts, words, hidden={"sha256"})


def _registry(file: ManifestFile, registry: Registry) -> RegistryRow:
    return RegistryRow(
        {
            "key": file.name,
            "path": file.path,
            "oid": file.oid,
            "body": _body(file, set()),
            "spec": registry.spec.model_dump_json(by_alias=True),
            "store": registry.spec.images.repository or "embedded",
        }
    )
