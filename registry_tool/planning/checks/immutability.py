"""What was released stays as it was: the release's build-relevant fields, and its lock.

The comparison is with the base revision, where a release counts as released once its stage is no
longer candidate. Stage, notes, metadata, `auto_build` and yanking may change at any time. Removing
a release takes two steps: deprecate or yank it in one change, delete it in a later one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry_tool.domain.desired import Desired, Located
from registry_tool.domain.diagnostics import Finding
from registry_tool.domain.release import ArtifactLock, LockedFile, Release, ReleaseSpec, Stage
from registry_tool.domain.subjects import ReleaseId
from registry_tool.planning.checks.context import SHOWN, Context

_HELP = "undo this and ship the change as a new version: `registry-tool new release`"
_VALUE_LIMIT = 80


def check_immutability(context: Context) -> Iterator[Finding]:
    """Compare everything that the base revision had released."""
    if context.base is None:
        return
    for release_id, before in context.base.releases.items():
        if before.manifest.spec.stage is Stage.CANDIDATE:
            continue
        now = context.desired.releases.get(release_id)
        if now is None:
            if not context.is_known(release_id.subject):
                yield from _removed(release_id, before)
            continue
        if now.oid != before.oid:
            yield from _release(now, before.manifest.spec)
        if release_id in context.desired.locks or not context.has_errors(release_id.subject):
            yield from _lock(context.desired, context.base, release_id, now)


def _removed(release_id: ReleaseId, before: Located[Release]) -> Iterator[Finding]:
    spec = before.manifest.spec
    if spec.stage is Stage.DEPRECATED or spec.yanked is not None:
        return
    yield Finding(
        "RT301",
        before.path,
        (),
        f"{release_id.subject} is released and cannot be deleted",
        f"restore it; deprecate it first (`registry-tool stage {release_id} deprecated`) "
        "and delete it in a later change",
        subject=release_id.subject,
    )


def _shown(value: Any) -> str:
    text = str(value) if not isinstance(value, str) else f'"{value}"'
    return text if len(text) <= _VALUE_LIMIT else text[: _VALUE_LIMIT - 1] + "…"


def _changed(
    located: Located[Any],
    pointer: tuple[str | int, ...],
    before: Any,
    *,
    what: str | None = None,
) -> Finding:
    name = what or ".".join(map(str, pointer[1:]))
    subject = located.manifest.subject
    was = "was not set" if before is None else f"was {_shown(before)}"
    return Finding(
        "RT301",
        located.path,
        pointer,
        f"{subject} is released, so {name} cannot change: it {was}",
        _HELP,
        subject=subject,
    )


def _release(now: Located[Release], before: ReleaseSpec) -> Iterator[Finding]:
    spec = now.manifest.spec
    if spec.template.name != before.template.name:
        yield _changed(now, ("spec", "template", "name"), before.template.name)
    for name in sorted({*spec.template.params, *before.template.params}):
        if spec.template.params.get(name) != before.template.params.get(name):
            pointer = ("spec", "template", "params", name)
            yield _changed(now, pointer, before.template.params.get(name))
    if spec.storage_path != before.storage_path:
        yield _changed(now, ("spec", "storage_path"), before.storage_path)
    for field in ("include", "exclude"):
        old = getattr(before.artifacts, field)
        if getattr(spec.artifacts, field) != old:
            yield _changed(now, ("spec", "artifacts", field), list(old))
    if sorted(spec.platforms) != sorted(before.platforms):
        yield _changed(now, ("spec", "platforms"), list(before.platforms))


def _lock(
    desired: Desired, base: Desired, release_id: ReleaseId, release: Located[Release]
) -> Iterator[Finding]:
    before = base.locks.get(release_id)
    now = desired.locks.get(release_id)
    if before is None or (now is not None and now.oid == before.oid):
        return
    if now is None:
        yield Finding(
            "RT301",
            release.path,
            ("spec", "stage"),
            f"{release_id.subject} is released and its lock cannot be deleted",
            f"restore {before.path}",
            subject=release_id.subject,
        )
        return
    files = list(_files(now, before.manifest))
    yield from files[:SHOWN]
    if files:
        return  # layers and the set digest follow from the files
    spec, old = now.manifest.spec, before.manifest.spec
    if spec.target != old.target:
        yield _changed(now, ("spec", "target"), old.target)
    elif spec.set_digest != old.set_digest:
        yield _changed(now, ("spec", "set_digest"), old.set_digest)
    elif spec.layers != old.layers:
        pairs = enumerate(zip(spec.layers, old.layers, strict=False))
        index = next((number for number, (new, was) in pairs if new != was), None)
        pointer = ("spec", "layers") if index is None else ("spec", "layers", index, "digest")
        yield _changed(now, pointer, f"{len(old.layers)} other layers", what="layers")


def _files(now: Located[ArtifactLock], before: ArtifactLock) -> Iterator[Finding]:
    old = {file.path: file for file in before.spec.files}
    for index, file in enumerate(now.manifest.spec.files):
        was = old.pop(file.path, None)
        if was is None:
            pointer = ("spec", "files", index, "path")
            yield _file(now, pointer, f'"{file.path}" was added to the files')
            continue
        yield from _file_fields(now, index, file, was)
    for path in old:
        yield _file(now, ("spec", "files"), f'"{path}" was removed from the files')


def _file_fields(
    now: Located[ArtifactLock], index: int, file: LockedFile, was: LockedFile
) -> Iterator[Finding]:
    for field in ("sha256", "size", "role"):
        before, after = getattr(was, field), getattr(file, field)
        if before != after:
            pointer = ("spec", "files", index, field)
            yield _file(now, pointer, f'{field} of "{file.path}" was {before}')
            return


def _file(now: Located[ArtifactLock], pointer: tuple[str | int, ...], what: str) -> Finding:
    subject = now.manifest.subject
    return Finding(
        "RT301",
        now.path,
        pointer,
        f"{subject} is released, so its files cannot change: {what}",
        _HELP,
        subject=subject,
    )
