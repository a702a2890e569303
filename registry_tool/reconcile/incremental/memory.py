"""What is remembered between runs: files in their groups, and what was found about each group."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import registry_tool
from registry_tool.domain.diagnostics import Diagnostic, RelatedPosition, Severity, Span
from registry_tool.reconcile.incremental.grouping import ENVIRONMENTS, EVERYONE, EXCLUSIVE, Filed
from registry_tool.repository.cache_file import CacheFile
from registry_tool.repository.differences import TreeState
from registry_tool.repository.trees import TreeEntry

T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
  path TEXT PRIMARY KEY, mode TEXT NOT NULL, oid TEXT NOT NULL, grp TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_group ON files (grp);
CREATE TABLE IF NOT EXISTS claims (
  key TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (key, path)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_by_path ON claims (path);
CREATE TABLE IF NOT EXISTS diagnostics (grp TEXT NOT NULL, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stale (grp TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcomes (grp TEXT NOT NULL, value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS outcomes_by_group ON outcomes (grp);
CREATE TABLE IF NOT EXISTS layers (
  digest TEXT NOT NULL, release TEXT NOT NULL, PRIMARY KEY (digest, release)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS layers_by_release ON layers (release);
"""
_AT_ONCE = 500


@dataclass(frozen=True)
class Standing:
    """The states that the rows are about."""

    head: TreeState
    base: TreeState | None
    compared: frozenset[str]
    """Groups in which head and base differ."""
    checked: int


class Memory:
    """The SQLite file; without a usable one nothing is remembered."""

    def __init__(self, path: Path) -> None:
        self._file = CacheFile(path, _SCHEMA)

    def attempt(self, work: Callable[[Rows], T], otherwise: T) -> T:
        """What `work` gives; it may be called a second time, or not at all."""
        return self._file.attempt(lambda connection: work(Rows(connection)), otherwise)

    def close(self) -> None:
        """Release the file."""
        self._file.close()


