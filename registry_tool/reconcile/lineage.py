"""Which commit made each file what it is, told from the whole history without following one file at a time.

What counts is the line of first parents. A merge on it brings changes that others made: each is put down to the newest
commit that came in with the merge and touched the path, and to the merge itself where there is none. The answer for a
step depends on the steps before it and on what it brings, never on what follows: a longer history only adds to it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from registry_tool.catalog.inputs import Commit, Touch
from registry_tool.repository.changelog import LoggedChange, LoggedCommit

_STATUS = {"A": "A", "M": "M", "D": "D", "T": "M"}
_APPROVALS = ("Reviewed-by", "Approved-by")


def lineage(
    logged: Iterable[LoggedCommit], steps: Sequence[str], first_step: int
) -> Iterator[Commit]:
    """Commits that changed something, by step, those that a merge brought before the merge itself.

    `logged` has each commit after its parents; `steps` are oids on the line of first parents from the oldest on, the
    first of which has the number `first_step`.
    """
    numbers = {oid: number for number, oid in enumerate(steps, first_step)}
    pending: dict[str, LoggedCommit] = {}
    for commit in logged:
        step = numbers.get(commit.info.oid)
        if step is None:
            pending[commit.info.oid] = commit
        else:
            yield from _step(commit, _brought(commit, pending), step)


def _brought(merge: LoggedCommit, pending: dict[str, LoggedCommit]) -> list[LoggedCommit]:
    """The commits that came in with a step, taken out of `pending`, the oldest first."""
    found = []
    rest = list(merge.info.parents[1:])
    while rest:
        commit = pending.pop(rest.pop(), None)
        if commit is not None:
            found.append(commit)
            rest += commit.info.parents
    return sorted(found, key=lambda commit: (commit.info.committed_at, commit.info.oid))


def _step(commit: LoggedCommit, brought: list[LoggedCommit], step: int) -> Iterator[Commit]:
    makers: dict[str, str] = {}
    own: list[tuple[LoggedCommit, tuple[LoggedChange, ...]]] = []
    for part in brought:
        # What a merge inside a side branch brought is not its own doing.
        changes = part.changes if len(part.info.parents) < 2 else ()
        own.append((part, changes))
        makers |= {change.path: part.info.oid for change in changes}
    own.append((commit, tuple(change for change in commit.changes if change.path not in makers)))
    arrived = {change.path: _STATUS[change.status] for change in commit.changes}
    origins = _moves(commit.changes)
    for part, changes in own:
        touches = []
        for change in changes:
            path = change.path
            made = makers.get(path, commit.info.oid) == part.info.oid and path in arrived
            how = ("R" if path in origins else arrived[path]) if made else None
            origin = origins.get(path) if made else None
            touches.append(Touch(plain(path), _STATUS[change.status], how, origin))
        if touches:
            yield _commit(part, step, tuple(touches))


def _moves(changes: Sequence[LoggedChange]) -> dict[str, str]:
    """Where added paths come from that have the very content of a deleted one, and no other has it."""
    gone: defaultdict[str, list[str]] = defaultdict(list)
    came: defaultdict[str, list[str]] = defaultdict(list)
    for change in changes:
        if change.status == "D":
            gone[change.before].append(change.path)
        elif change.status == "A":
            came[change.after].append(change.path)
    return {
        paths[0]: plain(gone[blob][0])
        for blob, paths in came.items()
        if len(paths) == 1 and len(gone.get(blob, ())) == 1
    }


def _commit(logged: LoggedCommit, step: int, touches: tuple[Touch, ...]) -> Commit:
    info = logged.info
    return Commit(
        oid=info.oid,
        step=step,
        author=info.author,
        authored_at=info.authored_at,
        committer=info.committer,
        committed_at=info.committed_at,
        message=info.subject,
        body=info.body,
        approved_by=tuple(value for key in _APPROVALS for value in info.trailer(key)),
        is_merge=len(info.parents) > 1,
        touches=touches,
    )


def plain(path: str) -> str:
    """A path as text that can be stored and shown: bytes that are not UTF-8 become escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
