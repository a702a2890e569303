"""Failures of storage in words: what was asked, what the system said, what to do about it."""

from __future__ import annotations

import errno
import os

from registry_tool.errors import StorageProblem

_PERMANENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_FULL = {errno.ENOSPC, errno.EDQUOT}


def not_allowed(place: str, why: str, *, help: str | None = None) -> StorageProblem:
    """The place lies outside what `spec.storage.allowed` of the Registry permits."""
    return StorageProblem(
        f"{place} may not be used: {why}",
        code="RT501",
        help=help or "use a path below one of spec.storage.allowed in manifests/registry.yaml",
    )


def unusable(place: str, why: str, *, help: str | None, transient: bool = False) -> StorageProblem:
    """The place may be used, and cannot."""
    return StorageProblem(f"{place} {why}", code="RT508", help=help, transient=transient)


def translated(place: str, problem: Exception, doing: str = "read") -> StorageProblem:
    """Any exception of the operating system or of a storage library, as one of ours.

    Missing files and permissions need a person; everything else (network, server, device) may pass.
    """
    if isinstance(problem, FileNotFoundError):
        return unusable(place, "does not exist", help="check the path, and that it is mounted")
    if isinstance(problem, PermissionError):
        return unusable(
            place,
            f"cannot be {_participle(doing)}: permission denied",
            help=f"let user id {os.geteuid()} {doing} it",
        )
    if isinstance(problem, OSError) and problem.errno in _FULL:
        why = f"cannot be {_participle(doing)}: the storage is full"
        return unusable(place, why, help="free some space and try again")
    words = problem.strerror if isinstance(problem, OSError) else None
    return unusable(
        place,
        f"cannot be {_participle(doing)}: {words or problem or type(problem).__name__}",
        help=None,
        transient=not isinstance(problem, _PERMANENT),
    )


def _participle(verb: str) -> str:
    return {"write": "written", "read": "read", "list": "listed"}.get(verb, verb + "d")
