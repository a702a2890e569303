"""Pulling the locked files of a release: resumed where it was interrupted, and checked to the last byte."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from registry_tool.errors import ContentMismatch, EnvironmentProblem

if TYPE_CHECKING:
    from registry_tool.domain.progress import Progress
    from registry_tool.domain.release import ArtifactLock, LockedFile
    from registry_tool.storage.storage import Storage

_CHUNK = 8 << 20
_TASK = "pull"


def pull(
    lock: ArtifactLock, storage: Storage, location: str, folder: Path, progress: Progress
) -> int:
    """Bring all locked files into `folder`; returns how many were there already.

    Raises ContentMismatch for a file that differs from the lock, in storage or in `folder`: a file
    of the user is never overwritten.
    """
    kept = 0
    progress.start(_TASK, f"Pulling {lock.id}", sum(file.size for file in lock.spec.files))
    try:
        for file in lock.spec.files:
            kept += _pull_file(file, storage, location, folder / file.path, progress)
    except OSError as problem:
        raise EnvironmentProblem(
            f"{problem.filename or folder} cannot be written: {problem.strerror}",
            help="choose another DIR",
            code="RT610",
        ) from problem
    finally:
        progress.finish(_TASK)
    return kept


def _pull_file(
    file: LockedFile, storage: Storage, location: str, place: Path, progress: Progress
) -> bool:
    """Bring one file; returns whether it was there already."""
    if place.exists():
        if place.stat().st_size != file.size or _hash(place, progress) != file.sha256:
            raise ContentMismatch(
                f"{place} exists and is not the file that the lock names",
                help="move it away, or pull into another directory",
            )
        return True
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f".{place.name}.{file.sha256[:12]}.partial")
    if partial.exists() and partial.stat().st_size > file.size:
        partial.unlink()
    resumed = partial.exists()
    digest = _download(file, storage, location, partial, progress)
    if digest != file.sha256 and resumed:
        # What an earlier run left may be damaged; storage gets a second chance to be right.
        partial.unlink()
        digest = _download(file, storage, location, partial, progress)
    if digest != file.sha256:
        partial.unlink()
        raise ContentMismatch(
            f"{file.path} below {location}: expected sha256 {file.sha256}, seen {digest}",
            help="restore the file in storage; registry-tool artifact verify --deep checks all files",
            code="RT507",
        )
    partial.replace(place)
    return False


def _download(
    file: LockedFile, storage: Storage, location: str, partial: Path, progress: Progress
) -> str:
    """Append what is missing to `partial`; the sha256 of the whole."""
    digest = hashlib.sha256()
    with partial.open("a+b") as out:
        out.seek(0)
        while chunk := out.read(_CHUNK):
            digest.update(chunk)
            progress.advance(_TASK, len(chunk))
        left = file.size - out.tell()
        if left > 0:
            with storage.open(location, file.path, out.tell()) as source:
                # One byte more than expected is enough to know that the file is another one.
                while left >= 0 and (chunk := source.read(min(_CHUNK, left + 1))):
                    left -= len(chunk)
                    digest.update(chunk)
                    out.write(chunk)
                    progress.advance(_TASK, len(chunk))
    return digest.hexdigest()


def _hash(place: Path, progress: Progress) -> str:
    digest = hashlib.sha256()
    with place.open("rb") as source:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            progress.advance(_TASK, len(chunk))
    return digest.hexdigest()
