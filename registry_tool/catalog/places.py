"""Where catalog files are, and what becomes of damaged ones."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_WAITS = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT)


class Place(NamedTuple):
    """A file, as it was when a connection to it was opened."""

    path: Path
    inode: int
    immutable: bool


def place_at(path: Path, *, immutable: bool) -> Place | None:
    """What is at a path now."""
    try:
        return Place(path, path.stat().st_ino, immutable)
    except OSError:
        return None


def remove(path: Path) -> None:
    """Remove a catalog with what SQLite keeps beside it."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(OSError):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def is_damage(problem: sqlite3.Error) -> bool:
    """Whether the file is to blame, not the question or another process."""
    # The low byte is the error, the rest says more about it.
    code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_ERROR:
        return str(problem).startswith(("no such table", "no such column"))
    return isinstance(problem, sqlite3.DatabaseError) and code not in _WAITS