class Rows:
    """The rows of one transaction. A writer that was overtaken fails, and its result stands."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def begin(self) -> None:
        """Read one state of the file from here on."""
        self._connection.execute("BEGIN")

    def forget_changes(self) -> None:
        """Undo what was written since `begin`."""
        self._connection.rollback()

    # --- facts ---

    def fact(self, name: str) -> Any:
        """A remembered value, made by this very code; else None."""
        query = "SELECT value FROM facts WHERE name = ?"
        row = self._connection.execute(query, (f"{name}:{code_stamp()}",)).fetchone()
        return json.loads(row[0]) if row else None

    def set_fact(self, name: str, value: Any) -> None:
        """Remember a value; values of other code are dropped."""
        self._connection.execute("DELETE FROM facts WHERE name GLOB ?", (f"{name}:*",))
        row = (f"{name}:{code_stamp()}", json.dumps(value))
        self._connection.execute("INSERT INTO facts VALUES (?, ?)", row)

    @property
    def standing(self) -> Standing | None:
        """What the other rows are about."""
        found = self.fact("standing")
        if found is None:
            return None
        head, base, compared, checked = found
        return Standing(
            _state(head), _state(base) if base is not None else None, frozenset(compared), checked
        )

    def set_standing(self, standing: Standing) -> None:
        """Say what the other rows are about from now on."""
        head, base = standing.head, standing.base
        self.set_fact("standing", [head, base, sorted(standing.compared), standing.checked])

    # --- files and claims ---

    def clear(self) -> None:
        """Forget everything."""
        for table in ("facts", "files", "claims", "diagnostics", "stale", "outcomes", "layers"):
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608

    def add_files(self, files: Iterable[Filed]) -> None:
        """Remember files that are not known."""
        files = list(files)
        self._connection.executemany(
            "INSERT INTO files VALUES (?, ?, ?, ?)",
            ((one.entry.path, one.entry.mode, one.entry.oid, one.group) for one in files),
        )
        self._connection.executemany(
            "INSERT INTO claims VALUES (?, ?)",
            ((key, one.entry.path) for one in files for key in one.claims),
        )

    def remove_files(self, paths: Collection[str]) -> None:
        """Forget files."""
        for table in ("files", "claims"):
            statement = f"DELETE FROM {table} WHERE path = ?"  # noqa: S608
            self._connection.executemany(statement, ((path,) for path in paths))

    def groups_of(self, paths: Collection[str]) -> dict[str, str]:
        """The groups of those files that are known."""
        return dict(self._select("SELECT path, grp FROM files WHERE path", paths))

    def files_in(self, groups: Collection[str]) -> list[Filed]:
        """All files of groups, and those that take part in every check."""
        found = {
            row[0]: Filed(TreeEntry(*row[:3]), row[3])
            for row in (
                *self._select("SELECT path, mode, oid, grp FROM files WHERE grp", groups),
                *self._select("SELECT path, mode, oid, grp FROM files WHERE grp", [EVERYONE]),
                *self._connection.execute(
                    "SELECT path, mode, oid, grp FROM files WHERE grp > ? AND grp < ?",
                    (ENVIRONMENTS, ENVIRONMENTS[:-1] + "0"),
                ),
            )
        }
        return list(found.values())

    def claims_of(self, paths: Collection[str]) -> set[str]:
        """Everything that these files claim."""
        return {row[0] for row in self._select("SELECT key FROM claims WHERE path", paths)}

    def claimants(self, keys: Collection[str]) -> set[str]:
        """The groups of files that claim one of these."""
        query = "SELECT grp FROM claims JOIN files USING (path) WHERE key"
        return {row[0] for row in self._select(query, keys)}

    def exclusive_to(self, groups: Collection[str]) -> set[str]:
        """The exclusive claims of all files of these groups."""
        query = "SELECT key FROM files JOIN claims USING (path) WHERE grp"
        return {row[0] for row in self._select(query, groups) if row[0].startswith(EXCLUSIVE)}

    # --- diagnostics ---

    def diagnostics(self) -> dict[str, list[Diagnostic]]:
        """All diagnostics by group."""
        found: dict[str, list[Diagnostic]] = {}
        for group, value in self._connection.execute("SELECT grp, value FROM diagnostics"):
            found.setdefault(group, []).append(_diagnostic(value))
        return found

    def set_diagnostics(self, found: Mapping[str, Sequence[Diagnostic]]) -> None:
        """Replace all diagnostics."""
        self._connection.execute("DELETE FROM diagnostics")
        self._connection.executemany(
            "INSERT INTO diagnostics VALUES (?, ?)",
            ((group, json.dumps(astuple(one))) for group, all_ in found.items() for one in all_),
        )

    # --- plans ---

    def add_stale(self, groups: Collection[str]) -> None:
        """Remember groups whose outcomes are out of date."""
        statement = "INSERT OR IGNORE INTO stale VALUES (?)"
        self._connection.executemany(statement, ((group,) for group in groups))

    def stale(self) -> set[str]:
        """Groups whose outcomes are out of date."""
        return {row[0] for row in self._connection.execute("SELECT grp FROM stale")}

    def clear_stale(self) -> None:
        """All outcomes are up to date."""
        self._connection.execute("DELETE FROM stale")

    def outcomes(self) -> list[tuple[str, Any]]:
        """All outcomes with their groups."""
        rows = self._connection.execute("SELECT grp, value FROM outcomes")
        return [(group, json.loads(value)) for group, value in rows]

    def remove_outcomes(self, groups: Collection[str] | None) -> None:
        """Forget the outcomes of groups, or all of them."""
        if groups is None:
            self._connection.execute("DELETE FROM outcomes")
            return
        statement = "DELETE FROM outcomes WHERE grp = ?"
        self._connection.executemany(statement, ((group,) for group in groups))

    def add_outcomes(self, outcomes: Iterable[tuple[str, Any]]) -> None:
        """Remember outcomes with their groups."""
        self._connection.executemany(
            "INSERT INTO outcomes VALUES (?, ?)",
            ((group, json.dumps(value)) for group, value in outcomes),
        )

    def set_layers(self, layers: Mapping[str, Collection[str]]) -> None:
        """Replace the stored layers of these releases."""
        self._connection.executemany(
            "DELETE FROM layers WHERE release = ?", ((release,) for release in layers)
        )
        self._connection.executemany(
            "INSERT INTO layers VALUES (?, ?)",
            ((digest, release) for release, digests in layers.items() for digest in digests),
        )

    def clear_layers(self) -> None:
        """Forget all stored layers."""
        self._connection.execute("DELETE FROM layers")

    def stored(self, digests: Collection[str]) -> set[str]:
        """Those of the layers that some release has stored."""
        return {row[0] for row in self._select("SELECT digest FROM layers WHERE digest", digests)}

    def _select(self, query: str, values: Collection[str]) -> Iterator[Any]:
        """Rows of a query that ends before ``IN``."""
        listed = list(values)
        for start in range(0, len(listed), _AT_ONCE):
            chunk = listed[start : start + _AT_ONCE]
            marks = ",".join("?" * len(chunk))
            yield from self._connection.execute(f"{query} IN ({marks})", chunk).fetchall()


@lru_cache(maxsize=1)
def code_stamp() -> str:
    """Changes whenever a module of this project does: what other code found is not to be trusted."""
    digest = hashlib.sha256(registry_tool.__version__.encode())
    for root in registry_tool.__path__:
        for folder, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                if name.endswith(".py"):
                    status = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118
                    digest.update(f"{name} {status.st_mtime_ns} {status.st_size}".encode())
    return digest.hexdigest()[:16]


def _state(value: Any) -> TreeState:
    tree, overlay = value
    return TreeState(
        tree, {path: (_entry(before), _entry(after)) for path, (before, after) in overlay.items()}
    )


def _entry(value: Any) -> TreeEntry | None:
    return TreeEntry(*value) if value is not None else None


def _diagnostic(value: str) -> Diagnostic:
    path, span, severity, code, message, help, related, line, subject = json.loads(value)
    places = tuple(RelatedPosition(*place) for place in related)
    return Diagnostic(
        path, Span(*span), Severity(severity), code, message, help, places, line, subject
    )
