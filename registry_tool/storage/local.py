"""Files on this machine and its mounts, read without a layer in between.

Every file is checked where it really is: a symbolic link may point anywhere below the allowed
prefixes (checkpoints are often directories of links into a cache), and nowhere else.
"""

from __future__ import annotations

import errno
import io
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from registry_tool.domain.storage import is_allowed
from registry_tool.errors import ContentMismatch, StorageProblem
from registry_tool.storage.problems import (
    DOES_NOT_EXIST,
    EXCLUDE_HELP,
    absent,
    exists_already,
    not_allowed,
    translated,
    unusable,
)
from registry_tool.storage.stored_file import Absent, StoredFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READ_BUFFER = 1 << 17
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a directory",
}
_SETTLED = 3_000_000_000
"""Nanoseconds after which no clock is coarse enough to hide that a file was written once more."""
# What an interrupted write left beside a file.
_PARTIAL = re.compile(r"\..*\.[0-9a-f]{16}\.partial", re.DOTALL)
_CIRCULAR = "is a symbolic link to itself"


class LocalFiles:
    """Files below directories that lie under `allowed` (normal absolute paths)."""

    confirms_writes = False

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(allowed)

    def files(self, root: str, passed_over: Callable[[str], bool]) -> Iterator[StoredFile]:
        """All regular files, in no order; `passed_over` says which bad entries do not matter."""
        self.check(root)
        waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
        while waiting:
            folder, above = waiting.pop()
            path = os.path.join(root, folder)  # noqa: PTH118 - file names need not be valid Unicode
            try:
                here = os.stat(path)  # noqa: PTH116
                identity = (here.st_dev, here.st_ino)
                if identity in above:
                    raise unusable(path, "is a link to a directory above it", help=EXCLUDE_HELP)
                entries = list(os.scandir(path))
            except StorageProblem:
                if passed_over(folder):
                    continue
                raise
            except OSError as problem:
                if passed_over(folder):
                    continue
                raise translated(path, problem, "list") from problem
            for entry in entries:
                relative = folder + entry.name
                if _PARTIAL.fullmatch(entry.name):
                    continue
                try:
                    status = self._status(entry)
                except StorageProblem:
                    if passed_over(relative):
                        continue
                    raise
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((relative + "/", above | {identity}))
                else:
                    yield _stored_file(relative, status)

    def find(self, root: str, path: str, version_id: str | None = None) -> StoredFile | Absent:
        """One regular file; links lead to it or nowhere."""
        place = os.path.join(root, path)  # noqa: PTH118
        self._check_real(place)
        try:
            status = os.stat(place)  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            link = os.path.islink(place)  # noqa: PTH114
            return Absent(_dangling(place) if link else DOES_NOT_EXIST)
        except OSError as problem:
            if problem.errno == errno.ELOOP:
                return Absent(_CIRCULAR)
            raise translated(place, problem) from problem
        if not stat.S_ISREG(status.st_mode):
            return Absent(_wrong_kind(status.st_mode))
        return _stored_file(path, status)

    def check(self, root: str) -> None:
        """Raise unless the directory is there."""
        self._check_real(root)
        try:
            mode = os.stat(root).st_mode  # noqa: PTH116
        except OSError as problem:
            raise translated(root, problem, "list") from problem
        if not stat.S_ISDIR(mode):
            raise unusable(root, "is not a directory", help="name the directory of the files")

    def versioned(self, root: str, files: Sequence[StoredFile]) -> list[StoredFile]:
        """The same: file systems keep no versions."""
        return list(files)

    def open(self, root: str, path: str, offset: int, expected: StoredFile | None) -> BinaryIO:
        """A reader that notices when the file is changed under it."""
        found = self.find(root, path)
        place = os.path.join(root, path)  # noqa: PTH118
        if isinstance(found, Absent):
            raise absent(place, found)
        return self._opened(place, offset)

    def _opened(self, place: str, offset: int) -> BinaryIO:
        try:
            # Without O_NONBLOCK a pipe that replaces the file after the check would block for ever.
            descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as problem:
            raise translated(place, problem) from problem
        file = io.FileIO(descriptor, "rb")
        try:
            _check_kind(place, os.fstat(descriptor).st_mode, {stat.S_IFREG})
            self._check_opened(place, descriptor)
            with suppress(OSError):  # only a hint, which some file systems do not take
                os.posix_fadvise(descriptor, offset, 0, os.POSIX_FADV_SEQUENTIAL)
            file.seek(offset)
        except BaseException:
            file.close()
            raise
        return io.BufferedReader(_Reader(file, place), _READ_BUFFER)

    def write(
        self, root: str, path: str, chunks: Iterable[bytes], size: int | None, replace: bool
    ) -> None:
        """Write beside the file and rename, so that a reader sees the old content or the new."""
        place = Path(root, path)
        self._check_real(str(place.parent))
        partial = place.with_name(f".{place.name[:200]}.{secrets.token_hex(8)}.partial")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                with partial.open("xb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                if replace:
                    partial.replace(place)
                else:
                    _publish(partial, place)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as problem:
            raise translated(str(place), problem, "write") from problem

    def delete(self, root: str, path: str) -> None:
        """Remove a file, or the link that stands for it."""
        place = Path(root, path)
        self._check_real(str(place.parent))
        try:
            place.unlink()
        except OSError as problem:
            raise translated(str(place), problem, "delete") from problem

    def _status(self, entry: os.DirEntry[str]) -> os.stat_result:
        try:
            if entry.is_symlink():
                self._check_link(entry.path)
                status = os.stat(entry.path)  # noqa: PTH116
            else:
                status = entry.stat(follow_symlinks=False)
        except OSError as problem:
            raise translated(entry.path, problem, "list") from problem
        _check_kind(entry.path, status.st_mode, {stat.S_IFREG, stat.S_IFDIR})
        return status

    def _check_link(self, place: str) -> None:
        self._check_real(place)
        try:
            os.stat(place)  # noqa: PTH116
        except FileNotFoundError as problem:
            raise unusable(place, _dangling(place), help=EXCLUDE_HELP) from problem
        except OSError as problem:
            if problem.errno != errno.ELOOP:
                raise
            raise unusable(place, _CIRCULAR, help=EXCLUDE_HELP) from problem

    def _check_real(self, place: str) -> None:
        self._check_place(place, os.path.realpath(place))

    def _check_opened(self, place: str, descriptor: int) -> None:
        # A directory on the way may have become a link since the path was checked; the kernel knows
        # what was opened in the end.
        with suppress(FileNotFoundError):
            self._check_place(place, os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115

    def _check_place(self, place: str, real: str) -> None:
        if not is_allowed(real, map(os.path.realpath, self._allowed)):
            raise not_allowed(place, f"it leads to {real}, outside the allowed storage")


class _Reader(io.RawIOBase):
    """Translates errors; at the end makes sure that the file was not changed meanwhile."""

    def __init__(self, file: io.FileIO, place: str) -> None:
        self._file = file
        self._place = place
        self._before = os.fstat(file.fileno())

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        try:
            count = self._file.readinto(buffer) or 0
        except OSError as problem:
            raise translated(self._place, problem) from problem
        if not count:
            self._check_unchanged()
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _check_unchanged(self) -> None:
        now, before = os.fstat(self._file.fileno()), self._before
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise ContentMismatch(
                f"{self._place} was changed while it was read",
                help="wait until nobody writes to the storage path, then try again",
            )


def _publish(partial: Path, place: Path) -> None:
    """Give a finished file its name, which must be free."""
    try:
        place.hardlink_to(partial)
    except FileExistsError:
        raise exists_already(str(place)) from None
    except OSError:
        # Some file systems have no hard links; nothing else refuses to replace a file.
        if os.path.lexists(place):
            raise exists_already(str(place)) from None
        partial.replace(place)


def _stored_file(path: str, status: os.stat_result) -> StoredFile:
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    parts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    settled = newest < time.time_ns() - _SETTLED
    fingerprint = ":".join(map(str, parts)) if settled else None
    return StoredFile(path, status.st_size, fingerprint=fingerprint)


def _dangling(place: str) -> str:
    return f"is a symbolic link to {os.path.realpath(place)}, which does not exist"


def _wrong_kind(mode: int) -> str:
    kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
    return f"is {kind}, not a regular file"


def _check_kind(place: str, mode: int, wanted: set[int]) -> None:
    if stat.S_IFMT(mode) not in wanted:
        raise unusable(place, _wrong_kind(mode), help=EXCLUDE_HELP)
