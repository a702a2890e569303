"""Numbers and series for the dashboard."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from registry_tool.catalog.answers import (
    BuildDuration,
    Cell,
    DeploymentEvent,
    ModelStorage,
    StorageTotals,
)
from registry_tool.catalog.schema import TABLES
from registry_tool.domain.records import BuildResult


def moment(seconds: float) -> datetime:
    """A time from what the database keeps of it."""
    return datetime.fromtimestamp(seconds, UTC)


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Items by kind."""
    found = dict(
        connection.execute("SELECT kind, count FROM terms WHERE field = '' AND value = ''")
    )
    return {kind: found.get(kind, 0) for kind in TABLES}


def storage(connection: sqlite3.Connection, limit: int | None) -> list[ModelStorage]:
    """What models occupy, the largest first."""
    rows = connection.execute(
        "SELECT key, releases, files_size, unique_files_size, images_size FROM models"
        " ORDER BY storage DESC, key LIMIT ?",
        (limit if limit is not None else -1,),
    )
    return [ModelStorage(*row) for row in rows]


def storage_totals(connection: sqlite3.Connection) -> StorageTotals:
    """What all models occupy together."""
    queries = (
        "SELECT total(size) FROM artifacts",
        "SELECT total(size) FROM (SELECT max(size) AS size FROM artifacts GROUP BY sha256)",
        "SELECT total(size) FROM (SELECT max(size) AS size FROM layers GROUP BY digest)",
    )
    return StorageTotals(*(int(connection.execute(query).fetchone()[0]) for query in queries))


def timeline(
    connection: sqlite3.Connection, since: datetime | None, limit: int
) -> list[DeploymentEvent]:
    """The newest deployment records, newest first."""
    rows = connection.execute(
        "SELECT environment, name, release, result, health, started, finished,"
        " (SELECT later.finished FROM deployment_records AS later"
        "  WHERE later.deployment = record.deployment AND later.sequence > record.sequence"
        "  ORDER BY later.sequence LIMIT 1),"
        " who, key FROM deployment_records AS record WHERE finished >= ?"
        " ORDER BY finished DESC, sequence DESC, key LIMIT ?",
        (since.timestamp() if since else -(2.0**62), limit),
    )
    return [
        DeploymentEvent(
            environment,
            name,
            release,
            result,
            health,
            moment(started),
            moment(finished),
            moment(until) if until is not None else None,
            who,
            key,
        )
        for environment, name, release, result, health, started, finished, until, who, key in rows
    ]


def build_durations(connection: sqlite3.Connection, limit: int) -> list[BuildDuration]:
    """The newest builds that ran, newest first."""
    rows = connection.execute(
        "SELECT release, result, builder, adopted, started, finished, seconds, uploaded, reused, key"
        " FROM builds WHERE result != ? ORDER BY finished DESC, sequence DESC, key LIMIT ?",
        (BuildResult.PRUNED.value, limit),
    )
    return [
        BuildDuration(
            release,
            result,
            builder,
            bool(adopted),
            moment(started),
            moment(finished),
            seconds,
            uploaded,
            reused,
            key,
        )
        for release, result, builder, adopted, started, finished, seconds, uploaded, reused, key in rows
    ]


def matrix(connection: sqlite3.Connection) -> list[Cell]:
    """All deployments, by environment and model."""
    rows = connection.execute(
        "SELECT environment, model, name, wanted, running, state, health FROM deployments"
        " ORDER BY environment, model, name"
    )
    return [Cell(*row) for row in rows]
