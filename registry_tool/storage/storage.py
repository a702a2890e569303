"""The only door to the files of releases, which checks what may be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Protocol

from registry_tool.domain.storage import is_allowed, locked_path_problem, normal_storage_path
from registry_tool.errors import StorageProblem
from registry_tool.storage.local import LocalFiles
from registry_tool.storage.problems import not_allowed
from registry_tool.storage.stored_file import StoredFile


class _Files(Protocol):
    """One kind of storage; `root` is a normal, allowed location."""

    def files(self, root: str, passed_over: Callable[[str], bool]) -> Iterator[StoredFile]: ...
    def stat(self, root: str, path: str) -> StoredFile: ...
    def open(self, root: str, path: str, offset: int) -> BinaryIO: ...
    def write(self, root: str, path: str, chunks: Iterable[bytes]) -> None: ...
    def delete(self, root: str, path: str) -> None: ...


def _never(_path: str) -> bool:
    return False


class Storage:
    """Files below locations (absolute paths and URLs) that lie under the `allowed` prefixes.

    May be used from several threads. All methods raise StorageProblem: RT501 for a place that may
    not be used, RT506 for a path that no lock can have, RT508 for what cannot be read or written.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(map(normal_storage_path, allowed))
        self._local = LocalFiles([prefix for prefix in self._allowed if prefix.startswith("/")])
        self._remote: dict[str, _Files] = {}
        self._lock = threading.Lock()

    def files(self, location: str, passed_over: Callable[[str], bool] = _never) -> list[StoredFile]:
        """All files below a location, sorted by path.

        An entry that cannot be used (a dangling link, an unreadable directory, a pipe) is an error
        that names it, unless `passed_over` accepts its path; directories end in a slash.
        """
        found, root = self._place(location)
        return sorted(found.files(root, passed_over), key=lambda file: file.path)

    def stat(self, location: str, path: str) -> StoredFile:
        """What is known of one file without reading it."""
        found, root = self._place(location, path)
        return found.stat(root, path)

    def open(self, location: str, path: str, offset: int = 0) -> BinaryIO:
        """A sequential reader from `offset`.

        Reading raises StorageProblem, or ContentMismatch when the file is changed meanwhile.
        """
        found, root = self._place(location, path)
        return found.open(root, path, offset)

    def write(self, location: str, path: str, chunks: Iterable[bytes]) -> None:
        """Create or replace a file; nobody sees a part of it."""
        found, root = self._place(location, path)
        found.write(root, path, chunks)

    def delete(self, location: str, path: str) -> None:
        """Remove a file, which must exist."""
        found, root = self._place(location, path)
        found.delete(root, path)

    def _place(self, location: str, path: str | None = None) -> tuple[_Files, str]:
        self._check(location)
        if path is not None and (problem := locked_path_problem(path)):
            raise StorageProblem(
                f'"{path}" below {location} cannot be used: {problem}',
                code="RT506",
                help="rename the file, or exclude it in spec.artifacts.exclude of the release",
            )
        root = normal_storage_path(location)
        if root.startswith("/"):
            return self._local, root
        scheme = root.partition("://")[0]
        with self._lock:
            if scheme not in self._remote:
                # Here, so that programs that only read local files never load the machinery.
                from registry_tool.storage.remote import RemoteFiles

                self._remote[scheme] = RemoteFiles(scheme)
            return self._remote[scheme], root

    def _check(self, location: str) -> None:
        scheme, separator, rest = location.partition("://")
        if "::" in location:
            raise not_allowed(location, 'it has "::", which chains locations')
        if not separator and not location.startswith("/"):
            raise not_allowed(location, "it is neither an absolute path nor a URL")
        if scheme == "file" and separator and not rest.startswith("/"):
            raise not_allowed(location, "a file URL has three slashes and no host")
        if ".." in location.split("/"):
            raise not_allowed(location, 'it has a ".." component')
        if not is_allowed(location, self._allowed):
            allowed = ", ".join(self._allowed) or "nothing"
            raise not_allowed(location, f"it is not below the allowed storage ({allowed})")
