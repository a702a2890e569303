"""Which paths a release's globs select: the language of gitignore files, with case.

As in a gitignore file, a pattern without a slash matches at any depth, one that matches a directory
selects all below it, and `!` takes back what an earlier pattern of the same list selected. Paths
are relative, with forward slashes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_EVERYTHING = ("**",)


@lru_cache(maxsize=1024)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    # Most releases keep the default globs, and those never need pathspec.
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(patterns)
    except re.error as problem:
        raise ValueError(f"not a glob: {problem}") from problem


def glob_problem(pattern: str) -> str | None:
    """Why `pattern` is not a glob, or None."""
    if pattern.startswith("#") or not pattern.strip():
        return "it selects nothing: gitignore takes it for a comment or an empty line"
    if pattern == "!":
        return "nothing follows the exclamation mark"
    try:
        _compiled((pattern,))
    except ValueError as problem:
        return str(problem)
    return None


def matches(path: str, include: Sequence[str], exclude: Sequence[str] = ()) -> bool:
    """Whether the `include` list selects `path` and the `exclude` list does not.

    Raises ValueError for a pattern that `glob_problem` objects to.
    """
    selected = tuple(include) == _EVERYTHING or _compiled(tuple(include)).match_file(path)
    return selected and not (exclude and _compiled(tuple(exclude)).match_file(path))
