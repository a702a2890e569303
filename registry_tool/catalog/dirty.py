"""What a change touches: which items have to be derived anew because something that they show has changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from registry_tool.catalog.rows import Value
from registry_tool.catalog.schema import TABLES, Table

_MANIFEST_TABLES = tuple(table for table in TABLES.values() if table.of_manifest)


class Dirty:
    """Keys of items to derive, by kind. Items are marked before they change and afterwards."""

    def __init__(self, connection: sqlite3.Connection, *, everything: bool = False) -> None:
        self.everything = everything
        self.registry = everything
        self._connection = connection
        self._keys: dict[str, set[str]] = {table.kind.name: set() for table in _MANIFEST_TABLES}
        self.retagged: set[str] = set()
        """Models whose releases take over something else, and are as they were in all other respects."""

    def keys(self, kind: str) -> set[str]:
        """What is marked of a kind; without meaning when `everything` is."""
        return self._keys[kind]

    def mark_everything(self) -> None:
        """Derive all items."""
        self.everything = self.registry = True

    def mark_item(self, kind: str, key: str) -> None:
        """A manifest of that identity is changed, and so is what others show of it."""
        if self.everything:
            return
        self._keys[kind].add(key)
        match kind:
            case "releases":
                self._mark_around_release(key)
            case "models":
                self.retagged.add(key)
                # A template may show anything of a model.
                self._mark("deployments", "SELECT key FROM deployments WHERE model = ?", key)
            case "templates":
                self._mark(
                    "deployments",
                    "SELECT deployments.key FROM releases JOIN deployments"
                    " ON deployments.wanted = releases.key WHERE releases.template = ?",
                    key,
                )
            case "environments":
                self._mark("deployments", "SELECT key FROM deployments WHERE environment = ?", key)
            case "deployments":
                self._mark_around_deployment(key)

    def mark_release(self, key: str) -> None:
        """Something that a release and its model show has changed, not the release itself."""
        if not self.everything:
            self._keys["releases"].add(key)
            self._keys["models"].add(key.partition("/")[0])

    def mark_lock(self, release: str) -> None:
        """The lock of a release is changed."""
        if not self.everything:
            self.mark_release(release)
            self._mark("deployments", "SELECT key FROM deployments WHERE wanted = ?", release)

    def mark_registry(self) -> None:
        """The settings are changed, and with them the keys of all deployments."""
        self.registry = True
        if not self.everything:
            self._mark("deployments", "SELECT key FROM deployments WHERE path IS NOT NULL")

    def mark_record(self, kind: str, columns: Mapping[str, Value]) -> None:
        """A record is new or gone."""
        if self.everything:
            return
        if kind == "builds":
            self.mark_release(str(columns["release"]))
        elif kind == "deployment-records":
            deployment = str(columns["deployment"])
            self._keys["deployments"].add(deployment)
            self._mark_around_deployment(deployment)

    def mark_path(self, path: str) -> None:
        """The commits behind a file have changed."""
        if self.everything:
            return
        if path.startswith("build_templates/"):
            folder = "/".join(path.split("/")[:2])
            query = "SELECT key FROM templates WHERE path >= ? AND path < ?"
            self._mark("templates", query, f"{folder}/", f"{folder}0")
        found = self.item_at(path)
        if found is not None:
            self._keys[found[0].kind.name].add(found[2])
        self._mark("releases", "SELECT key FROM locks WHERE path = ?", path)
        if self._connection.execute("SELECT 1 FROM registry WHERE path = ?", (path,)).fetchone():
            self.registry = True

    def item_at(self, path: str) -> tuple[Table, int, str] | None:
        """Table, number and key of the item that a file declares."""
        for table in _MANIFEST_TABLES:
            found = self._connection.execute(
                f"SELECT id, key FROM {table.name} WHERE path = ?",  # noqa: S608
                (path,),
            ).fetchone()
            if found is not None:
                return (table, *found)
        return None

    def _mark(self, kind: str, query: str, *values: str) -> None:
        self._keys[kind].update(key for (key,) in self._connection.execute(query, values))

    def _mark_around_release(self, key: str) -> None:
        """Its model, its template, and the deployments that may track it."""
        model = key.partition("/")[0]
        self._keys["models"].add(model)
        self._mark("templates", "SELECT template FROM releases WHERE key = ?", key)
        self._mark("deployments", "SELECT key FROM deployments WHERE model = ?", model)

    def _mark_around_deployment(self, key: str) -> None:
        """Its environment, and the releases that show it."""
        self._keys["environments"].add(key.partition("/")[0])
        for (release,) in self._connection.execute(
            "SELECT wanted FROM deployments WHERE key = ?1 AND wanted IS NOT NULL"
            " UNION SELECT running FROM deployments WHERE key = ?1 AND running IS NOT NULL",
            (key,),
        ).fetchall():
            self.mark_release(release)
