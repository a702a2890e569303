"""The work tree as a snapshot.

Files as they are on disk, with the oids that Git would give them.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.cache_file import CacheFile
from registry_tool.repository.command import GitCommand, decode
from registry_tool.repository.differences import (
    FOLDERS,
    Sides,
    TreeState,
    parse_raw,
    raw_arguments,
    read_raw,
)
from registry_tool.repository.objects import ObjectReader
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

    A file that Git takes for unchanged is as in the index; all others are read. Symlinks are not
    followed.
    """

    def __init__(
        self,
        command: GitCommand,
        reader: ObjectReader,
        root: Path,
        object_format: str,
        cache_path: Path,
        head_tree: Callable[[], str],
    ) -> None:
        self._command = command
        self._reader = reader
        self._root = root
        self._object_format = object_format
        self._cache_path = cache_path
        self._head_tree = head_tree
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
        _ = self._changed
        known = self._contents.keys() | self._paths.keys()
        with closing(self._reader.read([oid for oid in oids if oid not in known])) as stored:
            for oid in oids:
                if oid in self._contents:
                    yield oid, self._contents[oid]
                elif oid in self._paths:
                    yield oid, self._read_again(oid, self._paths[oid])
                else:
                    yield oid, next(stored).data

    @cached_property
    def state(self) -> TreeState:
        """What tells it from other states, without listing all files."""
        tree = self._head_tree()
        staged = read_raw(self._command, "diff-index", "--cached", tree)
        overlay: dict[str, Sides] = dict(staged)
        for path, (indexed, actual) in self._changed.items():
            in_tree = staged[path][0] if path in staged else indexed
            if in_tree == actual:
                overlay.pop(path, None)
            else:
                overlay[path] = (in_tree, actual)
        return TreeState(tree, overlay)

    @cached_property
    def _entries(self) -> Sequence[TreeEntry]:
        listing = self._command.run("ls-files", "--stage", "-z", "--full-name", "--", *FOLDERS)
        entries = {}
        for row in decode(listing.stdout).split("\0"):
            head, _, path = row.partition("\t")
            if path:
                mode, oid, _ = head.split(" ")
                entries[path] = TreeEntry(path, mode, oid)
        for path, (_, actual) in self._changed.items():
            entries.pop(path, None)
            if actual is not None:
                entries[actual.path] = actual
        return tuple(sorted(entries.values()))

    @cached_property
    def _changed(self) -> Mapping[str, Sides]:
        """Files that are not as in the index: there, and as they are."""
        differing, untracked = self._told_by_git()
        indexed = {path: before for path, (before, _) in differing.items()}
        cache = CacheFile(self._cache_path, _SCHEMA)
        try:
            nothing: dict[str, tuple[_Stamp, str]] = {}
            known = cache.attempt(_load, nothing)
            fresh: dict[str, tuple[_Stamp, str]] = {}
            paths = {*indexed, *untracked}
            actual = {entry.path: entry for entry in self._scan(paths, known, fresh)}
            gone = [path for path in known if path not in actual]
            if fresh or gone:
                cache.attempt(lambda connection: _save(connection, fresh, gone), None)
        finally:
            cache.close()
        return {path: (indexed.get(path), actual.get(path)) for path in {*indexed, *actual}}

    def _scan(
        self,
        paths: Iterable[str],
        known: Mapping[str, tuple[_Stamp, str]],
        fresh: dict[str, tuple[_Stamp, str]],
    ) -> Iterator[TreeEntry]:
        still = time.time_ns() - _RACY_NANOSECONDS
        no_oid = "0" * (40 if self._object_format == "sha1" else 64)
        root = f"{self._root}{os.sep}"
        real_folders: dict[str, bool] = {"": True}
        for path in paths:
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

    def _told_by_git(self) -> tuple[Mapping[str, Sides], list[str]]:
        """Files that are not as in the index, and untracked ones; both take a look at every folder."""
        others = ("ls-files", "-z", "--others", "--exclude-standard", "--full-name", "--", *FOLDERS)
        changed, untracked = self._command.run_together(
            raw_arguments("diff-files"), others, environment=self._environment
        )
        paths = [path for path in decode(untracked.stdout).split("\0") if path]
        return parse_raw(changed.stdout), paths

    @cached_property
    def _environment(self) -> dict[str, str]:
        """The operator's own ignore file counts, as it does for `git status`; filters never run."""
        settings = {}
        ignored = self._settings("--type=path", "--get-all", "core.excludesFile")
        if ignored:
            settings["core.excludesFile"] = ignored[-1]
        for name in self._settings("--name-only", "--get-regexp", r"^filter\..*\.(clean|process)$"):
            # Git compares contents where time stamps do not tell, and would filter them first.
            settings[name] = ""
            settings[f"{name.rpartition('.')[0]}.required"] = "false"
        return self._command.with_config(settings)

    def _settings(self, *arguments: str) -> list[str]:
        found = self._command.run_as_operator("config", "-z", *arguments, accept=(0, 1))
        return [value for value in decode(found.stdout).split("\0") if value]

    def _hash(self, path: str) -> str:
        data = _content(self._root / path)
        oid = object_id("blob", data, self._object_format)
        if len(data) <= self._room and oid not in self._contents:
            self._room -= len(data)
            self._contents[oid] = data
        return oid

    def _read_again(self, oid: str, path: str) -> bytes:
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
