"""Source rows: what manifests, records and commits say themselves, and what has to be derived anew after a change."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from functools import lru_cache

from registry_tool.catalog.dirty import Dirty
from registry_tool.catalog.event_rows import commit_row, record_key, record_kind, record_row
from registry_tool.catalog.inputs import Commit, InvalidFile, ManifestFile, RecordFile
from registry_tool.catalog.json_text import dumps
from registry_tool.catalog.manifest_rows import manifest_rows
from registry_tool.catalog.rows import ItemRow, LockRow, RegistryRow, Value, Words
from registry_tool.catalog.schema import TABLES, Table, search_row
from registry_tool.catalog.terms import Terms
from registry_tool.errors import IdentityClash


class Writer:
    """Changes source rows within one transaction."""

    def __init__(self, connection: sqlite3.Connection, terms: Terms, dirty: Dirty) -> None:
        self.dirty = dirty
        self._connection = connection
        self._terms = terms
        self._last: dict[str, int] = {}
        self._has_invalid = bool(connection.execute("SELECT 1 FROM invalid LIMIT 1").fetchone())

    # --- manifests ---

    def put_manifests(self, files: Iterable[ManifestFile | InvalidFile]) -> None:
        """Add files of which nothing is known yet. Raises IdentityClash."""
        for file in files:
            self._put(file)

    def change_manifests(self, files: Mapping[str, ManifestFile | InvalidFile | None]) -> None:
        """Replace, add or remove files by path. Raises IdentityClash."""
        kept: dict[str, tuple[Table, int]] = {}
        for path, file in files.items():
            found = self.dirty.item_at(path)
            name = file.name if isinstance(file, ManifestFile) else None
            if found is not None:
                table, item_id, key = found
                kind = _KINDS.get(file.kind) if isinstance(file, ManifestFile) else None
                self.dirty.mark_item(table.kind.name, key)
                if table.kind.name == kind and key == name:
                    kept[path] = (table, item_id)
                else:
                    self._remove(table, item_id)
            self._remove_unlisted(path)
        for path, file in files.items():
            if file is not None:
                self._put(file, kept.get(path))

    def _remove_unlisted(self, path: str) -> None:
        """Remove what is no item of its own: a lock, the Registry, an invalid file."""
        lock = self._connection.execute("SELECT key FROM locks WHERE path = ?", (path,)).fetchone()
        if lock is not None:
            self.dirty.mark_lock(lock[0])
            self._remove_artifacts(lock[0])
            self._connection.execute("DELETE FROM locks WHERE path = ?", (path,))
        if self._connection.execute("DELETE FROM registry WHERE path = ?", (path,)).rowcount:
            self.dirty.mark_registry()
        self._connection.execute("DELETE FROM invalid WHERE path = ?", (path,))

    def _put(
        self, file: ManifestFile | InvalidFile, known: tuple[Table, int] | None = None
    ) -> None:
        if isinstance(file, InvalidFile):
            self._put_invalid(file)
            return
        self._refuse_invalid_double(file)
        row = manifest_rows(file)
        try:
            match row:
                case ItemRow():
                    self._put_item(row, known[1] if known else None)
                    self.dirty.mark_item(row.kind, file.name)
                case LockRow():
                    self._insert("locks", row.columns)
                    for artifact in row.artifacts:
                        self._put_item(artifact, None)
                    self.dirty.mark_lock(file.name)
                case RegistryRow():
                    self._put_registry(row)
        except sqlite3.IntegrityError as problem:
            raise IdentityClash(f"{file.path} declares what another file declares") from problem

    def _put_registry(self, row: RegistryRow) -> None:
        if self._connection.execute("SELECT 1 FROM registry").fetchone():
            raise IdentityClash(f"{row.columns['path']} is a second Registry")
        self._insert("registry", row.columns)
        self.dirty.mark_registry()

    def _put_item(self, row: ItemRow, known: int | None) -> int:
        table = TABLES[row.kind]
        columns: dict[str, Value | bytes] = dict(row.columns)
        if table.of_manifest:
            columns["facts"] = dumps(row.facts)
        if known is not None:
            assignments = ", ".join(f"{name} = ?" for name in columns)
            self._connection.execute(
                f"UPDATE {table.name} SET {assignments} WHERE id = ?",  # noqa: S608
                (*columns.values(), known),
            )
            self._unindex(table, known)
            item_id = known
        elif row.kind == "deployments":
            item_id = self._adopt(table, columns)
        else:
            item_id = self._next_id(table)
            columns["id"] = item_id
            if not table.of_manifest:
                # Nothing more is derived for it.
                columns["terms"] = self._terms.assign(row.kind, item_id, b"", row.facts)
            self._insert(table.name, columns)
        self._index(table, item_id, row.words)
        return item_id

    def _next_id(self, table: Table) -> int:
        if table.name not in self._last:
            (last,) = self._connection.execute(
                f"SELECT coalesce(max(id), 0) FROM {table.name}"  # noqa: S608
            ).fetchone()
            self._last[table.name] = last
        self._last[table.name] += 1
        return self._last[table.name]

    def _adopt(self, table: Table, columns: Mapping[str, Value | bytes]) -> int:
        """Give a manifest to a deployment that had only records, or insert it."""
        orphan = self._connection.execute(
            "SELECT id FROM deployments WHERE key = ? AND path IS NULL", (columns["key"],)
        ).fetchone()
        if orphan is None:
            return self._insert(table.name, columns)
        assignments = ", ".join(f"{name} = ?" for name in columns)
        self._connection.execute(
            f"UPDATE deployments SET {assignments} WHERE id = ?",  # noqa: S608
            (*columns.values(), orphan[0]),
        )
        self._unindex(table, orphan[0])
        return int(orphan[0])

    def _put_invalid(self, file: InvalidFile) -> None:
        known = self._connection.execute(
            "SELECT 1 FROM invalid WHERE subject = ? AND kind = ?", (file.subject, file.kind)
        ).fetchone()
        if known or self._declares(file.kind, file.subject):
            raise IdentityClash(f"{file.path} declares what another file declares")
        self._has_invalid = True
        problems = dumps([problem._asdict() for problem in file.problems])
        self._connection.execute(
            "INSERT INTO invalid (path, subject, kind, problems) VALUES (?, ?, ?, ?)",
            (file.path, file.subject, file.kind, problems),
        )

    def _declares(self, kind: str | None, subject: str | None) -> bool:
        table = _KINDS.get(kind or "", "locks" if kind == "ArtifactLock" else None)
        if table is None or subject is None:
            return False
        found = self._connection.execute(
            f"SELECT 1 FROM {table.replace('-', '_')} WHERE key = ? AND path IS NOT NULL",  # noqa: S608
            (subject.partition("/")[2],),
        ).fetchone()
        return found is not None

    def _refuse_invalid_double(self, file: ManifestFile) -> None:
        if not self._has_invalid:
            return
        subject = getattr(file.manifest, "subject")  # noqa: B009
        known = self._connection.execute(
            "SELECT 1 FROM invalid WHERE subject = ? AND kind = ?", (subject, file.kind)
        ).fetchone()
        if known:
            raise IdentityClash(f"{file.path} declares what another file declares")

    def _remove(self, table: Table, item_id: int) -> None:
        (terms,) = self._connection.execute(
            f"SELECT terms FROM {table.name} WHERE id = ?",  # noqa: S608
            (item_id,),
        ).fetchone()
        self._terms.forget(item_id, terms)
        self._connection.execute(f"DELETE FROM {table.name} WHERE id = ?", (item_id,))  # noqa: S608
        self._unindex(table, item_id)

    def _remove_artifacts(self, release: str) -> None:
        table = TABLES["artifacts"]
        found = self._connection.execute("SELECT id FROM artifacts WHERE release = ?", (release,))
        for (item_id,) in found.fetchall():
            self._remove(table, item_id)

    # --- records and commits ---

    def put_records(self, files: Iterable[RecordFile | InvalidFile]) -> None:
        """Add records."""
        for file in files:
            if isinstance(file, InvalidFile):
                self._put_invalid(file)
                continue
            row = record_row(file)
            self._put_item(row, None)
            self.dirty.mark_record(row.kind, row.columns)

    def change_records(self, files: Mapping[str, RecordFile | InvalidFile | None]) -> None:
        """Replace, add or remove records by path."""
        for path in files:
            kind = record_kind(path)
            self._connection.execute("DELETE FROM invalid WHERE path = ?", (path,))
            if kind is not None:
                self._remove_record(TABLES[kind], record_key(path))
        self.put_records(file for file in files.values() if file is not None)

    def _remove_record(self, table: Table, key: str) -> None:
        columns = {"builds": "release", "deployment-records": "deployment"}
        column = columns.get(table.kind.name, "key")
        found = self._connection.execute(
            f"SELECT id, {column} FROM {table.name} WHERE key = ?",  # noqa: S608
            (key,),
        ).fetchone()
        if found is not None:
            self.dirty.mark_record(table.kind.name, {column: found[1]})
            self._remove(table, found[0])

    def put_steps(self, first: int, steps: Iterable[str]) -> None:
        """Add to the line of first parents."""
        self._connection.executemany(
            "INSERT INTO steps (step, oid) VALUES (?, ?)", enumerate(steps, first)
        )

    def put_commits(self, commits: Iterable[Commit]) -> None:
        """Add commits of new steps, from the oldest on."""
        for commit in commits:
            item_id = self._put_item(commit_row(commit), None)
            self._connection.executemany(
                "INSERT INTO touches (path, step, commit_id, status, arrived, origin)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (touch.path, commit.step, item_id, touch.status, touch.arrived, touch.origin)
                    for touch in commit.touches
                ),
            )
            for touch in commit.touches:
                self.dirty.mark_path(touch.path)

    def drop_steps(self, keep: int) -> None:
        """Forget commits of later steps than the first `keep`."""
        paths = self._connection.execute("SELECT path FROM touches WHERE step >= ?", (keep,))
        for (path,) in paths.fetchall():
            self.dirty.mark_path(path)
        table = TABLES["audit"]
        commits = self._connection.execute("SELECT id FROM audit WHERE step >= ?", (keep,))
        for (item_id,) in commits.fetchall():
            self._remove(table, item_id)
        self._connection.execute("DELETE FROM touches WHERE step >= ?", (keep,))
        self._connection.execute("DELETE FROM steps WHERE step >= ?", (keep,))

    # --- rows ---

    def _insert(self, table: str, columns: Mapping[str, Value | bytes]) -> int:
        statement = _insertion(table, tuple(columns))
        done = self._connection.execute(statement, tuple(columns.values()))
        return int(done.lastrowid or 0)

    def _index(self, table: Table, item_id: int, words: Words) -> None:
        self._connection.execute(
            "INSERT INTO search (rowid, name, words, text) VALUES (?, ?, ?, ?)",
            (search_row(table, item_id), *words),
        )

    def _unindex(self, table: Table, item_id: int) -> None:
        self._connection.execute(
            "DELETE FROM search WHERE rowid = ?", (search_row(table, item_id),)
        )


@lru_cache(maxsize=256)
def _insertion(table: str, columns: tuple[str, ...]) -> str:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608


_KINDS = {
    "Model": "models",
    "Release": "releases",
    "Environment": "environments",
    "Deployment": "deployments",
    "BuildTemplate": "templates",
    "ApiKey": "api-keys",
}
