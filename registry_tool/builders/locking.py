"""Locks: what the files of a release are, computed from storage, checked against it, streamed from it.

Every function reads a file once at most: the digests of a file and of its layer come from the same
bytes as they pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from registry_tool import failpoints
from registry_tool.builders.reading import Reading, in_parallel, reading_task
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.progress import Progress
from registry_tool.domain.release import (
    ArtifactLock,
    ArtifactLockSpec,
    LockedFile,
    LockedLayer,
    Release,
)
from registry_tool.domain.storage import locked_path_problem
from registry_tool.errors import ActionFailed, StorageProblem
from registry_tool.oci.packing import pack
from registry_tool.oci.tar import Chunk
from registry_tool.storage.selecting import assign_role, is_excluded, media_type, select
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import StoredFile


class MismatchKind(StrEnum):
    """How a stored file differs from its lock."""

    MISSING = "missing"
    SIZE = "size"
    SHA256 = "sha256"
    ETAG = "etag"
    VERSION = "version_id"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One stored file that differs from its lock; `expected` and `seen` are values of `kind`."""

    path: str
    kind: MismatchKind
    expected: str
    seen: str

    def __str__(self) -> str:
        if self.kind is MismatchKind.MISSING:
            return f"{self.path} is missing"
        return f"{self.path}: {self.kind} is {self.seen}, and the lock says {self.expected}"


def compute_lock(
    release: Release,
    target: str,
    storage: Storage,
    location: str,
    progress: Progress,
    *,
    jobs: int,
) -> ArtifactLock:
    """Find the files of a release below `location`, and read each once, `jobs` layers at a time.

    Equal files give equal locks. Raises ActionFailed when there is nothing to lock, StorageProblem
    when something cannot be read, ContentMismatch when a file changes meanwhile.
    """
    files = {file.path: file for file in _selected(release, storage, location, progress)}
    roles = {path: assign_role(path) for path in files}
    layers = pack([(file.path, file.size, roles[file.path]) for file in files.values()])
    read = Reading(storage, location, target, progress)
    with reading_task(progress, "Hashing", files.values()):
        hashed = in_parallel(
            lambda paths: read.layer([files[path] for path in paths]),
            sorted(layers, key=lambda paths: -sum(files[path].size for path in paths)),
            jobs,
            read.stopped,
        )
    by_files = {layer.files: layer for layer in hashed}
    locked = tuple(
        LockedFile(
            path=path,
            role=roles[path],
            size=file.size,
            sha256=read.sha256[path],
            media_type=media_type(path),
            etag=file.etag,
            version_id=file.version_id,
        )
        for path, file in files.items()
    )
    return ArtifactLock(
        api_version=API_VERSION,
        kind="ArtifactLock",
        spec=ArtifactLockSpec(
            model=release.spec.model,
            version=release.spec.version,
            quantization=release.spec.quantization,
            target=target,
            set_digest=set_digest(locked),
            files=locked,
            layers=tuple(by_files[tuple(paths)] for paths in layers),
        ),
    )


def set_digest(files: Iterable[LockedFile]) -> str:
    """SHA-256 of what ``sha256sum`` prints for the files, sorted by path."""
    lines = (f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verify_files(
    lock: ArtifactLock,
    storage: Storage,
    location: str,
    progress: Progress,
    deep: bool = False,
    *,
    jobs: int = 1,
) -> list[Mismatch]:
    """How storage differs from a lock, sorted by path.

    Compares what storage says of the files, and with `deep` also their bytes, which then decide.
    """
    locked = {file.path: file for file in lock.spec.files}
    found = {file.path: file for file in storage.files(location, _irrelevant(locked))}
    compared = {path: _compared(file, found.get(path), deep) for path, file in locked.items()}
    mismatches = [mismatch for mismatch in compared.values() if mismatch]
    if deep:
        to_read = [locked[path] for path, mismatch in compared.items() if mismatch is None]
        read = Reading(storage, location, lock.spec.target, progress)
        with reading_task(progress, "Verifying", to_read):
            in_parallel(read.file, sorted(to_read, key=lambda file: -file.size), jobs, read.stopped)
        mismatches += [
            Mismatch(file.path, MismatchKind.SHA256, file.sha256, read.sha256[file.path])
            for file in to_read
            if file.sha256 != read.sha256[file.path]
        ]
    return sorted(mismatches, key=lambda mismatch: mismatch.path)


def stream_layer(
    lock: ArtifactLock,
    layer: LockedLayer,
    storage: Storage,
    location: str,
    progress: Progress,
) -> Iterator[Chunk]:
    """The bytes of a locked layer, straight from storage.

    Each file is hashed as it passes; one that differs from the lock raises ContentMismatch before
    the last chunk. `progress` gets the file bytes of task ``files``, which the caller starts.
    """
    locked = {file.path: file for file in lock.spec.files}
    read = Reading(storage, location, lock.spec.target, progress, locked)
    for number, chunk in enumerate(read.chunks([locked[path] for path in layer.files])):
        yield chunk
        if number == 0:
            failpoints.reach("layer-streaming")


def _selected(
    release: Release, storage: Storage, location: str, progress: Progress
) -> list[StoredFile]:
    globs = release.spec.artifacts
    progress.message(f"Listing {location}")
    found = storage.files(location, lambda path: is_excluded(path, globs))
    files = select(found, globs)
    if not files:
        excluded = f" and not {_quoted(globs.exclude)}" if globs.exclude else ""
        raise ActionFailed(
            f"{release.subject}: none of the {len(found)} files below {location} matches"
            f" {_quoted(globs.include)}{excluded}",
            help="correct spec.artifacts or spec.storage_path of the release",
        )
    for file in files:
        if problem := locked_path_problem(file.path):
            raise StorageProblem(
                f"{file.path!r} below {location} cannot be locked: {problem}",
                code="RT506",
                help="rename the file, or name it in spec.artifacts.exclude of the release",
            )
    if ignored := len(found) - len(files):
        progress.message(f"{ignored} of {len(found)} files do not match spec.artifacts: ignored")
    return files


def _irrelevant(locked: Mapping[str, LockedFile]) -> Callable[[str], bool]:
    """Whether something unreadable does not matter, because no locked file is there."""
    relevant = {"", *locked}
    for path in locked:
        parents = path.split("/")[:-1]
        relevant.update("/".join(parents[:depth]) + "/" for depth in range(1, len(parents) + 1))
    return lambda path: path not in relevant and path + "/" not in relevant


def _compared(locked: LockedFile, stored: StoredFile | None, deep: bool) -> Mismatch | None:
    if stored is None:
        return Mismatch(locked.path, MismatchKind.MISSING, str(locked.size), "nothing")
    pairs = [(MismatchKind.SIZE, str(locked.size), str(stored.size))]
    if not deep:
        # Both change when an object is uploaded again, even with the same content.
        pairs.append((MismatchKind.VERSION, locked.version_id or "", stored.version_id or ""))
        pairs.append((MismatchKind.ETAG, locked.etag or "", stored.etag or ""))
    for kind, expected, seen in pairs:
        if expected and seen and expected != seen:
            return Mismatch(locked.path, kind, expected, seen)
    return None


def _quoted(globs: Sequence[str]) -> str:
    return ", ".join(f'"{glob}"' for glob in globs)
