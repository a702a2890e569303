"""States of a repository that manifests can be read from: a commit, the index, the work tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.command import GitCommand, decode
from registry_tool.repository.differences import FOLDERS, TreeState, read_raw
from registry_tool.repository.objects import ObjectReader
from registry_tool.repository.trees import TreeEntry, list_tree


class Snapshot:
    """The files below manifests/ and build_templates/ in one state.

    Contents come from the object database.
    """

    def __init__(
        self,
        listing: Callable[[], Sequence[TreeEntry]],
        reader: ObjectReader,
        state: Callable[[], TreeState],
    ) -> None:
        self._listing = listing
        self._reader = reader
        self._state = state

    def entries(self) -> Sequence[TreeEntry]:
        """The files, sorted by path; symlinks (120000) and submodules (160000) included."""
        return self._entries

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Oid and content of blobs, in the order asked for. A symlink's content is its target."""
        for found in self._reader.read(oids):
            yield found.oid, found.data

    @cached_property
    def state(self) -> TreeState:
        """What tells it from other states, without listing its files."""
        return self._state()

    @cached_property
    def _entries(self) -> Sequence[TreeEntry]:
        return tuple(self._listing())


def commit_snapshot(
    command: GitCommand, reader: ObjectReader, oid: str | None, tree: Callable[[], str]
) -> Snapshot:
    """The state at a commit with the root tree `tree`; None is the one before the first commit."""
    return Snapshot(
        lambda: list_tree(command, oid, FOLDERS) if oid else (),
        reader,
        lambda: TreeState(tree(), {}),
    )


def index_snapshot(
    command: GitCommand, reader: ObjectReader, head_tree: Callable[[], str]
) -> Snapshot:
    """What the next commit would hold. Raises RepositoryProblem while a merge has conflicts."""

    def state() -> TreeState:
        tree = head_tree()
        return TreeState(tree, read_raw(command, "diff-index", "--cached", tree))

    return Snapshot(lambda: _list_index(command), reader, state)


def _list_index(command: GitCommand) -> Sequence[TreeEntry]:
    output = command.run("ls-files", "--stage", "-z", "--full-name", "--", *FOLDERS).stdout
    entries = []
    for row in decode(output).split("\0"):
        head, _, path = row.partition("\t")
        if not path:
            continue
        mode, oid, stage = head.split(" ")
        if stage != "0":
            raise RepositoryProblem(
                f"{path} has merge conflicts",
                code="RT605",
                help=f"resolve them, then: git add '{path}'",
            )
        entries.append(TreeEntry(path, mode, oid))
    return sorted(entries)
