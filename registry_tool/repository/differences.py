"""What differs between two states, told by Git in time that depends on the difference alone.

A state is a tree and the few files that are otherwise: those that are staged, changed or untracked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from registry_tool.repository.command import GitCommand, decode
from registry_tool.repository.trees import TreeEntry

Sides = tuple[TreeEntry | None, TreeEntry | None]
"""A path as it is in one place and in another; None where it is not."""

FOLDERS = ("manifests", "build_templates")
"""The folders that a registry repository is made of; nothing else is read."""
_ABSENT = "000000"


class TreeState(NamedTuple):
    """A state of the manifests and templates: a root tree, and each file that is not as in it."""

    tree: str
    overlay: Mapping[str, Sides]
    """By path: the file in the tree, and as it is."""


class FileChange(NamedTuple):
    """A path that differs between two states."""

    path: str
    before: TreeEntry | None
    after: TreeEntry | None


def differences(command: GitCommand, old: TreeState, new: TreeState) -> list[FileChange]:
    """Every path that is not the same in both states, sorted.

    Raises RepositoryProblem when a tree is gone.
    """
    trees: Mapping[str, Sides] = {}
    if old.tree != new.tree:
        trees = read_raw(command, "diff-tree", "-r", old.tree, new.tree)
    changes = []
    for path in sorted({*trees, *old.overlay, *new.overlay}):
        if path in trees:
            before, after = trees[path]
        else:
            before = after = (old.overlay.get(path) or new.overlay[path])[0]
        if path in old.overlay:
            before = old.overlay[path][1]
        if path in new.overlay:
            after = new.overlay[path][1]
        if before != after:
            changes.append(FileChange(path, before, after))
    return changes


def read_raw(command: GitCommand, verb: str, *arguments: str) -> dict[str, Sides]:
    """The sides of every path that `git diff-…` names below the folders of a registry."""
    return parse_raw(command.run(*raw_arguments(verb, *arguments)).stdout)


def raw_arguments(verb: str, *arguments: str) -> tuple[str, ...]:
    """The whole command line of a `git diff-…` whose output `parse_raw` reads."""
    options = ("-z", "--raw", "--no-renames", "--no-abbrev", "--ignore-submodules=all")
    return (verb, *options, *arguments, "--", *FOLDERS)


def parse_raw(output: bytes) -> dict[str, Sides]:
    """The sides of every path."""
    return dict(_rows(decode(output)))


def _rows(output: str) -> Iterator[tuple[str, Sides]]:
    """Path and sides of rows ``:mode mode oid oid status NUL path NUL``."""
    fields = iter(output.split("\0"))
    for head in fields:
        if not head:
            return
        path = next(fields)
        old_mode, new_mode, old, new, _ = head[1:].split(" ")
        before = None if old_mode == _ABSENT else TreeEntry(path, old_mode, old)
        after = None if new_mode == _ABSENT else TreeEntry(path, new_mode, new)
        yield path, (before, after)
