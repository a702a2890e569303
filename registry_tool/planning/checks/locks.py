"""Locks agree with themselves, with their release and with its template."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from registry_tool.builders.templates import TemplateProblem
from registry_tool.domain.desired import Located
from registry_tool.domain.diagnostics import Finding
from registry_tool.domain.globs import matches
from registry_tool.domain.release import ArtifactLock, ArtifactLockSpec, Release, Stage
from registry_tool.planning.checks.context import SHOWN, Context, place

Lock = Located[ArtifactLock]


def check_locks(context: Context) -> Iterator[Finding]:
    """All locks."""
    for release_id, lock in context.desired.locks.items():
        yield from _paths(lock)
        yield from _set_digest(lock)
        yield from _layers(lock)
        release = context.desired.releases.get(release_id)
        if release is not None:
            yield from _globs(lock, release)
            yield from _target(context, lock, release)


def set_digest(lock: ArtifactLockSpec) -> str:
    """SHA-256 of the path-sorted lines ``<sha256>  <path>``, as `sha256sum` writes them."""
    ordered = sorted(lock.files, key=lambda file: file.path)
    lines = [f"{file.sha256}  {file.path}\n" for file in ordered]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _relock(lock: Lock) -> str:
    return f"run `registry-tool lock {lock.manifest.id}`"


def _finding(
    code: str, lock: Lock, pointer: tuple[str | int, ...], message: str, help: str | None = None
) -> Finding:
    return Finding(
        code,
        lock.path,
        pointer,
        message,
        help or _relock(lock),
        subject=lock.manifest.subject,
    )


def _paths(lock: Lock) -> Iterator[Finding]:
    """Paths are sorted and distinct, and none is the directory of another."""
    files = lock.manifest.spec.files
    paths = [file.path for file in files]
    if len(set(paths)) == len(paths) and paths == sorted(paths):
        known = set(paths)
        for index, path in enumerate(paths):
            parent = path.rpartition("/")[0]
            while parent:
                if parent in known:
                    message = f'"{path}" lies below "{parent}", which is a file'
                    yield _finding("RT506", lock, ("spec", "files", index, "path"), message)
                parent = parent.rpartition("/")[0]
        return
    seen: set[str] = set()
    previous = ""
    for index, path in enumerate(paths):
        if path in seen:
            message = f'"{path}" is listed twice'
            yield _finding("RT506", lock, ("spec", "files", index, "path"), message)
        elif path < previous:
            message = f'"{path}" is out of order: files are sorted by path'
            yield _finding("RT506", lock, ("spec", "files", index, "path"), message)
        seen.add(path)
        previous = max(previous, path)


def _set_digest(lock: Lock) -> Iterator[Finding]:
    declared, actual = lock.manifest.spec.set_digest, set_digest(lock.manifest.spec)
    if declared != actual:
        yield _finding(
            "RT504",
            lock,
            ("spec", "set_digest"),
            f"the set digest of these files is {actual}",
            f"the lock was edited by hand or merged badly; {_relock(lock)}",
        )


def _layers(lock: Lock) -> Iterator[Finding]:
    """Layers hold every file exactly once, and are large enough for what they hold."""
    spec = lock.manifest.spec
    sizes = {file.path: file.size for file in spec.files}
    held = Counter(path for layer in spec.layers for path in layer.files)
    for index, layer in enumerate(spec.layers):
        for position, path in enumerate(layer.files):
            place_of = ("spec", "layers", index, "files", position)
            if path not in sizes:
                yield _finding("RT505", lock, place_of, f'the layer has "{path}", which is no file')
            elif held[path] > 1:
                held[path] = 0
                yield _finding("RT505", lock, place_of, f'"{path}" is in more than one layer')
        least = sum(sizes.get(path, 0) for path in layer.files)
        if layer.size < least:
            yield _finding(
                "RT505",
                lock,
                ("spec", "layers", index, "size"),
                f"the layer has {layer.size} bytes and its files have {least}",
            )
    for index, file in enumerate(spec.files):
        if file.path not in held:
            pointer = ("spec", "files", index, "path")
            yield _finding("RT505", lock, pointer, f'"{file.path}" is in no layer')


def _globs(lock: Lock, release: Located[Release]) -> Iterator[Finding]:
    globs = release.manifest.spec.artifacts
    outside = [
        (index, file.path)
        for index, file in enumerate(lock.manifest.spec.files)
        if not matches(file.path, globs.include, globs.exclude)
    ]
    for count, (index, path) in enumerate(outside[:SHOWN], start=1):
        more = len(outside) - SHOWN if count == SHOWN else 0
        yield Finding(
            "RT503",
            lock.path,
            ("spec", "files", index, "path"),
            f'"{path}" is not selected by the globs of {release.manifest.subject}'
            + (f", and {more} more" if more > 0 else ""),
            f"{_relock(lock)}, or change spec.artifacts of the release",
            (place(release, ("spec", "artifacts"), "these globs"),),
            subject=lock.manifest.subject,
        )


def _target(context: Context, lock: Lock, release: Located[Release]) -> Iterator[Finding]:
    """A candidate's lock is for the directory that the template has now.

    A release keeps the directory of its lock: neither may change any more.
    """
    spec = release.manifest.spec
    model = context.desired.models.get(spec.model)
    template = context.desired.templates.get(spec.template.name)
    if spec.stage is not Stage.CANDIDATE or model is None or template is None:
        return
    try:
        target = context.keys.renderer(spec.template.name).target(release.manifest, model.manifest)
    except TemplateProblem:
        return  # reported where templates are checked
    if target != lock.manifest.spec.target:
        yield Finding(
            "RT509",
            lock.path,
            ("spec", "target"),
            f'template "{spec.template.name}" puts the files into {target}',
            f"{_relock(lock)}: its layers have the directory in them",
            (place(template.located, ("spec", "target"), "decided here"),),
            subject=lock.manifest.subject,
        )
