"""Tables and columns. Every kind has a table of its own; beside them lie what several kinds are derived from.

A list is answered from `terms`, an inverted index: which items have which value of a filter, as sets of small numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from registry_tool.catalog.kinds import KINDS, Kind

SCHEMA_VERSION = "1"
"""Another version is another catalog: it is built anew."""


@dataclass(frozen=True)
class Table:
    """How the items of a kind are stored. `id` is a small number that is used for nothing else."""

    kind: Kind
    number: int
    """Tells the kinds apart in the search index."""
    columns: tuple[str, ...]
    """Declarations of its own columns."""
    of_manifest: bool = False
    """Whether an item is a manifest file."""
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns behind the names of sorts, ranges and exact filters, where they differ from the name."""
    unique: tuple[str, ...] = ("key",)
    """What tells its rows apart and ends every order."""
    has_key: bool = True
    indexes: tuple[str, ...] = ()
    late_indexes: tuple[str, ...] = ()
    """Over derived columns."""

    @cached_property
    def name(self) -> str:
        """The table's name."""
        return self.kind.name.replace("-", "_")

    @property
    def never_null(self) -> frozenset[str]:
        """Columns that always have a value."""
        declared = (column.split(" ", 1) for column in self.columns)
        found = {name for name, kind in declared if "NOT NULL" in kind}
        return frozenset((*found, "id", "key"))

    def columns_of(self, name: str) -> tuple[str, ...]:
        """The columns behind a sort, range or exact filter."""
        return self.named.get(name, (name,))


_RELEASE_ORDER = ("model", "version_order", "quantization")
_DATES = {"created": ("created_at",), "updated": ("updated_at",)}
_NAME = {"name": ("key",)}
_TIMED = ("started REAL NOT NULL", "finished REAL NOT NULL", "seconds REAL NOT NULL")
_OF_RELEASE = (
    *("release TEXT NOT NULL", "model TEXT NOT NULL", "version_order TEXT NOT NULL"),
    "quantization TEXT NOT NULL",
)

_TABLES = (
    Table(
        KINDS["models"],
        0,
        (
            *("company TEXT", "base_model TEXT", "license TEXT", "parameter_count INTEGER"),
            *("storage_path TEXT", "releases INTEGER", "storage INTEGER"),
            *("files_size INTEGER", "unique_files_size INTEGER", "images_size INTEGER"),
        ),
        of_manifest=True,
        named={**_NAME, **_DATES},
        late_indexes=("storage DESC",),
    ),
    Table(
        KINDS["releases"],
        1,
        (
            *("model TEXT NOT NULL", "version TEXT NOT NULL", "version_order TEXT NOT NULL"),
            *("quantization TEXT NOT NULL", "stage TEXT", "template TEXT", "storage_path TEXT"),
            *("yanked INTEGER", "prerelease INTEGER"),
            *("parameter_count INTEGER", "size INTEGER", "built REAL", "image_build INTEGER"),
        ),
        of_manifest=True,
        unique=_RELEASE_ORDER,
        named={
            "name": _RELEASE_ORDER,
            "model": _RELEASE_ORDER,
            "version": ("version_order",),
            **_DATES,
        },
        indexes=(
            "model, version_order, quantization",
            "template",
        ),
        late_indexes=(
            "updated_at DESC, model, version_order, quantization",
            "created_at DESC, model, version_order, quantization",
            "size DESC, model, version_order, quantization",
        ),
    ),
    Table(
        KINDS["deployments"],
        2,
        (
            *("environment TEXT NOT NULL", "name TEXT NOT NULL", "model TEXT NOT NULL"),
            *(
                "version TEXT",
                "version_order TEXT",
                "quantization TEXT NOT NULL",
                "track TEXT",
                "suspend INTEGER",
                "replicas INTEGER",
            ),
            *("wanted TEXT", "running TEXT", "state TEXT", "health TEXT", "since REAL"),
        ),
        of_manifest=True,
        named={"version": ("version_order",), **_DATES},
        indexes=("model", "wanted", "running", "environment, name"),
    ),
    Table(
        KINDS["environments"],
        3,
        ("gates TEXT", "target TEXT", "target_type TEXT", "deployments INTEGER"),
        of_manifest=True,
        named={**_NAME, **_DATES},
    ),
    Table(
        KINDS["templates"],
        4,
        ("releases INTEGER", "files TEXT"),
        of_manifest=True,
        named={**_NAME, **_DATES},
    ),
    Table(
        KINDS["audit"],
        5,
        (
            "step INTEGER NOT NULL",
            "brief TEXT NOT NULL",
            "committed REAL NOT NULL",
            "authored REAL NOT NULL",
        ),
        named={"committed": ("committed", "id"), "authored": ("authored", "id")},
        indexes=("committed DESC, id DESC", "step"),
    ),
    Table(
        KINDS["artifacts"],
        6,
        (
            *_OF_RELEASE,
            "version TEXT NOT NULL",
            "path TEXT NOT NULL",
            "size INTEGER NOT NULL",
            "sha256 TEXT NOT NULL",
        ),
        named={"release": _RELEASE_ORDER},
        unique=("model", "version_order", "quantization", "path"),
        has_key=False,
        indexes=(
            "sha256, size",
            "size DESC, model, version_order, quantization, path",
            "release, path",
            "model, version_order, quantization, path",
        ),
    ),
    Table(
        KINDS["api-keys"],
        7,
        ("owner TEXT", "key_id TEXT", "sha256 TEXT", "expires REAL", "revoked INTEGER"),
        of_manifest=True,
        named={**_NAME, **_DATES},
        indexes=("key_id",),
    ),
    Table(
        KINDS["builds"],
        8,
        (
            *(
                *_OF_RELEASE,
                "sequence INTEGER NOT NULL",
                "build_key TEXT",
                "store TEXT",
                "result TEXT",
            ),
            *("builder TEXT", "adopted INTEGER", *_TIMED, "uploaded INTEGER", "reused INTEGER"),
        ),
        named={"release": _RELEASE_ORDER, "key": ("build_key",)},
        indexes=("release, sequence", "build_key", "finished DESC, sequence DESC, key"),
    ),
    Table(
        KINDS["deployment-records"],
        9,
        (
            *(*_OF_RELEASE, "deployment TEXT", "environment TEXT", "name TEXT"),
            *(
                "sequence INTEGER NOT NULL",
                "deployment_key TEXT",
                "result TEXT",
                "health TEXT",
                "who TEXT",
            ),
            *_TIMED,
        ),
        named={"release": _RELEASE_ORDER, "key": ("deployment_key",)},
        indexes=("deployment, sequence", "release", "finished DESC, sequence DESC, key"),
    ),
    Table(
        KINDS["requests"],
        10,
        ("sequence INTEGER NOT NULL", "target TEXT", "requested REAL"),
    ),
)
TABLES: Mapping[str, Table] = {table.kind.name: table for table in _TABLES}
"""By kind."""
BY_NUMBER: Mapping[int, Table] = {table.number: table for table in _TABLES}

