"""The recorder.

What happened becomes immutable files, in commits that move refs by compare-and-swap.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from registry_tool.domain.recorded import (
    LEASE_REF,
    RECORDS_BRANCH,
    parse_record_file_name,
    record_file_name,
)
from registry_tool.domain.revisions import Revision
from registry_tool.errors import RepositoryProblem
from registry_tool.failpoints import reach
from registry_tool.repository.holder import LeaseNote
from registry_tool.repository.lease import Clock, Lease, utc_now
from registry_tool.repository.refs import RefsMoved, RefUpdate, check_ref
from registry_tool.repository.remote import Remote
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import (
    TREE_MODE,
    ObjectBatch,
    change_tree,
    find_entry,
    read_tree,
)

DEFAULT_NAME = "registry-tool"
DEFAULT_EMAIL = "registry-tool@localhost"
_KINDS = {"builds": "build", "deployments": "deployment", "requests": "request"}
_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class PendingRecord:
    """A record that waits for its sequence number: `content` gives the file's bytes for it.

    `folder` is one of `domain.recorded`, `key` the full key. `content` may be called again with
    another number.
    """

    folder: str
    key: str
    content: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did."""

    oid: str | None
    """The commit on the records branch; None when there was nothing to record."""
    sequences: tuple[int, ...] = ()
    """One for each record, in the order given."""
    branches: Mapping[str, str] = field(default_factory=dict)
    """New tips of the deploy branches whose files changed."""


@dataclass(frozen=True, slots=True)
class _Derived:
    """Commits made on top of certain tips, not yet reachable."""

    updates: tuple[RefUpdate, ...]
    result: Appended


@dataclass(frozen=True, slots=True)
class _Renewal:
    """What the lease becomes in the same transaction."""

    oid: str
    note: LeaseNote
    update: RefUpdate


class Recorder:
    """Appends records and rendered branches, here or in a remote. Threads may share it."""

    def __init__(
        self,
        repository: Repository,
        lease: Lease | None,
        *,
        remote: str | None = None,
        clock: Clock = utc_now,
        retry_for: float = 30.0,
    ) -> None:
        """With a lease, everything is refused once another has it; `retry_for` is in seconds."""
        self._repository = repository
        self._lease = lease
        self._remote = Remote(repository, remote) if remote else None
        self._clock = clock
        self._retry_for = retry_for

    def append(
        self,
        records: Sequence[PendingRecord],
        branches: Mapping[str, Mapping[str, bytes]],
        *,
        revision: Revision,
        build_keys: Sequence[str] = (),
    ) -> Appended:
        """Record all in one commit, and set deploy branches to exactly the given files.

        All refs and the lease move together or not at all. When somebody else was faster, the
        commits are derived again from the new tips. Raises LeaseLost, or RepositoryProblem when the
        remote refuses or it takes too long.
        """
        if not records and not branches:
            return Appended(None)
        derive = _Derivation(self._repository, records, branches, revision, build_keys, self._now())
        deadline = time.monotonic() + self._retry_for
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._attempt(derive)
            except RefsMoved as problem:
                if time.monotonic() > deadline:
                    raise RepositoryProblem(
                        f"the records could not be written in {self._retry_for:g} s: {problem}",
                        code="RT605",
                        transient=True,
                        help=problem.help or "run the command again",
                    ) from problem
            # A random pause, so that several writers do not collide again.
            time.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            pause = min(pause * 2, _LONGEST_PAUSE)
            if self._remote is not None:
                self._remote.fetch()

    def _now(self) -> int:
        return int(self._clock().timestamp())

    def _attempt(self, derive: _Derivation) -> Appended:
        with self._lease.held() if self._lease else nullcontext():
            batch = ObjectBatch(self._repository.object_format)
            renewal = self._renewal(batch)
            derived = derive.on_current_tips(batch)
            if not derived.updates:
                return derived.result
            updates = [*derived.updates, *([renewal.update] if renewal else [])]
            reach("record-objects-written")
            try:
                self._move(updates)
            except RefsMoved:
                if self._lease is not None:
                    self._lease.confirm()
                raise
            except RepositoryProblem as problem:
                # The answer may have been lost on the way back, with everything done.
                if not problem.transient or not self._has_landed(derived):
                    raise
                if self._lease is not None:
                    self._lease.confirm()
            else:
                if self._lease is not None and renewal is not None:
                    self._lease.renewed(renewal.oid, renewal.note)
            reach("recorded")
            return derived.result

    def _renewal(self, batch: ObjectBatch) -> _Renewal | None:
        if self._lease is None:
            return None
        note = self._lease.draft()
        oid = batch.add("blob", note.to_bytes())
        return _Renewal(oid, note, RefUpdate(self._lease.oid, oid, LEASE_REF))

    def _move(self, updates: Sequence[RefUpdate]) -> None:
        if self._remote is None:
            self._repository.move_refs(updates, lambda: reach("record-ref-prepared"))
            return
        reach("record-ref-prepared")
        self._remote.push(updates)
        reach("pushed")

    def _has_landed(self, derived: _Derived) -> bool:
        if self._remote is None:
            return False
        self._remote.fetch()
        for update in derived.updates:
            tip = self._repository.ref(update.ref)
            if tip is None or update.new is None:
                return False
            if not self._repository.is_ancestor(update.new, tip):
                return False
        return True


