"""Patches: what a commit changed in the text of files, line by line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple


class PatchLine(NamedTuple):
    """A line of a patch."""

    kind: Literal["added", "removed", "same", "place"]
    """``place`` says where the following lines are."""
    text: str


@dataclass(frozen=True, slots=True)
class FilePatch:
    """What changed in one file."""

    path: str
    lines: tuple[PatchLine, ...]
    note: str = ""
    """What lines cannot tell, such as a new mode."""


@dataclass(frozen=True, slots=True)
class Patch:
    """What a commit changed."""

    files: tuple[FilePatch, ...] = ()
    complete: bool = True
    """Whether this is all of it; very long patches are cut off."""


ReadPatch = Callable[[str], Patch]
"""The patch of a commit against its first parent. Raises RepositoryProblem."""
