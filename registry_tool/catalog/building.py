"""Making a catalog file from nothing, and changing one in a single transaction."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from registry_tool.catalog.context import Context
from registry_tool.catalog.deriving import derive
from registry_tool.catalog.dirty import Dirty
from registry_tool.catalog.inputs import CatalogDelta, CatalogInputs, Tip
from registry_tool.catalog.meta import Meta, new_state, read_meta, write_meta
from registry_tool.catalog.schema import create_indexes, create_tables
from registry_tool.catalog.terms import Terms
from registry_tool.catalog.writing import Writer
from registry_tool.errors import CatalogProblem
from registry_tool.failpoints import reach

_BUSY_SECONDS = 30.0


def build(path: Path, inputs: CatalogInputs) -> None:
    """Write a new catalog file; nobody may know of it before this returns. Raises IdentityClash."""
    with closing(sqlite3.connect(path, isolation_level=None, cached_statements=512)) as connection:
        # A file that is not finished is thrown away, so nothing is done to save half of it.
        # Rows of one or two kB waste less of a larger page.
        settings = ("page_size = 8192", "journal_mode = OFF", "synchronous = OFF")
        for setting in (*settings, "cache_size = -65536"):
            connection.execute(f"PRAGMA {setting}")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN")
        for statement in create_tables().split(";\n"):
            connection.execute(statement)
        _fill(connection, inputs)
        connection.execute("COMMIT")
        connection.execute("PRAGMA locking_mode = NORMAL")
        connection.execute("PRAGMA journal_mode = WAL")
    reach("catalog-built")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _fill(connection: sqlite3.Connection, inputs: CatalogInputs) -> None:
    terms = Terms(connection)
    dirty = Dirty(connection, everything=True)
    writer = Writer(connection, terms, dirty)
    writer.put_steps(0, inputs.steps)
    writer.put_commits(inputs.commits)
    writer.put_records(inputs.records)
    writer.put_manifests(inputs.manifests)
    for statement in create_indexes(late=False).splitlines():
        connection.execute(statement)
    derive(Context(connection, terms, inputs.keys), dirty)
    terms.flush()
    tip = inputs.tip or Tip(inputs.pair.manifests)
    write_meta(connection, Meta(inputs.pair, tip, inputs.committed_at, new_state()))
    for statement in create_indexes(late=True).splitlines():
        connection.execute(statement)
    connection.execute("ANALYZE")


def change(connection: sqlite3.Connection, delta: CatalogDelta) -> None:
    """Change a catalog in one transaction; readers see it before or after. Raises IdentityClash.

    Raises CatalogProblem when the catalog does not show `delta.before`.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _change(connection, delta)
        reach("catalog-changed")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _change(connection: sqlite3.Connection, delta: CatalogDelta) -> None:
    meta = read_meta(connection)
    if meta is None or meta.pair != delta.before:
        shown = meta.pair.key if meta else "nothing"
        raise CatalogProblem(f"the catalog shows {shown}, not {delta.before.key}", transient=True)
    terms = Terms(connection)
    dirty = Dirty(connection)
    writer = Writer(connection, terms, dirty)
    store = Context(connection, terms).store
    if delta.keep_steps is not None:
        writer.drop_steps(delta.keep_steps)
    (count,) = connection.execute("SELECT count(*) FROM steps").fetchone()
    writer.put_steps(count, delta.steps)
    writer.put_commits(delta.commits)
    writer.change_manifests(delta.manifests)
    writer.change_records(delta.records)
    context = Context(connection, terms, delta.keys)
    if context.store != store:
        dirty.mark_everything()
    derive(context, dirty)
    terms.flush()
    tip = delta.tip or Tip(delta.after.manifests)
    committed_at = delta.committed_at
    if delta.after.manifests == delta.before.manifests:
        committed_at = meta.committed_at
    write_meta(connection, Meta(delta.after, tip, committed_at, new_state()))


def connect_for_change(path: Path) -> sqlite3.Connection:
    """A connection that may write."""
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode=rw",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        cached_statements=512,
        check_same_thread=False,
    )
    # With a write-ahead log a power failure may lose the last change, never more.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA cache_size = -65536")
    return connection


def connect_for_reading(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """A connection that cannot write; `immutable` is for files that nobody changes any more."""
    query = "mode=ro&immutable=1" if immutable else "mode=ro"
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?{query}",
        uri=True,
        isolation_level=None,
        timeout=_BUSY_SECONDS,
        cached_statements=256,
        check_same_thread=False,
    )
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def _quoted(path: Path) -> str:
    from urllib.parse import quote

    return quote(str(path))
