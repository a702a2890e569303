"""What Git knows of a file at the shown revision: the commit that made it what it is, and the one that began it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class Traced(NamedTuple):
    """Commits, by their row in `audit`; None where history is cut off."""

    changed: int | None
    created: int | None
    changed_at: float | None
    created_at: float | None


class Tracer:
    """Looks things up in `touches`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._times: dict[int, float] = {}

    def file(self, path: str, *others: str) -> Traced:
        """Of a file; `others` belong to it, so that a change of one of them is a change of it."""
        changed = [self._changed(each) for each in (path, *others)]
        return self._traced(max((one for one in changed if one), default=None), self._created(path))

    def folder(self, folder: str, path: str) -> Traced:
        """Of a file that stands for all that is in its folder, which ends in a slash."""
        found = self._connection.execute(
            "SELECT max(commit_id) FROM touches WHERE path >= ? AND path < ? AND arrived IS NOT NULL",
            (folder, folder[:-1] + "0"),
        ).fetchone()
        return self._traced(found[0], self._created(path))

    def oid(self, commit_id: int | None) -> str | None:
        """The oid of a commit."""
        if commit_id is None:
            return None
        found = self._connection.execute(
            "SELECT key FROM audit WHERE id = ?", (commit_id,)
        ).fetchone()
        return str(found[0])

    def changed(self, path: str) -> int | None:
        """The commit that made a file what it is."""
        return self._changed(path)

    def _changed(self, path: str) -> int | None:
        found = self._connection.execute(
            "SELECT commit_id FROM touches WHERE path = ? AND arrived IS NOT NULL"
            " ORDER BY step DESC LIMIT 1",
            (path,),
        ).fetchone()
        return int(found[0]) if found else None

    def _created(self, path: str) -> int | None:
        """The commit that added a file, followed to where it lay before it moved."""
        before: int | None = None
        while True:
            found = self._arrival(path, before)
            if found is None:
                return None
            step, commit_id, arrived, origin = found
            if arrived == "A":
                return self._first(path, step) or commit_id
            path, before = origin, step

    def _arrival(self, path: str, before: int | None) -> tuple[int, int, str, str] | None:
        """The last time that a file came to be at a path, before a step."""
        found: tuple[int, int, str, str] | None = self._connection.execute(
            "SELECT step, commit_id, arrived, origin FROM touches WHERE path = ? AND step < ?"
            " AND arrived IN ('A', 'R') ORDER BY step DESC LIMIT 1",
            (path, before if before is not None else 2**62),
        ).fetchone()
        return found

    def _first(self, path: str, step: int) -> int | None:
        """Of several commits that came in together, the one that added the file."""
        found = self._connection.execute(
            "SELECT min(commit_id) FROM touches WHERE path = ? AND step = ? AND status = 'A'",
            (path, step),
        ).fetchone()
        return int(found[0]) if found[0] is not None else None

    def _traced(self, changed: int | None, created: int | None) -> Traced:
        return Traced(changed, created, self._time(changed), self._time(created))

    def _time(self, commit_id: int | None) -> float | None:
        if commit_id is None:
            return None
        if commit_id not in self._times:
            (time,) = self._connection.execute(
                "SELECT committed FROM audit WHERE id = ?", (commit_id,)
            ).fetchone()
            self._times[commit_id] = time
        return self._times[commit_id]
