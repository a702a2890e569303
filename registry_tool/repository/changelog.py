"""The whole history at once: every commit with what it changed against its first parent, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from registry_tool.repository.command import decode, stop
from registry_tool.repository.differences import FOLDERS
from registry_tool.repository.history import FIELDS, CommitInfo, commit_info, split_fields
from registry_tool.repository.problems import git_failed
from registry_tool.repository.repository import Repository

_FOLDERS = tuple(f"{folder}/" for folder in FOLDERS)


class LoggedChange(NamedTuple):
    """A path that differs between a commit and its first parent; blobs are all zeros where there is none."""

    path: str
    status: str
    """``A``, ``M``, ``D``, or ``T`` for another type of file."""
    before: str
    after: str


class LoggedCommit(NamedTuple):
    """A commit and its changes below the folders of a registry; a root commit adds everything."""

    info: CommitInfo
    changes: tuple[LoggedChange, ...]


def first_parents(repository: Repository, tip: str) -> Iterator[str]:
    """Oids from `tip` backwards along first parents, read as they are asked for.

    Where a shallow clone ends, so do they.
    """
    process = repository.command.start(
        "rev-list", "--first-parent", "--end-of-options", repository.resolve(tip)
    )
    try:
        for line in process.stdout or ():
            yield line.decode().strip()
        if process.wait() != 0 and process.stderr is not None:
            raise git_failed(("rev-list",), process.stderr.read().decode("utf-8", "replace"))
    finally:
        stop(process)


def read_changelog(
    repository: Repository, tip: str, after: str | None = None
) -> Iterator[LoggedCommit]:
    """Commits that `tip` reaches and `after` does not, each after its parents.

    A commit where a shallow clone ends has no changes: they cannot be known.
    """
    boundary = _shallow_boundary(repository)
    arguments = ["log", "-z", "--no-color", "--no-decorate", "--encoding=UTF-8", "--root"]
    arguments += ["--raw", "--no-renames", "--no-abbrev", "--diff-merges=first-parent"]
    arguments += ["--ignore-submodules=all", "--topo-order", "--reverse"]
    arguments += ["--format=tformat:%x01" + "%x00".join(FIELDS)]
    exclude = [f"^{repository.resolve(after)}"] if after is not None else []
    process = repository.command.start(
        *arguments, "--end-of-options", repository.resolve(tip), *exclude, "--"
    )
    try:
        for commit in _parse(split_fields(process.stdout)):
            known = commit.info.oid not in boundary
            yield commit if known else commit._replace(changes=())
        if process.wait() != 0 and process.stderr is not None:
            raise git_failed(("log",), process.stderr.read().decode("utf-8", "replace"))
    finally:
        stop(process)


def _shallow_boundary(repository: Repository) -> frozenset[str]:
    try:
        return frozenset((repository.common_dir / "shallow").read_text().split())
    except FileNotFoundError:
        return frozenset()


def _parse(fields: Iterator[bytes]) -> Iterator[LoggedCommit]:
    """Commits from fields: those of the format, then head and path of each change."""
    head = next(fields, None)
    while head is not None:
        values = [head.removeprefix(b"\1"), *(next(fields) for _ in FIELDS[1:])]
        changes = []
        for head in fields:
            if head.startswith(b"\1"):
                break
            if head.strip():
                change = _change(head.strip(), next(fields))
                if change.path.startswith(_FOLDERS):
                    changes.append(change)
        else:
            head = None
        info = commit_info([value.decode("utf-8", "replace") for value in values])
        yield LoggedCommit(info, tuple(changes))


def _change(head: bytes, path: bytes) -> LoggedChange:
    """From a row ``:mode mode oid oid status``."""
    _, _, before, after, status = head.decode().split(" ")
    return LoggedChange(decode(path), status[:1], before, after)
