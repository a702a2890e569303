"""Comparing two desired states by identity: what files declare, never where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from registry_tool.domain.desired import Desired, Located, TemplateSource
from registry_tool.domain.digests import digest_of
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.release import ArtifactLock

Scalar = str | int | float | bool | None


class FieldChange(NamedTuple):
    """One value that differs; None stands for an absent one."""

    field: str
    """For example ``spec.stage``, ``spec.ports[0].host`` or ``lock.files[model.bin].sha256``."""
    old: Scalar
    new: Scalar


class SubjectChange(NamedTuple):
    """What happened to one subject between two states; `fields` is for updates only."""

    subject: str
    change: Literal["created", "updated", "deleted"]
    fields: tuple[FieldChange, ...] = ()


def compare(old: Desired, new: Desired) -> tuple[SubjectChange, ...]:
    """All subjects that differ, sorted.

    A lock is part of its release, and the files of a template are part of the template.
    """
    before, after = _subjects(old), _subjects(new)
    changes = []
    for subject in sorted(before.keys() | after.keys()):
        if subject not in before:
            changes.append(SubjectChange(subject, "created"))
        elif subject not in after:
            changes.append(SubjectChange(subject, "deleted"))
        elif before[subject].identity != after[subject].identity:
            fields = _field_changes(before[subject], after[subject])
            if fields:
                changes.append(SubjectChange(subject, "updated", fields))
    return tuple(changes)


class _Subject(NamedTuple):
    """A subject's parts; equal `identity` means equal content without looking further."""

    identity: tuple[object, ...]
    manifest: Located[Manifest]
    lock: Located[ArtifactLock] | None = None
    template: TemplateSource | None = None


def _subjects(desired: Desired) -> dict[str, _Subject]:
    registry = desired.registry
    found = {registry.manifest.subject: _Subject((registry.oid,), registry)}
    simple: tuple[tuple[str, Mapping[str, Located[Manifest]]], ...] = (
        ("model", desired.models),
        ("environment", desired.environments),
        ("api-key", desired.api_keys),
    )
    for kind, located_by_name in simple:
        for name, located in located_by_name.items():
            found[f"{kind}/{name}"] = _Subject((located.oid,), located)
    for deployment, placed in desired.deployments.items():
        found[deployment.subject] = _Subject((placed.oid,), placed)
    for release, shipped in desired.releases.items():
        lock = desired.locks.get(release)
        identity = (shipped.oid, lock.oid if lock else None)
        found[release.subject] = _Subject(identity, shipped, lock=lock)
    for name, source in desired.templates.items():
        files = tuple(sorted(source.files.items(), key=lambda entry: entry[0]))
        found[f"template/{name}"] = _Subject(
            (source.located.oid, files), source.located, template=source
        )
    return found


def _field_changes(old: _Subject, new: _Subject) -> tuple[FieldChange, ...]:
    before, after = dict(_fields_of(old)), dict(_fields_of(new))
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        FieldChange(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def _fields_of(subject: _Subject) -> Iterator[tuple[str, Scalar]]:
    content = subject.manifest.manifest.model_dump(mode="json", by_alias=True, exclude_none=True)
    for part in ("metadata", "spec"):
        yield from leaves(part, content[part])
    if subject.lock is not None:
        yield from _lock_fields(subject.lock.manifest)
    if subject.template is not None:
        for path, file in sorted(subject.template.files.items()):
            yield f"files[{path}]", digest_of(file.content)
            if file.executable:
                yield f"files[{path}].executable", True


def _lock_fields(lock: ArtifactLock) -> Iterator[tuple[str, Scalar]]:
    """Files by path; their layers follow from them, so that only a count is compared."""
    yield "lock.target", lock.spec.target
    for file in lock.spec.files:
        yield f"lock.files[{file.path}].sha256", file.sha256
        yield f"lock.files[{file.path}].size", file.size
        yield f"lock.files[{file.path}].role", file.role.value
    yield "lock.layers", len(lock.spec.layers)


def leaves(name: str, value: Any) -> Iterator[tuple[str, Scalar]]:
    """The single values inside a JSON value, each under the name of its field, such as ``spec.ports[0].host``."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(f"{name}.{key}", entry)
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            yield from leaves(f"{name}[{position}]", entry)
    else:
        yield name, value
