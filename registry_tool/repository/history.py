"""Commits and what they changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from registry_tool.repository.command import GitCommand, decode, stop
from registry_tool.repository.problems import git_failed, shallow_clone

if TYPE_CHECKING:
    from registry_tool.domain.records import Person

FIELDS = ("%H", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B", "%(trailers:only,unfold)")
"""What `git log` is asked of each commit; `commit_info` takes the values."""
_READ_AT_ONCE = 1 << 16


@dataclass(frozen=True)
class CommitInfo:
    """A commit. Text that is not UTF-8 has replacement characters."""

    oid: str
    parents: tuple[str, ...]
    author: Person
    authored_at: datetime
    committer: Person
    committed_at: datetime
    subject: str
    body: str
    """The message after its subject, trailers included."""
    trailers: tuple[tuple[str, str], ...]
    """Keys and values of the trailers, in order."""

    def trailer(self, key: str) -> tuple[str, ...]:
        """All values of a trailer, without regard to case."""
        return tuple(value for name, value in self._folded if name == key.casefold())

    @cached_property
    def _folded(self) -> tuple[tuple[str, str], ...]:
        return tuple((name.casefold(), value) for name, value in self.trailers)


@dataclass(frozen=True, slots=True)
class Change:
    """A path that differs between two commits."""

    path: str
    status: str
    """``A`` added, ``M`` modified, ``D`` deleted, ``T`` another type of file."""


def read_commits(
    command: GitCommand,
    oid: str,
    *,
    paths: Sequence[str],
    limit: int | None,
    boundary: frozenset[str],
) -> Iterator[CommitInfo]:
    """Commits from `oid` backwards. `boundary` holds the commits where a shallow clone ends.

    Raises RepositoryProblem (RT603) where the answer would be wrong or incomplete because of it:
    Git shows such a commit as one that adds every file.
    """
    arguments = ["log", "-z", "--no-color", "--no-decorate", "--encoding=UTF-8"]
    arguments += ["--format=tformat:" + "%x00".join(FIELDS)]
    if limit is not None:
        arguments.append(f"--max-count={limit}")
    process = command.start(*arguments, "--end-of-options", oid, "--", *paths)
    count, cut = 0, False
    try:
        if process.stdin is not None:
            process.stdin.close()
            process.stdin = None
        for info in _parse(process.stdout):
            cut = info.oid in boundary
            if cut and paths:
                raise shallow_clone("the history of these files is needed")
            count += 1
            yield info
        if process.wait() != 0 and process.stderr is not None:
            raise git_failed(("log",), process.stderr.read().decode("utf-8", "replace"))
        if cut and count != limit:
            raise shallow_clone("older history is needed")
    finally:
        stop(process)


def _parse(stream: object) -> Iterator[CommitInfo]:
    fields: list[bytes] = []
    for field in split_fields(stream):
        fields.append(field)
        if len(fields) == len(FIELDS):
            yield commit_info([value.decode("utf-8", "replace") for value in fields])
            fields = []


def split_fields(stream: object) -> Iterator[bytes]:
    """Fields of a stream that end in NUL, read as they come."""
    read = getattr(stream, "read1")  # noqa: B009
    rest = b""
    while chunk := read(_READ_AT_ONCE):
        *whole, rest = (rest + chunk).split(b"\0")
        yield from whole


def commit_info(fields: Sequence[str]) -> CommitInfo:
    """The commit of the values of FIELDS."""
    from registry_tool.domain.records import Person

    oid, parents, author, author_email, authored, committer, email, committed, text, rest = fields
    subject, _, body = text.strip("\n").partition("\n\n")
    return CommitInfo(
        oid=oid,
        parents=tuple(parents.split()),
        author=Person(name=author, email=author_email),
        authored_at=_time(authored),
        committer=Person(name=committer, email=email),
        committed_at=_time(committed),
        subject=" ".join(subject.split("\n")),
        body=body.strip("\n"),
        trailers=tuple(_trailers(rest)),
    )


def _time(text: str) -> datetime:
    """A commit's time; commits with impossible ones exist, and count as the oldest."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _trailers(text: str) -> Iterator[tuple[str, str]]:
    for line in text.split("\n"):
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(), value.strip()


def read_changes(command: GitCommand, before: str, after: str) -> list[Change]:
    """Paths that differ between two trees or commits, renames as deletion and addition, sorted."""
    arguments = ["--no-renames", "-r", "-z", "--name-status", "--no-ext-diff", "--no-textconv"]
    output = command.run("diff-tree", *arguments, "--end-of-options", before, after).stdout
    fields = decode(output).split("\0")
    pairs = zip(fields[0::2], fields[1::2], strict=False)
    return sorted((Change(path, status) for status, path in pairs), key=lambda change: change.path)
