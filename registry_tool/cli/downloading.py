"""Pulling the locked files of a release: resumed where it was interrupted, and checked to the last byte."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from registry_tool.builders.reading import as_stored, in_parallel
from registry_tool.errors import ActionFailed, ContentMismatch, EnvironmentProblem

if TYPE_CHECKING:
    from registry_tool.domain.progress import Progress
    from registry_tool.domain.release import ArtifactLock, LockedFile
    from registry_tool.storage.storage import Storage

_CHUNK = 8 << 20
_TASK = "pull"


def pull(
    lock: ArtifactLock,
    storage: Storage,
    location: str,
    folder: Path,
    progress: Progress,
    *,
    jobs: int,
) -> int:
    """Bring all locked files into `folder`, `jobs` at a time; returns how many were there already.

    Raises ContentMismatch for a file that differs from the lock, in storage or in `folder`: a file
    of the user is never overwritten.
    """
    pulling = _Pulling(storage, location, folder, progress)
    largest_first = sorted(lock.spec.files, key=lambda file: -file.size)
    progress.start(_TASK, f"Pulling {lock.id}", sum(file.size for file in lock.spec.files))
    try:
        return sum(in_parallel(pulling.file, largest_first, jobs, pulling.stopped))
    except OSError as problem:
        raise EnvironmentProblem(
            f"{problem.filename or folder} cannot be written: {problem.strerror}",
            help="choose another DIR",
            code="RT610",
        ) from problem
    finally:
        progress.finish(_TASK)


class _Pulling:
    """Brings files; setting `stopped` ends all, and what is there of them stays for the next time."""

    def __init__(self, storage: Storage, location: str, folder: Path, progress: Progress) -> None:
        self.stopped = threading.Event()
        self._storage = storage
        self._location = location
        self._folder = folder
        self._progress = progress

    def file(self, file: LockedFile) -> bool:
        """Bring one file; returns whether it was there already."""
        place = self._folder / file.path
        if place.exists():
            if place.stat().st_size != file.size or self._hash(place) != file.sha256:
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
        digest = self._download(file, partial)
        if digest != file.sha256 and resumed:
            # What an earlier run left may be damaged; storage gets a second chance to be right.
            partial.unlink()
            digest = self._download(file, partial)
        if digest != file.sha256:
            partial.unlink()
            raise ContentMismatch(
                f"{file.path} below {self._location}: expected sha256 {file.sha256}, seen {digest}",
                help="restore the file in storage; registry-tool artifact verify --deep checks all",
                code="RT507",
            )
        partial.replace(place)
        return False

    def _download(self, file: LockedFile, partial: Path) -> str:
        """Append what is missing to `partial`; the sha256 of the whole."""
        digest = hashlib.sha256()
        with partial.open("a+b") as out:
            out.seek(0)
            while chunk := out.read(_CHUNK):
                digest.update(chunk)
                self._advance(len(chunk))
            left = file.size - out.tell()
            if left <= 0:
                return digest.hexdigest()
            expected = as_stored(file)
            with self._storage.open(self._location, file.path, out.tell(), expected) as source:
                # One byte more than expected is enough to know that the file is another one.
                while left >= 0 and (chunk := source.read(min(_CHUNK, left + 1))):
                    left -= len(chunk)
                    digest.update(chunk)
                    out.write(chunk)
                    self._advance(len(chunk))
        return digest.hexdigest()

    def _hash(self, place: Path) -> str:
        digest = hashlib.sha256()
        with place.open("rb") as source:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                self._advance(len(chunk))
        return digest.hexdigest()

    def _advance(self, count: int) -> None:
        if self.stopped.is_set():
            raise ActionFailed("pulling was stopped")
        self._progress.advance(_TASK, count)
