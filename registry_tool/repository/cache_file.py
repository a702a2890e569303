"""A SQLite file that may be lost, locked or damaged at any time without breaking a run."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

_log = logging.getLogger(__name__)
_BUSY_SECONDS = 2.0
_DAMAGED = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
"""Not a database, a broken one, or one with other tables than these."""

T = TypeVar("T")


class CacheFile:
    """Runs work on a SQLite connection.

    A damaged file is made anew, a locked or unwritable one is done without.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._schema = schema
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._usable = True

    def attempt(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `work` gives, in one transaction; `otherwise` when the cache cannot be used."""
        with self._lock:
            for last in (False, True):
                if not self._usable:
                    return otherwise
                try:
                    return self._attempt(work)
                except (sqlite3.Error, OSError) as problem:
                    self._recover(problem, last=last)
        return otherwise

    def close(self) -> None:
        """Release the file; a later use opens it again, also after it could not be used."""
        with self._lock:
            self._close()
            self._usable = True

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._open()
        with connection:
            return work(connection)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, check_same_thread=False, cached_statements=32
            )
            self._connection = connection
            connection.execute("PRAGMA journal_mode = WAL")
            # A cache may lose its last writes, so nothing waits for the disk.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(self._schema)
        return self._connection

    def _recover(self, problem: Exception, *, last: bool) -> None:
        """Remove a damaged file so that the next attempt makes it anew; otherwise do without."""
        _log.debug("cache %s: %s", self._path, problem)
        self._close()
        # The low byte is the error, the rest says more about it.
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if last or code not in _DAMAGED:
            # Locked, read-only, no space: the file itself may be fine and in use.
            self._usable = False
            return
        try:
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError as refusal:
            _log.debug("cache %s cannot be removed: %s", self._path, refusal)
            self._usable = False

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as problem:
                _log.debug("cache %s does not close: %s", self._path, problem)
