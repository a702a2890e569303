"""Files on this machine and its mounts, read without a layer in between.

Every file is checked where it really is: a symbolic link may point anywhere below the allowed
prefixes (checkpoints are often directories of links into a cache), and nowhere else.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from registry_tool.domain.storage import is_allowed
from registry_tool.errors import ContentMismatch, StorageProblem
from registry_tool.storage.problems import not_allowed, translated, unusable
from registry_tool.storage.stored_file import StoredFile

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
_EXCLUDE_HELP = "remove it, or name it in spec.artifacts.exclude of the release"


class LocalFiles:
    """Files below directories that lie under `allowed` (normal absolute paths)."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(allowed)

    def files(self, root: str, passed_over: Callable[[str], bool]) -> Iterator[StoredFile]:
        """All regular files, in no order; `passed_over` says which bad entries do not matter."""
        self._check_directory(root)
        waiting: list[tuple[str, frozenset[tuple[int, int]]]] = [("", frozenset())]
        while waiting:
            folder, above = waiting.pop()
            path = os.path.join(root, folder)  # noqa: PTH118 - file names need not be valid Unicode
            try:
                here = os.stat(path)  # noqa: PTH116
                identity = (here.st_dev, here.st_ino)
                if identity in above:
                    raise unusable(path, "is a link to a directory above it", help=_EXCLUDE_HELP)
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
                try:
                    status = self._status(entry)
                except StorageProblem:
                    if passed_over(relative):
                        continue
                    raise
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((relative + "/", above | {identity}))
                else:
                    yield StoredFile(relative, status.st_size)

    def stat(self, root: str, path: str) -> StoredFile:
        """One regular file."""
        place = os.path.join(root, path)  # noqa: PTH118
        self._check_real(place)
        try:
            status = os.stat(place)  # noqa: PTH116
        except OSError as problem:
            raise translated(place, problem) from problem
        _check_kind(place, status.st_mode, {stat.S_IFREG})
        return StoredFile(path, status.st_size)

    def open(self, root: str, path: str, offset: int) -> BinaryIO:
        """A reader that notices when the file is changed under it."""
        self.stat(root, path)
        place = os.path.join(root, path)  # noqa: PTH118
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

    def write(self, root: str, path: str, chunks: Iterable[bytes]) -> None:
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
                partial.replace(place)
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

    def _check_directory(self, root: str) -> None:
        self._check_real(root)
        try:
            mode = os.stat(root).st_mode  # noqa: PTH116
        except OSError as problem:
            raise translated(root, problem, "list") from problem
        if not stat.S_ISDIR(mode):
            raise unusable(root, "is not a directory", help="name the directory of the files")

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
            raise unusable(
                place,
                f"is a symbolic link to {os.path.realpath(place)}, which does not exist",
                help=_EXCLUDE_HELP,
            ) from problem
        except OSError as problem:
            if problem.errno != errno.ELOOP:
                raise
            raise unusable(place, "is a symbolic link to itself", help=_EXCLUDE_HELP) from problem

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


def _check_kind(place: str, mode: int, wanted: set[int]) -> None:
    kind = stat.S_IFMT(mode)
    if kind not in wanted:
        raise unusable(
            place,
            f"is {_KINDS.get(kind, 'a special file')}, not a regular file",
            help=_EXCLUDE_HELP,
        )
