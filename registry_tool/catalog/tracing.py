"""What Git knows of a file at the shown revision: the commit that made it what it is, and the one that began it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from registry_tool.catalog.json_text import dumps


class Traced(NamedTuple):
    """Commits, by their row in `audit`; None where history is cut off."""

    changed: int | None
    created: int | None
    changed_at: float | None
    created_at: float | None


class _Touch(NamedTuple):
    """A row of `touches`."""

    step: int
    commit_id: int
    status: str
    arrived: str | None
    origin: str | None


class Tracer:
    """Looks things up in `touches`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._commits: dict[int, tuple[str, float]] = {}
        self._prepared: dict[str, list[_Touch]] = {}

    def prepare(self, paths: Sequence[str]) -> None:
        """Look up many files together that will be asked for next."""
        self._prepared = {path: [] for path in paths}
        rows = self._connection.execute(
            "SELECT touches.path, step, commit_id, status, arrived, origin"
            " FROM json_each(?) AS asked CROSS JOIN touches ON touches.path = asked.value"
            " ORDER BY step DESC, commit_id DESC",
            (dumps(paths),),
        )
        for path, *touch in rows:
            self._prepared[path].append(_Touch(*touch))

    def file(self, path: str, *others: int | None) -> Traced:
        """Of a file; `others` are commits that changed what belongs to it."""
        touches = self._touches(path)
        changed = max((one for one in (_changed(touches), *others) if one), default=None)
        return self._traced(changed, self._created(touches))

    def folder(self, folder: str, path: str) -> Traced:
        """Of a file that stands for all that is in its folder, which ends in a slash."""
        found = self._connection.execute(
            "SELECT max(commit_id) FROM touches WHERE path >= ? AND path < ? AND arrived IS NOT NULL",
            (folder, folder[:-1] + "0"),
        ).fetchone()
        return self._traced(found[0], self._created(self._touches(path)))

    def changed(self, path: str) -> int | None:
        """The commit that made a file what it is."""
        return _changed(self._touches(path))

    def oid(self, commit_id: int | None) -> str | None:
        """The oid of a commit."""
        return self._commit(commit_id)[0] if commit_id is not None else None

    def _touches(self, path: str) -> list[_Touch]:
        """Newest first."""
        if path in self._prepared:
            return self._prepared[path]
        rows = self._connection.execute(
            "SELECT step, commit_id, status, arrived, origin FROM touches WHERE path = ?"
            " ORDER BY step DESC, commit_id DESC",
            (path,),
        )
        return [_Touch(*row) for row in rows]

    def _created(self, touches: list[_Touch]) -> int | None:
        """The commit that added a file, followed to where it lay before it moved."""
        arrival = next((touch for touch in touches if touch.arrived in {"A", "R"}), None)
        while arrival is not None and arrival.origin is not None:
            step, origin = arrival.step, arrival.origin
            touches = [touch for touch in self._touches(origin) if touch.step < step]
            arrival = next((touch for touch in touches if touch.arrived in {"A", "R"}), None)
        if arrival is None:
            return None
        # Of several commits that came in together, the one that added the file.
        together = (one for one in touches if one.step == arrival.step and one.status == "A")
        return min((one.commit_id for one in together), default=arrival.commit_id)

    def _traced(self, changed: int | None, created: int | None) -> Traced:
        return Traced(changed, created, self._time(changed), self._time(created))

    def _time(self, commit_id: int | None) -> float | None:
        return self._commit(commit_id)[1] if commit_id is not None else None

    def _commit(self, commit_id: int) -> tuple[str, float]:
        if commit_id not in self._commits:
            self._commits[commit_id] = self._connection.execute(
                "SELECT key, committed FROM audit WHERE id = ?", (commit_id,)
            ).fetchone()
        return self._commits[commit_id]


def _changed(touches: list[_Touch]) -> int | None:
    return next((touch.commit_id for touch in touches if touch.arrived is not None), None)
