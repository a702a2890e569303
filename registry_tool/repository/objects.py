"""Reading objects through persistent `git cat-file` processes."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from subprocess import Popen
from typing import NamedTuple

from registry_tool.domain.revisions import is_oid
from registry_tool.errors import RepositoryProblem
from registry_tool.repository.command import GitCommand, stop

_CHUNK = 2000
"""Oids asked for at once.

Git queues them all before it answers, so no pipe can fill up on both sides.
"""


class GitObject(NamedTuple):
    """An object's oid, type (``blob``, ``tree``, ``commit``, ``tag``) and raw content."""

    oid: str
    type: str
    data: bytes


class ObjectReader:
    """Reads objects by oid.

    Thread-safe: each read has a process of its own, kept for the next one.
    """

    def __init__(self, command: GitCommand) -> None:
        self._command = command
        self._idle: list[Popen[bytes]] = []
        self._lock = threading.Lock()

    def read(self, oids: Sequence[str]) -> Generator[GitObject, None, None]:
        """The objects in the order asked for. Raises RepositoryProblem for one that is missing."""
        if not oids:
            return
        process = self._take()
        unread = 0
        try:
            pending = iter(oids)
            while chunk := list(islice(pending, _CHUNK)):
                _ask(process, "contents", chunk)
                unread = len(chunk)
                for oid in chunk:
                    found = _answer(process, oid)
                    unread -= 1
                    if found is None:
                        raise _missing(oid)
                    yield found
        except (OSError, ValueError) as problem:
            unread = 1
            raise _broken(process) from problem
        finally:
            self._give_back(process, reusable=unread == 0)

    def find(self, oid: str) -> GitObject | None:
        """One object, or None when the repository does not have it."""
        process = self._take()
        reusable = False
        try:
            _ask(process, "contents", [oid])
            found = _answer(process, oid)
            reusable = True
            return found
        except (OSError, ValueError) as problem:
            raise _broken(process) from problem
        finally:
            self._give_back(process, reusable=reusable)

    def get(self, oid: str) -> GitObject:
        """One object; raises RepositoryProblem when the repository does not have it."""
        found = self.find(oid)
        if found is None:
            raise _missing(oid)
        return found

    def close(self) -> None:
        """End the processes; a later read starts new ones."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            stop(process)

    def _take(self) -> Popen[bytes]:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._command.start("cat-file", "--batch-command", "--buffer")

    def _give_back(self, process: Popen[bytes], *, reusable: bool) -> None:
        if not reusable or process.poll() is not None:
            stop(process)
            return
        with self._lock:
            self._idle.append(process)


def _ask(process: Popen[bytes], verb: str, oids: Iterable[str]) -> None:
    for oid in oids:
        if not is_oid(oid):
            raise RepositoryProblem(f'"{oid}" is not a full object id', code="RT602")
    if process.stdin is None:
        raise ValueError("no pipe to git cat-file")
    process.stdin.write("".join(f"{verb} {oid}\n" for oid in oids).encode() + b"flush\n")
    process.stdin.flush()


def _answer(process: Popen[bytes], oid: str) -> GitObject | None:
    if process.stdout is None:
        raise ValueError("no pipe from git cat-file")
    header = process.stdout.readline().split()
    if len(header) == 2 and header[1] == b"missing":
        return None
    if len(header) != 3 or header[0] != oid.encode():
        raise ValueError(f"git cat-file answered {header!r} for {oid}")
    size = int(header[2])
    data = process.stdout.read(size + 1)
    if len(data) != size + 1:
        raise ValueError(f"git cat-file ended inside {oid}")
    return GitObject(oid, header[1].decode(), data[:-1])


def _missing(oid: str) -> RepositoryProblem:
    return RepositoryProblem(
        f"the object {oid} is missing from the repository",
        code="RT605",
        help="check it with: git fsck; "
        "complete a partial clone with: git fetch --refetch --no-filter",
    )


def _broken(process: Popen[bytes]) -> RepositoryProblem:
    stop_reason = ""
    if process.poll() is not None and process.stderr is not None:
        stop_reason = process.stderr.read().decode("utf-8", "replace").strip()
    return RepositoryProblem(
        f"git cat-file failed: {stop_reason or 'it ended early'}",
        code="RT605",
        help="check the repository with: git fsck",
    )
