"""What is checked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tool.errors import RepositoryProblem

if TYPE_CHECKING:
    from registry_tool.repository.repository import Repository


def head_commit(repository: Repository) -> str | None:
    """The commit that is checked out, or None before the first one."""
    try:
        return repository.revision().oid
    except RepositoryProblem as problem:
        if problem.code == "RT604":
            return None
        raise
