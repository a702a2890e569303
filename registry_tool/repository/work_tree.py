"""The work tree as a snapshot.

Files as they are on disk, with the oids that Git would give them.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.cache_file import CacheFile
from registry_tool.repository.command import GitCommand, decode
from registry_tool.repository.snapshots import FOLDERS
from registry_tool.repository.trees import TreeEntry, object_id

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
  path BLOB PRIMARY KEY, modified INTEGER, changed INTEGER, size INTEGER, inode INTEGER, oid TEXT
) WITHOUT ROWID;
"""
_RACY_NANOSECONDS = 2_000_000_000
"""A file this young may change again within the resolution of its time stamps: not cached."""
_KEPT_BYTES = 64 * 1024 * 1024
"""Contents that were read for hashing and are kept for the reading that follows."""


class _Stamp(NamedTuple):
    modified: int
    changed: int
    size: int
    inode: int


class WorkTreeSnapshot:
    """Tracked and untracked, not ignored files below manifests/ and build_templates/.

    Symlinks are not followed.
    """

    def __init__(
        self, command: GitCommand, root: Path, object_format: str, cache_path: Path
    ) -> None:
        self._command = command
        self._root = root
        self._object_format = object_format
        self._cache_path = cache_path
        self._paths: dict[str, str] = {}
        self._contents: dict[str, bytes] = {}
        self._room = _KEPT_BYTES

    def entries(self) -> Sequence[TreeEntry]:
        """The files, sorted by path.

        Anything that is neither file nor symlink has its own mode and no real oid.
        """
        return self._entries

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Oid and content of files, in the order asked for.

        Raises a transient RepositoryProblem when a file has changed since it was listed.
        """
        _ = self._entries
        for oid in oids:
            data = self._contents.get(oid)
            yield oid, self._read_again(oid) if data is None else data

    @cached_property
    def _entries(self) -> Sequence[TreeEntry]:
        cache = CacheFile(self._cache_path, _SCHEMA)
        try:
            nothing: dict[str, tuple[_Stamp, str]] = {}
            known = cache.attempt(_load, nothing)
            fresh: dict[str, tuple[_Stamp, str]] = {}
            entries = sorted(self._scan(known, fresh))
            paths = {entry.path for entry in entries}
            gone = [path for path in known if path not in paths]
            if fresh or gone:
                cache.attempt(lambda connection: _save(connection, fresh, gone), None)
        finally:
            cache.close()
        return tuple(entries)

    def _scan(
        self, known: Mapping[str, tuple[_Stamp, str]], fresh: dict[str, tuple[_Stamp, str]]
    ) -> Iterator[TreeEntry]:
        still = time.time_ns() - _RACY_NANOSECONDS
        no_oid = "0" * (40 if self._object_format == "sha1" else 64)
        root = f"{self._root}{os.sep}"
        real_folders: dict[str, bool] = {"": True}
        for path in self._list():
            if not _is_real_folder(root, path.rpartition("/")[0], real_folders):
                continue
            try:
                status = os.lstat(f"{root}{path}")
            except (FileNotFoundError, NotADirectoryError):
                continue
            if stat.S_ISDIR(status.st_mode):
                yield TreeEntry(path.rstrip("/"), "160000", no_oid)
            elif not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                yield TreeEntry(path, f"{stat.S_IFMT(status.st_mode):06o}", no_oid)
            else:
                stamp = _stamp(status)
                kept, oid = known.get(path, (None, ""))
                if kept != stamp:
                    oid = self._hash(path)
                    if max(stamp.modified, stamp.changed) < still:
                        fresh[path] = (stamp, oid)
                self._paths[oid] = path
                yield TreeEntry(path, _mode(status.st_mode), oid)

    def _list(self) -> list[str]:
        arguments = ["-z", "--cached", "--others", "--deduplicate", "--exclude-standard"]
        output = self._command.run(
            "ls-files", *arguments, "--full-name", "--", *FOLDERS, environment=self._ignores()
        ).stdout
        return [path for path in decode(output).split("\0") if path]

    def _ignores(self) -> dict[str, str]:
        """The operator's own ignore file counts, as it does for `git status`."""
        found = self._command.run_as_operator(
            "config", "--type=path", "--get", "core.excludesFile", accept=(0, 1)
        )
        return self._command.with_config({"core.excludesFile": found.text} if found.text else {})

    def _hash(self, path: str) -> str:
        data = _content(self._root / path)
        oid = object_id("blob", data, self._object_format)
        if len(data) <= self._room and oid not in self._contents:
            self._room -= len(data)
            self._contents[oid] = data
        return oid

    def _read_again(self, oid: str) -> bytes:
        path = self._paths.get(oid)
        if path is None:
            raise RepositoryProblem(f"no file of the work tree has the oid {oid}", code="RT605")
        data = _content(self._root / path)
        if object_id("blob", data, self._object_format) != oid:
            raise RepositoryProblem(
                f"{path} changed while it was being read",
                code="RT605",
                transient=True,
                help="run the command again",
            )
        return data


def _stamp(status: os.stat_result) -> _Stamp:
    # SQLite's integers are signed, and some file systems use all 64 bits for the inode.
    inode = status.st_ino & (1 << 63) - 1
    return _Stamp(status.st_mtime_ns, status.st_ctime_ns, status.st_size, inode)


def _mode(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "120000"
    return "100755" if mode & stat.S_IXUSR else "100644"


def _is_real_folder(root: str, folder: str, known: dict[str, bool]) -> bool:
    """Whether no component of `folder` is a symlink.

    What lies behind one is not in the work tree.
    """
    if folder not in known:
        parent = _is_real_folder(root, folder.rpartition("/")[0], known)
        known[folder] = parent and _is_folder(f"{root}{folder}")
    return known[folder]


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _content(path: Path) -> bytes:
    """The bytes that Git would store: of the file itself, or a symlink's target."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        if path.is_symlink():
            return os.fsencode(path.readlink())
        raise RepositoryProblem(
            f"{path} cannot be read: {problem.strerror}", code="RT610", help="check its permissions"
        ) from problem
    with open(descriptor, "rb") as file:  # noqa: PTH123
        return file.read()


def _load(connection: sqlite3.Connection) -> dict[str, tuple[_Stamp, str]]:
    rows = connection.execute("SELECT path, modified, changed, size, inode, oid FROM files")
    return {decode(row[0]): (_Stamp(*row[1:5]), row[5]) for row in rows}


def _save(
    connection: sqlite3.Connection, fresh: Mapping[str, tuple[_Stamp, str]], gone: Sequence[str]
) -> None:
    connection.executemany(
        "DELETE FROM files WHERE path = ?", ((os.fsencode(path),) for path in gone)
    )
    connection.executemany(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
        ((os.fsencode(path), *stamp, oid) for path, (stamp, oid) in fresh.items()),
    )
