"""The web index beside Datasette and MLflow's model registry, with the same releases on the same machine.

One worker of `registry-tool serve` over a bare repository, one of `mlflow server`, one Datasette. All run at the same
time, and each question is put to one after the other, so that a change of the machine's speed touches all alike.
Latencies are of distinct questions over one connection; requests per second are counted by wrk, a Debian package.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import http_load, keeping, peers, web_corpus, web_peers
from benchmarks.http_load import Server
from benchmarks.web_questions import API, DATASETTE, MLFLOW, OURS, Questions, Side

EXPLAINED = (
    "One worker of each, all at the same time, each asked in turn: distinct questions one by one over one connection, "
    "then load by wrk. Of questions there are median / p95 / processor time of the worker for each; of loads, requests "
    "per second / per second of the worker's processor time, which others on the machine change little. MLflow has no "
    "facets and no search of words: its list filters by the same two tags, its search is a pattern on a tag. "
    "Datasette's time limits are lifted, so that it leaves out no facet.\n"
)
OWN = "registry-tool"
_STEPS_BACK = 1000
_EDITS = 10
_ASKED = 200
"""Distinct questions of a kind."""
_BUDGET = 20.0
"""Seconds after which a slow side is asked no more."""
_STORED = 30_000
"""Distinct releases that wrk walks through."""


@dataclass
class Table:
    """Values by what was measured, then by side."""

    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    ratios: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def put(self, what: str, side: str, value: str) -> None:
        """Fill one cell."""
        self.rows.setdefault(what, {})[side] = value


@dataclass(frozen=True)
class Asked:
    """A server that runs, and how it is asked."""

    name: str
    server: Server
    words: Side


def measure(models: int, releases: int, seconds: int) -> str:
    """Everything, as Markdown."""
    table = Table()
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as name:
        folder = Path(name)
        with contextlib.ExitStack() as stack:
            root = _corpus(folder, models, releases)
            ours = stack.enter_context(_ours(root, table))
            sides = [Asked(OWN, ours, OURS), *_peers(stack, folder, models, releases, table)]
            for side in sides:
                http_load.rest(side.server)
            questions = Questions(models, releases)
            _latencies(table, sides, questions)
            _own_pages(table, ours, questions)
            _time_travel(table, root, ours)
            load.append(os.getloadavg()[0])
            _throughput(table, sides, questions, seconds)
            _visible(table, root, ours, models)
            for side in sides:
                pid = side.server.worker()
                now, most = http_load.resident(pid) >> 20, http_load.most_resident(pid) >> 20
                table.put("memory of the worker after all this", side.name, f"{now} MiB")
                table.put("its most", side.name, f"{most} MiB")
    load.append(os.getloadavg()[0])
    return _markdown(table, [side.name for side in sides], load, models * releases)


# --- The sides ---


def _corpus(folder: Path, models: int, releases: int) -> Path:
    sources = [Path(web_corpus.__file__), Path(web_corpus.__file__).with_name("corpus.py")]
    return keeping.kept(
        f"web-{models}x{releases}",
        sources,
        lambda root: web_corpus.write_web_corpus(root, models, releases),
        folder / "registry.git",
    )


@contextlib.contextmanager
def _ours(root: Path, table: Table) -> Iterator[Server]:
    """The index, started without anything, and again with its catalog."""
    began = time.perf_counter()
    with _serve(root):
        taken = time.perf_counter() - began
    table.put("start and catalog of all releases, from nothing", OWN, f"{taken:.1f} s")
    began = time.perf_counter()
    with _serve(root) as server:
        taken = time.perf_counter() - began
        table.put("start when the catalog is there", OWN, f"{taken:.1f} s")
        yield server


@contextlib.contextmanager
def _serve(root: Path) -> Iterator[Server]:
    port = http_load.free_port()
    command = [sys.executable, "-m", "registry_tool", "--repo", str(root)]
    command += ["serve", "--port", str(port), "--no-access-log"]
    with http_load.server(command, port, "/health") as server:
        yield server


def _peers(
    stack: contextlib.ExitStack, folder: Path, models: int, releases: int, table: Table
) -> Iterator[Asked]:
    for peer, serve, words in (
        (peers.DATASETTE, web_peers.datasette, DATASETTE),
        (peers.MLFLOW, web_peers.mlflow, MLFLOW),
    ):
        try:
            server = stack.enter_context(serve(folder, models, releases))
        except peers.NoPeer as problem:
            table.notes.append(f"{peer.title} is missing, it could not be had: {problem}")
        else:
            yield Asked(peer.title, server, words)


# --- The questions ---


def _latencies(table: Table, sides: Sequence[Asked], questions: Questions) -> None:
    companies = questions.companies()[:_ASKED]
    words = questions.words()[:_ASKED]
    keys = questions.keys(_ASKED)
    for what, paths in (
        ("list with 3 facets", lambda words_of: [words_of.listed(*pair) for pair in companies]),
        ("search by words", lambda words_of: [words_of.searched(text) for text in words]),
        ("one release", lambda words_of: [words_of.shown(key) for key in keys]),
    ):
        _compare(table, sides, f"{what}, distinct", paths)


def _compare(
    table: Table, sides: Sequence[Asked], what: str, paths: Callable[[Side], list[str]]
) -> None:
    found = {}
    for side in sides:
        measured = http_load.latencies(side.server, paths(side.words), _BUDGET)
        found[side.name] = measured
        table.put(what, side.name, _times(measured))
    mine = found[OWN]
    for name, other in found.items():
        if name != OWN:
            table.ratios.append(
                f"{what}: {OWN} : {name} = 1 : {other.p95 / mine.p95:.1f} by p95, "
                f"1 : {other.processor_each / mine.processor_each:.1f} by processor time"
            )


def _times(measured: http_load.Latencies) -> str:
    """Median, p95 and processor time of one."""
    each = (measured.median, measured.p95, measured.processor_each)
    return " / ".join(f"{1000 * value:.1f}" for value in each) + " ms"


def _own_pages(table: Table, ours: Server, questions: Questions) -> None:
    keys = questions.keys(_ASKED)
    for what, paths in {
        "search over all kinds, distinct": [f"{API}/search?q={key.names['model']}" for key in keys],
        "page of a release, distinct": [f"/releases/{key.key}" for key in keys],
        "page of a model, distinct": [
            f"/models/{name}" for name in sorted({key.names["model"] for key in keys})
        ],
        "page of the list of releases, distinct": [
            f"/releases?model={name}" for name in sorted({key.names["model"] for key in keys})
        ],
        "dashboard": ["/"] * 20,
    }.items():
        measured = http_load.latencies(ours, paths, _BUDGET)
        table.put(what, OWN, _times(measured))


def _time_travel(table: Table, root: Path, ours: Server) -> None:
    commit = _git(root, "rev-parse", f"main~{_STEPS_BACK}")
    path = f"{API}/releases?at={commit}&limit="
    first = http_load.latencies(ours, [f"{path}20"]).median
    again = http_load.latencies(ours, [f"{path}{number}" for number in range(21, 71)])
    named = http_load.latencies(
        ours, [f"{API}/models?at=main~{_STEPS_BACK}&limit={number}" for number in range(1, 51)]
    )
    table.put(f"`?at=` {_STEPS_BACK:,} commits back, first", OWN, f"{first:.2f} s")
    what = f"`?at=` {_STEPS_BACK:,} commits back, again"
    table.put(what, OWN, _times(again))
    what = f"`?at=main~{_STEPS_BACK}`, distinct"
    table.put(what, OWN, _times(named))


def _throughput(table: Table, sides: Sequence[Asked], questions: Questions, seconds: int) -> None:
    if not http_load.has_wrk():
        table.notes.append("No requests per second: wrk is not installed (apt-get install wrk).")
        return
    company = questions.companies()[0]
    distinct = questions.keys(_STORED)
    for what, paths in (
        ("repeated list with 3 facets, requests", lambda words: [words.listed(*company)]),
        ("repeated release, requests", lambda words: [words.shown(distinct[0])]),
        ("distinct releases, requests", lambda words: [words.shown(key) for key in distinct]),
    ):
        _compare_rates(table, sides, what, paths, seconds)
    ours = sides[0].server
    for what, path in {
        "repeated list with 3 facets, `?at=main`, requests": OURS.listed(*company) + "&at=main",
        "repeated page of a release, requests": f"/releases/{distinct[0].key}",
        "repeated dashboard, requests": "/",
    }.items():
        table.put(what, OWN, _rate(http_load.wrk(ours, [path], seconds)))


def _compare_rates(
    table: Table,
    sides: Sequence[Asked],
    what: str,
    paths: Callable[[Side], list[str]],
    seconds: int,
) -> None:
    found = {}
    for side in sides:
        load = http_load.wrk(side.server, paths(side.words), seconds)
        found[side.name] = load
        table.put(what, side.name, _rate(load))
    mine = found[OWN]
    for name, other in found.items():
        if name != OWN:
            table.ratios.append(
                f"{what}: {OWN} : {name} = "
                f"{mine.requests_per_second / other.requests_per_second:.1f} : 1 by requests per second, "
                f"{mine.per_processor_second / other.per_processor_second:.1f} : 1 by requests per processor second"
            )


def _rate(load: http_load.Load) -> str:
    return f"{load.requests_per_second:,.0f} / {load.per_processor_second:,.0f}"


def _visible(table: Table, root: Path, ours: Server, models: int) -> None:
    """Seconds from the end of a push to the first answer that has it."""
    taken = []
    for number in range(_EDITS):
        web_corpus.push_edit(root, models, 31 * number + 1)
        pushed = time.perf_counter()
        head = _git(root, "rev-parse", "main")
        while not json.loads(http_load.get(ours, "/health"))["revision"].endswith(head):
            assert time.perf_counter() - pushed < 60, "a push does not appear"
            time.sleep(0.005)
        taken.append(time.perf_counter() - pushed)
    table.put(f"one-file push until visible, most of {_EDITS}", OWN, f"{max(taken):.2f} s")


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


# --- The result ---


def _markdown(table: Table, names: Sequence[str], load: Sequence[float], total: int) -> str:
    loads = ", ".join(f"{value:.1f}" for value in load)
    lines = [
        f"Load average {loads} (at the beginning, before wrk, at the end); "
        f"{http_load.CONNECTIONS} connections under wrk.",
        "",
        f"## {total:,} releases",
        "",
        f"| what | {' | '.join(names)} |",
        f"|---|{'---|' * len(names)}",
    ]
    for what, values in table.rows.items():
        lines.append(f"| {what} | {' | '.join(values.get(name, '') for name in names)} |")
    return "\n".join([*lines, "", *(f"- {line}" for line in (*table.ratios, *table.notes)), ""])
