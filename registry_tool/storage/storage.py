"""The only door to the files of releases, which checks what may be read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO, Protocol

from registry_tool.domain.storage import is_allowed, locked_path_problem, normal_storage_path
from registry_tool.errors import StorageProblem
from registry_tool.storage.local import LocalFiles
from registry_tool.storage.problems import absent, not_allowed
from registry_tool.storage.stored_file import Absent, StoredFile

_S3 = ("s3", "s3a")


class _Files(Protocol):
    """One kind of storage; `root` is a normal, allowed location."""

    @property
    def confirms_writes(self) -> bool: ...
    def files(self, root: str, passed_over: Callable[[str], bool]) -> Iterator[StoredFile]: ...
    def find(self, root: str, path: str, version_id: str | None) -> StoredFile | Absent: ...
    def check(self, root: str) -> None: ...
    def versioned(self, root: str, files: Sequence[StoredFile]) -> list[StoredFile]: ...
    def open(self, root: str, path: str, offset: int, expected: StoredFile | None) -> BinaryIO: ...
    def write(
        self, root: str, path: str, chunks: Iterable[bytes], size: int | None, replace: bool
    ) -> None: ...
    def delete(self, root: str, path: str) -> None: ...


def _never(_path: str) -> bool:
    return False


class Storage:
    """Files below locations (absolute paths and URLs) that lie under the `allowed` prefixes.

    May be used from several threads. All methods raise StorageProblem: RT501 for a place that may
    not be used, RT506 for a path that no lock can have, RT508 for what cannot be read or written.
    What servers could not do just now is tried again before that.
    """

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(map(normal_storage_path, allowed))
        self._local = LocalFiles([prefix for prefix in self._allowed if prefix.startswith("/")])
        self._remote: dict[str, _Files] = {}
        self._lock = threading.Lock()

    def files(self, location: str, passed_over: Callable[[str], bool] = _never) -> list[StoredFile]:
        """All files below a location, sorted by path.

        An entry that cannot be used (a dangling link, an unreadable directory, a pipe) is an error
        that names it, unless `passed_over` accepts its path; directories end in a slash. Object
        stores do not list versions: see `versioned`.
        """
        found, root = self._place(location)
        return sorted(found.files(root, passed_over), key=lambda file: file.path)

    def versioned(self, location: str, files: Sequence[StoredFile]) -> list[StoredFile]:
        """The same files as they are now, with version ids where the storage keeps versions."""
        found, root = self._place(location)
        return found.versioned(root, files)

    def find(self, location: str, path: str, version_id: str | None = None) -> StoredFile | Absent:
        """What is known of one file, or of one version of it, without reading it."""
        found, root = self._place(location, path)
        return found.find(root, path, version_id)

    def stat(self, location: str, path: str) -> StoredFile:
        """What is known of one file, which must be there."""
        known = self.find(location, path)
        if isinstance(known, Absent):
            raise absent(f"{normal_storage_path(location)}/{path}", known)
        return known

    def check(self, location: str) -> None:
        """Raise StorageProblem where a location itself is not there, such as an unmounted disk."""
        found, root = self._place(location)
        found.check(root)

    def open(
        self, location: str, path: str, offset: int = 0, expected: StoredFile | None = None
    ) -> BinaryIO:
        """A sequential reader from `offset`.

        With `expected` exactly that version is read, where the storage keeps versions, and a file
        that was replaced raises ContentMismatch, where the storage can tell. Reading raises
        StorageProblem, or ContentMismatch when the file is changed meanwhile.
        """
        found, root = self._place(location, path)
        return found.open(root, path, offset, expected)

    def write(
        self,
        location: str,
        path: str,
        chunks: Iterable[bytes],
        *,
        size: int | None = None,
        replace: bool = True,
    ) -> None:
        """Create a file, or replace it; nobody sees a part of it.

        `size` is how much is to come, where that is known. Without `replace` a file that is there
        raises StorageProblem, also when somebody else writes it meanwhile.
        """
        found, root = self._place(location, path)
        found.write(root, path, chunks, size, replace)

    def confirms_writes(self, location: str) -> bool:
        """Whether a write fails unless the other side got the same bytes: no need to read it back."""
        return self._place(location)[0].confirms_writes

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
                self._remote[scheme] = _remote(scheme)
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


def _remote(scheme: str) -> _Files:
    # Imported here, so that programs that only read local files never load the machinery.
    if scheme in _S3:
        from registry_tool.storage.s3 import S3Files

        return S3Files()
    from registry_tool.storage.remote import RemoteFiles

    return RemoteFiles(scheme)