class _Derivation:
    """Makes the commits of one append from whatever the tips are."""

    def __init__(
        self,
        repository: Repository,
        records: Sequence[PendingRecord],
        branches: Mapping[str, Mapping[str, bytes]],
        revision: Revision,
        build_keys: Sequence[str],
        now: int,
    ) -> None:
        self._repository = repository
        self._records = records
        self._branches = {_deploy_ref(name): files for name, files in branches.items()}
        self._trailers = [f"Registry-Revision: {revision}"]
        self._keys = [f"Registry-Build-Key: {key}" for key in sorted(set(build_keys))]
        self._identity = _identity(repository, now)

    def on_current_tips(self, batch: ObjectBatch) -> _Derived:
        """Commits on top of the tips as they are now. Writes `batch`, with their trees."""
        tips = self._repository.refs(RECORDS_BRANCH, *self._branches)
        updates: list[RefUpdate] = []
        tip = tips.get(RECORDS_BRANCH)
        sequences, tree = self._recorded_tree(batch, tip)
        trees = {RECORDS_BRANCH: tree} if self._records else {}
        for ref, files in sorted(self._branches.items()):
            blobs = {path: batch.add("blob", data) for path, data in files.items()}
            empty = batch.add("tree", b"")
            trees[ref] = change_tree(self._repository.reader, batch, None, blobs) or empty
        # The commits name these trees, so they are written first.
        batch.write(self._repository.command)
        for ref, new_tree in trees.items():
            old = tips.get(ref)
            if old is not None and self._repository.tree_of(old) == new_tree:
                continue
            updates.append(RefUpdate(old, self._commit(ref, new_tree, old), ref))
        moved = {update.ref: update.new for update in updates if update.new is not None}
        result = Appended(
            moved.get(RECORDS_BRANCH),
            tuple(sequences),
            {
                ref.removeprefix("refs/heads/"): oid
                for ref, oid in moved.items()
                if ref != RECORDS_BRANCH
            },
        )
        return _Derived(tuple(updates), result)

    def _recorded_tree(self, batch: ObjectBatch, tip: str | None) -> tuple[list[int], str]:
        """Sequence numbers of the records, and the tree that holds them beside all earlier ones."""
        repository = self._repository
        base = repository.tree_of(tip) if tip else None
        highest: dict[str, int] = {}
        sequences: list[int] = []
        files: dict[str, str | None] = {}
        for record in self._records:
            if record.folder not in highest:
                highest[record.folder] = _highest(repository, batch, base, record.folder)
            highest[record.folder] += 1
            sequence = highest[record.folder]
            sequences.append(sequence)
            path = f"{record.folder}/{record_file_name(sequence, record.key)}"
            files[path] = batch.add("blob", record.content(sequence))
        tree = change_tree(repository.reader, batch, base, files) if files else base
        return sequences, tree or batch.add("tree", b"")

    def _commit(self, ref: str, tree: str, parent: str | None) -> str:
        if ref == RECORDS_BRANCH:
            subject, trailers = self._subject(), self._trailers + self._keys
        else:
            environment = ref.rpartition("/")[2]
            subject, trailers = f"Render {environment}"[:60], self._trailers
        message = "\n".join([subject, "", *trailers, ""])
        arguments = ["commit-tree", tree, "-F", "-"]
        if parent is not None:
            arguments += ["-p", parent]
        return self._repository.command.run(
            *arguments, stdin=message.encode(), environment=self._identity
        ).text

    def _subject(self) -> str:
        counts: dict[str, int] = {}
        for record in self._records:
            kind = record.folder.partition("/")[0]
            counts[kind] = counts.get(kind, 0) + 1
        parts = [
            f"{counts[kind]} {word}{'' if counts[kind] == 1 else 's'}"
            for kind, word in _KINDS.items()
            if kind in counts
        ]
        return "Record " + ", ".join(parts)


def _deploy_ref(name: str) -> str:
    if not name.startswith("deploy/"):
        raise RepositoryProblem(f'"{name}" is not a rendered branch such as deploy/production')
    return check_ref(f"refs/heads/{name}")


def _highest(repository: Repository, batch: ObjectBatch, root: str | None, folder: str) -> int:
    if folder.partition("/")[0] not in _KINDS:
        raise RepositoryProblem(f'"{folder}" is not a folder of the records branch')
    node = find_entry(repository.reader, batch, root, folder)
    if node is None or node.mode != TREE_MODE:
        return 0
    entries = read_tree(repository.reader, batch, node.oid)
    files = (name for name, entry in entries.items() if entry.mode != TREE_MODE)
    names = map(parse_record_file_name, files)
    return max((name[0] for name in names if name is not None), default=0)


def _identity(repository: Repository, now: int) -> dict[str, str]:
    name = repository.config("registry-tool.recorder-name") or DEFAULT_NAME
    email = repository.config("registry-tool.recorder-email") or DEFAULT_EMAIL
    identity = {}
    for role in ("AUTHOR", "COMMITTER"):
        identity[f"GIT_{role}_NAME"] = name
        identity[f"GIT_{role}_EMAIL"] = email
        identity[f"GIT_{role}_DATE"] = f"@{now} +0000"
    return identity
