"""Datasette and MLflow over the same releases, each as its documentation would have it for one machine.

Datasette has one table with an index for each facet and a full-text index, opened as immutable; its time limits are
lifted, as it would leave out facets that take long. MLflow has a registered model for each model and a version for
each release, with the fields as tags, in the SQLite file that it makes itself.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks import http_load, web_corpus
from benchmarks.peers import DATASETTE, MLFLOW, NoPeer, install

_COLUMNS = (
    "model", "version", "quantization", "stage", "company", "base_model", "parameter_count",
    "license", "tags", "description", "release_notes",
)  # fmt: skip
_INDEXED = ("company", "base_model", "quantization", "stage", "license")
_SEARCHED = "model, company, base_model, tags, description, release_notes"
_CREATED = 1_760_000_000_000


@contextlib.contextmanager
def datasette(folder: Path, models: int, releases: int) -> Iterator[http_load.Server]:
    """Datasette, serving. Raises NoPeer."""
    command = [str(install(DATASETTE) / "datasette"), "serve"]
    database = folder / "registry.db"
    _write_datasette(database, models, releases)
    port = http_load.free_port()
    command += ["-i", str(database), "--host", "127.0.0.1", "--port", str(port)]
    limits = {
        "sql_time_limit_ms": 60_000,
        "facet_time_limit_ms": 60_000,
        "facet_suggest_time_limit_ms": 1,
    }
    for name, value in (*limits.items(), ("suggest_facets", "off"), ("num_sql_threads", 3)):
        command += ["--setting", name, str(value)]
    with http_load.server(command, port, "/-/versions.json") as server:
        yield server


def _write_datasette(database: Path, models: int, releases: int) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        columns = ", ".join(f"{name} TEXT" for name in _COLUMNS)
        connection.execute(f"CREATE TABLE releases (key TEXT PRIMARY KEY, {columns})")
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        connection.executemany(
            f"INSERT INTO releases VALUES ({marks})",  # noqa: S608 - question marks only
            (_datasette_row(row) for row in web_corpus.rows(models, releases)),
        )
        for name in _INDEXED:
            connection.execute(f"CREATE INDEX releases_{name} ON releases ({name})")
        connection.execute(
            # Datasette recognises the index by these quotation marks.
            f'CREATE VIRTUAL TABLE releases_fts USING fts5({_SEARCHED}, content="releases")'
        )
        connection.execute("INSERT INTO releases_fts (releases_fts) VALUES ('rebuild')")
        connection.execute("ANALYZE")
        connection.commit()


def _datasette_row(row: Mapping[str, str]) -> tuple[str, ...]:
    key = f"{row['model']}/{row['version']}/{row['quantization']}"
    values = {**row, "tags": json.dumps(row["tags"].split(", "))}
    return (key, *(values[name] for name in _COLUMNS))


@contextlib.contextmanager
def mlflow(folder: Path, models: int, releases: int) -> Iterator[http_load.Server]:
    """MLflow's server with one worker. Raises NoPeer."""
    program = str(install(MLFLOW) / "mlflow")
    address = f"sqlite:///{folder / 'mlflow.db'}"
    made = subprocess.run(
        [program, "db", "upgrade", address], capture_output=True, text=True, check=False
    )
    if made.returncode != 0:
        raise NoPeer(made.stderr.strip().splitlines()[-1])
    _write_mlflow(folder / "mlflow.db", models, releases)
    port = http_load.free_port()
    command = [program, "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", address, "--uvicorn-opts", "--log-level warning"]
    command += ["--default-artifact-root", str(folder / "artifacts")]
    with http_load.server(command, port, "/health") as server:
        yield server


def _write_mlflow(database: Path, models: int, releases: int) -> None:
    rows = web_corpus.rows(models, releases)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        for name, versions in itertools.groupby(rows, lambda row: row["model"]):
            _write_model(connection, name, list(versions))
        connection.execute("ANALYZE")
        connection.commit()


def _write_model(connection: sqlite3.Connection, name: str, rows: list[dict[str, str]]) -> None:
    of_model = ("company", "base_model", "parameter_count", "license", "tags")
    first = rows[0]
    connection.execute(
        "INSERT INTO registered_models (name, creation_time, last_updated_time, description)"
        " VALUES (?, ?, ?, ?)",
        (name, _CREATED, _CREATED, first["description"]),
    )
    connection.executemany(
        "INSERT INTO registered_model_tags (key, value, name) VALUES (?, ?, ?)",
        [(tag, first[tag], name) for tag in of_model],
    )
    connection.executemany(
        "INSERT INTO model_versions (name, version, creation_time, last_updated_time, description,"
        " current_stage, source, status) VALUES (?, ?, ?, ?, ?, 'None', ?, 'READY')",
        [
            (name, number, _CREATED, _CREATED, row["release_notes"], f"/srv/models/{name}")
            for number, row in enumerate(rows, 1)
        ],
    )
    of_version = ("version", "quantization", "stage", *of_model, "release_notes")
    connection.executemany(
        "INSERT INTO model_version_tags (key, value, name, version) VALUES (?, ?, ?, ?)",
        [(tag, row[tag], name, number) for number, row in enumerate(rows, 1) for tag in of_version],
    )