EXACT: Mapping[str, Mapping[str, str]] = {
    "artifacts": {"sha256": "sha256", "release": "release"},
    "builds": {"key": "build_key", "release": "release"},
    "deployment-records": {
        "deployment": "deployment",
        "release": "release",
        "key": "deployment_key",
    },
    "requests": {"target": "target"},
}
"""Columns of exact filters. `audit.about` is looked up in `touches`."""

_COMMON = ("id INTEGER PRIMARY KEY", "body TEXT NOT NULL", "terms BLOB NOT NULL DEFAULT x''")
_KEY = ("key TEXT NOT NULL UNIQUE",)
_MANIFEST = (
    *("path TEXT UNIQUE", "oid TEXT", "changed INTEGER", "created INTEGER"),
    *(
        "created_at REAL",
        "updated_at REAL",
        "facts TEXT NOT NULL",
        "extra TEXT NOT NULL DEFAULT ''",
    ),
)

_OTHERS = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE registry (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, path TEXT NOT NULL, oid TEXT NOT NULL, changed INTEGER,
  created INTEGER, created_at REAL, updated_at REAL, body TEXT NOT NULL, spec TEXT NOT NULL,
  store TEXT NOT NULL
);
CREATE TABLE locks (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, path TEXT NOT NULL UNIQUE, oid TEXT NOT NULL,
  changed INTEGER, model TEXT NOT NULL, size INTEGER NOT NULL, summary TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX locks_model ON locks (model);
CREATE TABLE invalid (
  path TEXT PRIMARY KEY, subject TEXT, kind TEXT, problems TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE layers (
  model TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, PRIMARY KEY (model, digest)
) WITHOUT ROWID;
CREATE TABLE steps (step INTEGER PRIMARY KEY, oid TEXT NOT NULL UNIQUE);
CREATE TABLE touches (
  path TEXT NOT NULL, step INTEGER NOT NULL, commit_id INTEGER NOT NULL, status TEXT NOT NULL,
  arrived TEXT, origin TEXT, PRIMARY KEY (path, step, commit_id)
) WITHOUT ROWID;
CREATE TABLE terms (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL,
  count INTEGER NOT NULL, ids BLOB NOT NULL
);
CREATE VIRTUAL TABLE search USING fts5(
  name, words, text, tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
);
"""
_TERMS_INDEX = "CREATE UNIQUE INDEX terms_value ON terms (kind, field, value);\n"


def create_tables() -> str:
    """The script that makes all tables, still without most indexes."""
    statements = []
    for table in _TABLES:
        columns = [*_COMMON]
        columns += _KEY if table.has_key else ()
        columns += _MANIFEST if table.of_manifest else ()
        statements.append(f"CREATE TABLE {table.name} ({', '.join((*columns, *table.columns))});")
    return "\n".join(statements) + _OTHERS + _TERMS_INDEX


def create_indexes(*, late: bool) -> str:
    """The script that makes the other indexes, quicker once what they are over is there."""
    return "\n".join(
        f"CREATE INDEX {table.name}_{'late' if late else 'early'}_{number} ON {table.name} ({columns});"
        for table in _TABLES
        for number, columns in enumerate(table.late_indexes if late else table.indexes)
    )


def search_range(numbers: tuple[int, int]) -> tuple[int, int]:
    """The first and last row of the search index that kinds with these numbers, both included, may have."""
    first, last = numbers
    return first << 40, ((last + 1) << 40) - 1


def search_row(table: Table, item_id: int) -> int:
    """The row of an item in the search index."""
    return (table.number << 40) | item_id
