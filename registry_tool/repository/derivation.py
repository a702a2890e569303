"""Deriving the commits of one append from whatever the tips of the refs are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from registry_tool.domain.recorded import (
    RECORDS_BRANCH,
    parse_record_file_name,
    record_file_name,
)
from registry_tool.domain.revisions import Revision
from registry_tool.errors import RepositoryProblem
from registry_tool.repository.command import encode
from registry_tool.repository.refs import RefUpdate, check_ref
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
class Derived:
    """Commits made on top of certain tips, not yet reachable."""

    updates: tuple[RefUpdate, ...]
    result: Appended


class Derivation:
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

    def on_current_tips(self, batch: ObjectBatch) -> Derived:
        """Commits on top of the tips as they are now; `batch` is written when there are some."""
        tips = self._repository.refs(RECORDS_BRANCH, *self._branches)
        updates: list[RefUpdate] = []
        tip = tips.get(RECORDS_BRANCH)
        sequences, tree = self._recorded_tree(batch, tip)
        trees = {RECORDS_BRANCH: tree} if self._records else {}
        for ref, files in sorted(self._branches.items()):
            blobs = {path: batch.add("blob", data) for path, data in files.items()}
            made = change_tree(self._repository.reader, batch, None, blobs)
            trees[ref] = made or batch.add("tree", b"")
        changed = {ref: new for ref, new in trees.items() if new != self._tree_of(tips.get(ref))}
        if changed:
            # The commits name these trees, so they are written first.
            batch.write(self._repository.command)
        for ref, new_tree in changed.items():
            old = tips.get(ref)
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
        return Derived(tuple(updates), result)

    def _tree_of(self, tip: str | None) -> str | None:
        return self._repository.tree_of(tip) if tip else None

    def _recorded_tree(self, batch: ObjectBatch, tip: str | None) -> tuple[list[int], str]:
        """Sequence numbers of the records, and the tree that holds them beside all earlier ones."""
        repository = self._repository
        base = self._tree_of(tip)
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
            *arguments, stdin=encode(message), environment=self._identity
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
