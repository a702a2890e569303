"""Values derived from blobs, kept between runs."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from registry_tool.repository.cache_file import CacheFile

MAX_ROWS = 500_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS derived (
  key TEXT PRIMARY KEY, value BLOB NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS growth (added INTEGER NOT NULL);
"""
_AT_ONCE = 500
_SECONDS_A_DAY = 86_400


class BlobCache:
    """Bytes by key in a SQLite file that can be deleted at any time.

    Keys are free text, such as ``<blob oid>:<schema fingerprint>``. Beyond `max_rows` those are
    dropped that were unused for the most days. No method raises because of the file's state:
    without a usable file nothing is found.
    """

    def __init__(self, path: Path, *, max_rows: int = MAX_ROWS) -> None:
        self._file = CacheFile(path, _SCHEMA)
        self._max_rows = max_rows

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is known of `keys`."""
        found: dict[str, bytes] = {}
        return self._file.attempt(lambda connection: _get(connection, keys), found)

    def put_many(self, items: Mapping[str, bytes]) -> None:
        """Keep these, perhaps."""
        if items:
            self._file.attempt(lambda connection: _put(connection, items, self._max_rows), None)

    def close(self) -> None:
        """Release the file; a later use opens it again."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _today() -> int:
    # Only the cache's own housekeeping depends on this clock, so none is injected.
    return int(time.time()) // _SECONDS_A_DAY


def _chunks(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]


def _get(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    stale: list[str] = []
    today = _today()
    for chunk in _chunks(keys):
        marks = ",".join("?" * len(chunk))
        query = f"SELECT key, value, used FROM derived WHERE key IN ({marks})"  # noqa: S608
        for key, value, used in connection.execute(query, chunk):
            found[key] = bytes(value)
            if used < today:
                stale.append(key)
    # At most one write a day for each row, so that a warm run only reads.
    connection.executemany(
        "UPDATE derived SET used = ? WHERE key = ?", ((today, key) for key in stale)
    )
    return found


def _put(connection: sqlite3.Connection, items: Mapping[str, bytes], max_rows: int) -> None:
    today = _today()
    # In the order of the keys, neighbours go to the same page: that takes less than half the time.
    connection.executemany(
        "INSERT OR REPLACE INTO derived (key, value, used) VALUES (?, ?, ?)",
        ((key, value, today) for key, value in sorted(items.items())),
    )
    added = connection.execute("SELECT total(added) FROM growth").fetchone()[0] + len(items)
    connection.execute("DELETE FROM growth")
    # Counting rows costs a scan, so it is done once every so many additions.
    if added > max_rows // 10:
        added = 0
        excess = connection.execute("SELECT count(*) FROM derived").fetchone()[0] - max_rows
        if excess > 0:
            connection.execute(
                "DELETE FROM derived WHERE key IN (SELECT key FROM derived ORDER BY used LIMIT ?)",
                (excess,),
            )
    connection.execute("INSERT INTO growth (added) VALUES (?)", (added,))
