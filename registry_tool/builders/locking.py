"""Locks: what the files of a release are, computed from storage, checked against it, streamed from it.

Every function reads a file once at most: the digests of a file and of its layer come from the same
bytes as they pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from registry_tool import failpoints
from registry_tool.builders.known_files import KnownFiles
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
from registry_tool.errors import ActionFailed, ContentMismatch, StorageProblem
from registry_tool.oci.packing import pack
from registry_tool.oci.tar import Chunk
from registry_tool.storage.problems import DOES_NOT_EXIST, absent
from registry_tool.storage.selecting import assign_role, is_excluded, media_type, select
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import Absent, StoredFile

_LOOK_UPS = 16
_SHOWN = 3


class MismatchKind(StrEnum):
    """How a stored file differs from its lock."""

    MISSING = "missing"
    UNUSABLE = "unusable"
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
        if self.kind is MismatchKind.UNUSABLE:
            return f"{self.path} {self.seen}"
        return f"{self.path}: {self.kind} is {self.seen}, and the lock says {self.expected}"


def compute_lock(
    release: Release,
    target: str,
    storage: Storage,
    location: str,
    progress: Progress,
    *,
    jobs: int,
    known: KnownFiles | None = None,
) -> ArtifactLock:
    """Find the files of a release below `location`, and read each once, `jobs` layers at a time.

    Equal files give equal locks, and what is `known` is not read again. Raises ActionFailed when
    there is nothing to lock, StorageProblem when something cannot be read, ContentMismatch when a
    file changes meanwhile.
    """
    known = known or KnownFiles()
    selected = storage.versioned(location, _selected(release, storage, location, progress))
    files = {file.path: file for file in selected}
    roles = {path: assign_role(path) for path in files}
    packed = pack([(file.path, file.size, roles[file.path]) for file in selected])
    sha256 = known.sha256(location, selected)
    layers = {tuple(paths): known.layer(target, paths, sha256) for paths in packed}
    unread = [[files[path] for path in paths] for paths, layer in layers.items() if layer is None]
    read = Reading(storage, location, target, progress, sources=known.sources)
    hashed = {layer.files: layer for layer in _hashed(read, unread, progress, len(files), jobs)}
    known.remember(location, selected, read.sha256)
    sha256 |= read.sha256
    locked = tuple(
        LockedFile(
            path=path,
            role=roles[path],
            size=file.size,
            sha256=sha256[path],
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
            layers=tuple(layer or hashed[paths] for paths, layer in layers.items()),
        ),
    )


def _hashed(
    read: Reading, unread: Sequence[list[StoredFile]], progress: Progress, total: int, jobs: int
) -> list[LockedLayer]:
    files = [file for layer in unread for file in layer]
    if len(files) < total:
        progress.message(f"{total - len(files)} of {total} files are unchanged: not read again")
    if not files:
        return []
    largest_first = sorted(unread, key=lambda layer: -sum(file.size for file in layer))
    with reading_task(progress, "Hashing", files):
        return in_parallel(read.layer, largest_first, jobs, read.stopped)


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

    Compares what storage says of each file as it is now, which object stores are asked by HEAD
    requests, and with `deep` also the bytes, which then decide.
    """
    files = lock.spec.files
    found = _found(storage, location, [(file.path, None) for file in files])
    compared = [_compared(file, stored, deep) for file, stored in zip(files, found, strict=True)]
    mismatches = [mismatch for mismatch in compared if mismatch]
    if deep:
        pairs = zip(found, compared, strict=True)
        to_read = [
            file for file, mismatch in pairs if isinstance(file, StoredFile) and not mismatch
        ]
        read = Reading(storage, location, lock.spec.target, progress)
        with reading_task(progress, "Verifying", to_read):
            in_parallel(read.file, sorted(to_read, key=lambda file: -file.size), jobs, read.stopped)
        mismatches += [
            Mismatch(file.path, MismatchKind.SHA256, file.sha256, read.sha256[file.path])
            for file in files
            if file.sha256 != read.sha256.get(file.path, file.sha256)
        ]
    return sorted(mismatches, key=lambda mismatch: mismatch.path)


def require_unchanged(files: Sequence[LockedFile], storage: Storage, location: str) -> None:
    """Raise ContentMismatch where storage says that locked files are others now; reads none.

    Where the storage keeps versions only the locked one counts: that it was overwritten since does
    not matter as long as it is there. A file that is not there raises StorageProblem.
    """
    found = _found(storage, location, [(file.path, file.version_id) for file in files])
    differing = []
    for file, stored in zip(files, found, strict=True):
        if isinstance(stored, Absent):
            raise absent(f"{location}/{file.path}", stored)
        if mismatch := _compared(file, stored, deep=False):
            differing.append(str(mismatch))
    if differing:
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise ContentMismatch(
            f"{len(differing)} of {len(files)} files below {location} differ from the lock:"
            f" {'; '.join(differing[:_SHOWN])}{more}",
            help="restore them, or lock the release again",
            code="RT507",
        )


def _found(
    storage: Storage, location: str, wanted: Sequence[tuple[str, str | None]]
) -> list[StoredFile | Absent]:
    """What storage says of files, several asked at a time; a location that is gone is an error."""
    with ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="look-up") as pool:
        found = list(pool.map(lambda each: storage.find(location, *each), wanted))
    if any(isinstance(each, Absent) for each in found):
        storage.check(location)
    return found


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


def _compared(locked: LockedFile, stored: StoredFile | Absent, deep: bool) -> Mismatch | None:
    if isinstance(stored, Absent):
        if stored.why == DOES_NOT_EXIST:
            return Mismatch(locked.path, MismatchKind.MISSING, str(locked.size), "nothing")
        return Mismatch(locked.path, MismatchKind.UNUSABLE, "a regular file", stored.why)
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
