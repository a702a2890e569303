"""Failures of storage in words: what was asked, what the system said, what to do about it."""

from __future__ import annotations

import errno
import os

from registry_tool.errors import ContentMismatch, StorageProblem
from registry_tool.storage.stored_file import Absent, StoredFile

_PERMANENT = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
DOES_NOT_EXIST = "does not exist"
MISSING_HELP = "check the path, and that it is mounted"
EXCLUDE_HELP = "remove it, or name it in spec.artifacts.exclude of the release"
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


def absent(place: str, found: Absent) -> StorageProblem:
    """A file was wanted that cannot be read, or is not there."""
    missing = found.why == DOES_NOT_EXIST
    return unusable(place, found.why, help=MISSING_HELP if missing else EXCLUDE_HELP)


def exists_already(place: str) -> StorageProblem:
    """A new file was to be written where one is."""
    return unusable(place, "exists already", help="choose another name, or replace the file")


def replaced(place: str, what: str, expected: object, seen: object) -> ContentMismatch:
    """The file is not the one that was listed or locked."""
    return ContentMismatch(
        f"{place} was replaced: {what} is {seen}, expected {expected}",
        help="restore the file, or lock the release again",
        code="RT507",
    )


def require_expected(place: str, expected: StoredFile | None, seen: StoredFile) -> None:
    """Raise ContentMismatch where storage says of a file that it is another one."""
    if expected is None:
        return
    if expected.size != seen.size:
        raise replaced(place, "its size", expected.size, seen.size)
    if expected.etag and seen.etag and expected.etag != seen.etag:
        raise replaced(place, "its entity tag", expected.etag, seen.etag)


def translated(place: str, problem: Exception, doing: str = "read") -> StorageProblem:
    """Any exception of the operating system or of a storage library, as one of ours.

    Missing files and permissions need a person; everything else (network, server, device) may pass.
    """
    if isinstance(problem, FileNotFoundError):
        return unusable(place, DOES_NOT_EXIST, help=MISSING_HELP)
    if isinstance(problem, FileExistsError):
        return exists_already(place)
    if isinstance(problem, PermissionError):
        return unusable(
            place,
            f"cannot be {participle(doing)}: permission denied",
            help=f"let user id {os.geteuid()} {doing} it",
        )
    if isinstance(problem, OSError) and problem.errno in _FULL:
        why = f"cannot be {participle(doing)}: the storage is full"
        return unusable(place, why, help="free some space and try again")
    words = problem.strerror if isinstance(problem, OSError) else None
    return unusable(
        place,
        f"cannot be {participle(doing)}: {words or problem or type(problem).__name__}",
        help=None,
        transient=not isinstance(problem, _PERMANENT),
    )


def participle(verb: str) -> str:
    """What was done to a place."""
    return {"write": "written", "read": "read", "list": "listed"}.get(verb, verb + "d")
