"""Questions to a catalog. Every answer of one `Catalog` is about one and the same pair."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from registry_tool.catalog import comparing, items, statistics
from registry_tool.catalog.answers import (
    About,
    BuildDuration,
    Cell,
    DeploymentEvent,
    Difference,
    FieldDifference,
    Hit,
    KeyRecord,
    ModelStorage,
    StorageTotals,
    Tie,
)
from registry_tool.catalog.inputs import InvalidFile
from registry_tool.catalog.listing import ListQuery, Page
from registry_tool.catalog.memory import Memory
from registry_tool.catalog.meta import Meta, problems
from registry_tool.catalog.paging import Pager
from registry_tool.catalog.schema import TABLES
from registry_tool.catalog.searching import DEFAULT_KINDS, best_matches, sayable
from registry_tool.catalog.selecting import Selection, table_of
from registry_tool.domain.registry import RegistrySpec
from registry_tool.domain.release import Stage
from registry_tool.errors import BadQuery, CatalogProblem

__all__ = [
    "About",
    "BuildDuration",
    "Catalog",
    "Cell",
    "DeploymentEvent",
    "Difference",
    "FieldDifference",
    "Hit",
    "KeyRecord",
    "ModelStorage",
    "StorageTotals",
    "Tie",
]

P = ParamSpec("P")
R = TypeVar("R")


def _answer(
    method: Callable[Concatenate[Catalog, P], R],
) -> Callable[Concatenate[Catalog, P], R]:
    """Turn what SQLite complains of into what callers know."""

    @wraps(method)
    def asked(self: Catalog, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except UnicodeEncodeError as problem:
            raise BadQuery("the question holds a character that is none") from problem
        except sqlite3.Error as problem:
            self.on_failure(problem)
            raise CatalogProblem(
                f"the catalog cannot be read: {problem}", transient=True
            ) from problem

    return asked


class Catalog:
    """A reading transaction on one catalog; `files.Catalogs.open` gives it for the time of a request.

    Not for several threads at once. Every method raises CatalogProblem when the file is damaged.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        memory: Memory,
        meta: Meta,
        on_failure: Callable[[sqlite3.Error], None],
    ) -> None:
        self.pair = meta.pair
        self.on_failure = on_failure
        self._connection = connection
        self._memory = memory
        self._meta = meta

    @_answer
    def about(self) -> About:
        """Revision, problems, and how many items there are."""
        rows = self._connection.execute(
            "SELECT path, subject, kind, problems FROM invalid ORDER BY path"
        )
        return About(
            pair=self.pair,
            committed_at=self._meta.committed_at,
            tip=self._meta.tip.oid,
            refused=self._meta.tip.refused,
            invalid=tuple(
                InvalidFile(path, subject, problems(json.loads(text)), kind)
                for path, subject, kind, text in rows
            ),
            counts=statistics.counts(self._connection),
        )

    @_answer
    def registry(self) -> RegistrySpec:
        """The settings of the shown revision."""
        (spec,) = self._connection.execute("SELECT spec FROM registry").fetchone()
        return RegistrySpec.model_validate_json(spec)

    @_answer
    def registry_item(self) -> str:
        """The Registry manifest as an item, finished JSON text."""
        return items.registry_text(self._connection)

    @_answer
    def page(self, query: ListQuery) -> Page:
        """A part of the list of one kind. Raises BadQuery."""
        selection = Selection(self._connection, self._memory, query)
        found = Pager(self._connection, self._memory, query, selection).slice()
        return Page(
            pair=self.pair,
            items=items.item_texts(self._connection, query.kind, found.ids),
            total=selection.bits.bit_count(),
            next=found.next,
            facets={field: selection.facet(field) for field in query.facets},
        )

    @_answer
    def get(self, kind: str, key: str) -> str | None:
        """One item with all its details, finished JSON text, or None. Raises BadQuery for an unknown kind.

        Beyond what lists have: a release's ``lock`` has ``files`` and ``layers``, an artifact its ``releases``, a
        template its ``files``, a commit all its ``changes``.
        """
        return items.detailed_text(self._connection, table_of(kind).kind.name, sayable(key))

    @_answer
    def latest(
        self, model: str, *, quantization: str | None = None, stage: str | None = None
    ) -> str | Tie | None:
        """The item of a model's newest release: not yanked, deprecated or a pre-release.

        None when there is no such model or release; Tie when the newest version has several quantizations.
        """
        rows = self._connection.execute(
            "SELECT id, key, version FROM releases WHERE model = ?1 AND yanked = 0"
            " AND prerelease = 0 AND stage != ?2 AND (?3 IS NULL OR stage = ?3)"
            " AND (?4 IS NULL OR quantization = ?4) ORDER BY version_order DESC, quantization",
            (model, Stage.DEPRECATED.value, stage, quantization),
        )
        newest: list[tuple[int, str, str]] = []
        for row in rows:
            if newest and newest[0][2] != row[2]:
                break
            newest.append(row)
        if len(newest) > 1:
            return Tie(tuple(key for _, key, _ in newest))
        return items.detailed_text(self._connection, "releases", newest[0][1]) if newest else None

    @_answer
    def search(self, q: str, *, kinds: Sequence[str] = (), limit: int = 20) -> list[Hit]:
        """The best matches over all kinds, or some; also by the beginning of an oid, key or digest."""
        wanted = [table_of(kind).kind.name for kind in kinds or DEFAULT_KINDS]
        found = best_matches(self._connection, q, wanted, max(1, min(limit, 100)))
        return [self._hit(kind, item_id) for kind, item_id in found]

    def _hit(self, kind: str, item_id: int) -> Hit:
        column = "sha256" if kind == "artifacts" else "key"
        query = f"SELECT {column} FROM {TABLES[kind].name} WHERE id = ?"  # noqa: S608
        (key,) = self._connection.execute(query, (item_id,)).fetchone()
        (text,) = items.item_texts(self._connection, kind, (item_id,))
        return Hit(kind, key, text)

    @_answer
    def storage(self, *, limit: int | None = None) -> list[ModelStorage]:
        """What models occupy, the largest first."""
        return statistics.storage(self._connection, limit)

    @_answer
    def storage_totals(self) -> StorageTotals:
        """What all models occupy together."""
        return self._memory.totals(lambda: statistics.storage_totals(self._connection))

    @_answer
    def timeline(self, *, since: datetime | None = None, limit: int = 500) -> list[DeploymentEvent]:
        """The newest deployment records, newest first."""
        return statistics.timeline(self._connection, since, limit)

    @_answer
    def build_durations(self, *, limit: int = 200) -> list[BuildDuration]:
        """The newest builds that ran, newest first; pruned ones are left out."""
        return statistics.build_durations(self._connection, limit)

    @_answer
    def matrix(self) -> list[Cell]:
        """All deployments, by environment and model."""
        return statistics.matrix(self._connection)

    @_answer
    def api_key(self, key_id: str) -> KeyRecord | None:
        """The key with that public part. The hash is here and in no item.

        Of several with the same public part the one that is still good, or else any.
        """
        row = self._connection.execute(
            "SELECT key, key_id, owner, sha256, expires, revoked FROM api_keys WHERE key_id = ?"
            " ORDER BY revoked, expires IS NOT NULL, expires DESC, key LIMIT 1",
            (key_id,),
        ).fetchone()
        if row is None:
            return None
        name, public, owner, sha256, expires, revoked = row
        expires_at = statistics.moment(expires) if expires is not None else None
        return KeyRecord(name, public, owner, sha256, expires_at, bool(revoked))

    @_answer
    def differences(self, newer: Catalog) -> Iterator[Difference]:
        """What `newer` has otherwise, by identity: manifests only, by kind and key."""
        return iter(list(comparing.differences(self._connection, newer._connection)))

    @_answer
    def registry_path(self) -> str:
        """The file of the Registry."""
        return str(self._connection.execute("SELECT path FROM registry").fetchone()[0])

    @_answer
    def step_of(self, oid: str) -> int | None:
        """The place of a commit on the shown revision's line of first parents, counted from the oldest."""
        row = self._connection.execute("SELECT step FROM steps WHERE oid = ?", (oid,)).fetchone()
        return row[0] if row else None

    @_answer
    def paths_below(self, folder: str) -> list[str]:
        """Paths of manifests and invalid files in a folder, which ends in a slash."""
        tables = [table.name for table in TABLES.values() if table.of_manifest]
        found = []
        for table in (*tables, "locks", "registry", "invalid"):
            query = f"SELECT path FROM {table} WHERE path >= ? AND path < ?"  # noqa: S608
            found += self._connection.execute(query, (folder, f"{folder[:-1]}0")).fetchall()
        return [path for (path,) in found]
