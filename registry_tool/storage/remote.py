"""Servers of any kind that fsspec knows, except S3, which has a module of its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, TypeVar

from registry_tool.errors import RegistryToolError
from registry_tool.storage.file_systems import file_system
from registry_tool.storage.problems import (
    DOES_NOT_EXIST,
    absent,
    exists_already,
    require_expected,
    translated,
    unusable,
)
from registry_tool.storage.ranges import AHEAD, RangeReader, Window
from registry_tool.storage.retrying import retrying
from registry_tool.storage.stored_file import Absent, StoredFile

T = TypeVar("T")
_READ_BUFFER = 1 << 17


class RemoteFiles:
    """Files below URLs of one scheme."""

    confirms_writes = False

    def __init__(self, scheme: str) -> None:
        self._system = file_system(scheme)
        self._window = Window()

    def files(self, root: str, passed_over: Callable[[str], bool]) -> Iterator[StoredFile]:
        """All objects below the URL, in no order."""

        def listed() -> dict[str, dict[str, Any]]:
            self._system.invalidate_cache()
            found: dict[str, dict[str, Any]] = self._system.find(base, detail=True)
            if not found and not self._system.exists(base):
                raise FileNotFoundError(root)
            return found

        base = self._system._strip_protocol(root).rstrip("/")
        for name, facts in _attempted(root, listed, "list").items():
            if name == base:
                raise unusable(root, "is a file", help="name the directory of the files")
            # Directory markers of object stores are not files.
            if name.startswith(base + "/") and facts.get("type") == "file" and name[-1] != "/":
                yield _stored_file(name[len(base) + 1 :], facts)

    def find(self, root: str, path: str, version_id: str | None = None) -> StoredFile | Absent:
        """One object, as it is now."""
        place = _place(root, path)

        def found() -> StoredFile | Absent:
            self._system.invalidate_cache()
            try:
                facts: dict[str, Any] = self._system.info(place)
            except FileNotFoundError:
                return Absent(DOES_NOT_EXIST)
            if facts.get("type") != "file":
                return Absent("is not a file")
            return _stored_file(path, facts)

        return _attempted(place, found)

    def check(self, root: str) -> None:
        """Raise where the server cannot be asked; object stores have no directories to miss."""
        _attempted(root, lambda: self._system.exists(root), "list")

    def versioned(self, root: str, files: Sequence[StoredFile]) -> list[StoredFile]:
        """The same: what a listing says is all that is known."""
        return list(files)

    def open(self, root: str, path: str, offset: int, expected: StoredFile | None) -> BinaryIO:
        """A reader; several ranges are fetched ahead where the file system can do that."""
        place = _place(root, path)
        found = self.find(root, path)
        if isinstance(found, Absent):
            raise absent(place, found)
        require_expected(place, expected, found)

        def fetch(start: int, end: int) -> bytes:
            with _translating(place):
                return bytes(self._system.cat_file(place, start=start, end=end))

        ahead = AHEAD if self._system.async_impl else 1
        reader = RangeReader(fetch, offset, found.size, self._window, ahead=ahead)
        return io.BufferedReader(reader, _READ_BUFFER)

    def write(
        self, root: str, path: str, chunks: Iterable[bytes], size: int | None, replace: bool
    ) -> None:
        """Upload; an object store shows the object when it is complete."""
        place = _place(root, path)
        # No protocol but S3 can refuse in the same step.
        if not replace and not isinstance(self.find(root, path), Absent):
            raise exists_already(place)
        with _translating(place, "write"):
            # A context would publish what was written also when an exception ends it.
            file = self._system.open(place, "wb", autocommit=False)
            try:
                for chunk in chunks:
                    file.write(chunk)
                file.close()
                file.commit()
            except BaseException:
                file.discard()
                file.closed = True  # or the garbage collector would publish it after all
                raise

    def delete(self, root: str, path: str) -> None:
        """Remove an object."""
        place = _place(root, path)
        found = self.find(root, path)
        if isinstance(found, Absent):
            raise absent(place, found)
        with _translating(place, "delete"):
            self._system.rm_file(place)


def _place(root: str, path: str) -> str:
    return f"{root.rstrip('/')}/{path}"


def _attempted(place: str, work: Callable[[], T], doing: str = "read") -> T:
    def attempt() -> T:
        with _translating(place, doing):
            return work()

    return retrying(attempt)


@contextmanager
def _translating(place: str, doing: str = "read") -> Iterator[None]:
    """Every file system raises errors of its own kind, so that only a catch-all translates them."""
    try:
        yield
    except RegistryToolError:
        raise
    except Exception as problem:
        raise translated(place, problem, doing) from problem


def _stored_file(path: str, facts: dict[str, Any]) -> StoredFile:
    etag = facts.get("ETag") or facts.get("etag")
    version = facts.get("VersionId") or facts.get("version_id") or facts.get("generation")
    return StoredFile(
        path,
        int(facts["size"]),
        etag=str(etag).strip('"') if etag else None,
        version_id=str(version) if version and version != "null" else None,
    )
