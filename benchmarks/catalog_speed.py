"""The catalog behind the web index at many releases: built, changed, asked, and taken back in time.

Run it as `python -m benchmarks.catalog_speed`. One process builds and changes, as an updater does; another one asks, as
a worker does. Questions are asked once each, so that nothing but what a process keeps between requests is warm.
`web_speed` asks over HTTP.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks import web_corpus
from registry_tool.catalog.files import Catalogs
from registry_tool.catalog.listing import ListQuery, Range
from registry_tool.reconcile.projecting import CatalogUpdater
from registry_tool.repository.blob_cache import BlobCache
from registry_tool.repository.repository import Repository

RESULTS = Path(__file__).parent / "results"
_FACETS = ("company", "tags", "quantization")


class Run(NamedTuple):
    """Milliseconds of one run: on the clock, and of processors, those of processes that it started included."""

    clock: float
    processor: float


@dataclass(frozen=True)
class Row:
    """Several runs of one thing."""

    name: str
    runs: tuple[Run, ...]
    note: str = ""

    def cells(self) -> str:
        """For a table."""
        clock, processor = (sorted(values) for values in zip(*self.runs, strict=True))
        return (
            f"{len(self.runs)} | {statistics.median(clock):.1f} | {_p95(clock):.1f} "
            f"| {clock[-1]:.1f} | {_p95(processor):.1f}"
        )


def _p95(ordered: Sequence[float]) -> float:
    """What 95 of 100 stay below."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


class Measured(NamedTuple):
    """All that was measured."""

    rows: list[Row]
    memory: list[tuple[str, float]]
    """Peaks of processes in MB."""


def measure(models: int, releases: int, folder: Path) -> Measured:
    """All parts, on a fresh corpus below `folder`."""
    root = web_corpus.write_web_corpus(folder / "registry.git", models, releases)
    with Repository.open(root) as repository, BlobCache(folder / "blobs.sqlite") as cache:
        catalogs = Catalogs(folder / "catalog")
        jobs = os.cpu_count() or 1
        updater = CatalogUpdater(repository, catalogs, cache, jobs=jobs)
        rows = list(_updates(updater, catalogs, root, models))
        catalogs.close()
    memory = [("that did this", _peak())]
    # A process of its own, so that its memory is that of a worker.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        answered, peak = pool.submit(_answers, catalogs.directory, models).result()
    memory.append(("that asked", peak))
    return Measured([*rows, *answered], memory)


def _peak() -> float:
    """Peak memory in MB; what `resource` tells of a new process begins with the memory of the one that started it."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if "VmHWM" in line)


def _answers(directory: Path, models: int) -> tuple[list[Row], float]:
    catalogs = Catalogs(directory)
    rows = list(_questions(catalogs, models))
    catalogs.close()
    return rows, _peak()


def _updates(updater: CatalogUpdater, catalogs: Catalogs, root: Path, models: int) -> Iterator[Row]:
    yield _timed("cold build, nothing parsed before", [updater.refresh])
    current = (catalogs.directory / "current").read_text()
    size = (catalogs.directory / current).stat().st_size
    (catalogs.directory / "current").unlink()
    note = f"{size / 1e6:.0f} MB"
    yield _timed("cold build, manifests in the cache", [updater.refresh], note)
    yield _timed("look when nothing has changed", [updater.refresh] * 50)
    edits = []
    for number in range(15):
        web_corpus.push_edit(root, models, 7 * number + 1)
        edits.append(_run(updater.refresh))
    yield Row("one-file push until visible", tuple(edits))
    yield _timed("?at= 1,000 commits back, the first time", [lambda: updater.at("main~1000")])
    yield _timed("?at= 1 commit further", [lambda: updater.at("main~1001")])


def _questions(catalogs: Catalogs, models: int) -> Iterator[Row]:
    names = [f"Company {number}" for number in range(200)]
    stages = ("released", "candidate")
    lists = [
        ListQuery("releases", {"company": (name,), "stage": (stage,)}, facets=_FACETS)
        for name, stage in itertools.product(names, stages)
    ]
    lists += [
        ListQuery("releases", {"tags": (tag,)}, facets=_FACETS, sort=(sort,))
        for tag in ("chat", "code", "speech", "vision")
        for sort in ("name", "-created", "-size", "-updated")
    ]
    lists += [
        ListQuery("releases", ranges={"parameter_count": Range(low * 1e9, None)}, facets=_FACETS)
        for low in range(1, 40)
    ]
    yield _timed("list of releases with 3 facets, distinct", [_list(catalogs, q) for q in lists])
    words = [f"{word} {number}" for word in ("llama", "decoding", "chat") for number in range(30)]
    searched = [ListQuery("releases", q=q, facets=_FACETS) for q in words]
    yield _timed("list by words with 3 facets, distinct", [_list(catalogs, q) for q in searched])
    yield _timed("search over all kinds, distinct", [_search(catalogs, q) for q in words])
    wide = ("faster", "better answers", "llama", "a")
    yield _timed("search that matches very many", [_search(catalogs, q) for q in wide])
    keys = [
        "{model}/{version}/{quantization}".format(**web_corpus.release_names(number, 3))
        for number in range(0, models, max(1, models // 200))
    ]
    yield _timed("one release", [_get(catalogs, key) for key in keys])
    yield _timed("numbers of the dashboard", [_dashboard(catalogs)] * 5)


def _list(catalogs: Catalogs, query: ListQuery) -> Callable[[], object]:
    def ask() -> bytes:
        with catalogs.open() as catalog:
            return catalog.page(query).to_json()

    return ask


def _search(catalogs: Catalogs, q: str) -> Callable[[], object]:
    def ask() -> object:
        with catalogs.open() as catalog:
            return catalog.search(q)

    return ask


def _get(catalogs: Catalogs, key: str) -> Callable[[], object]:
    def ask() -> object:
        with catalogs.open() as catalog:
            found = catalog.get("releases", key)
        assert found is not None
        return found

    return ask


def _dashboard(catalogs: Catalogs) -> Callable[[], object]:
    def ask() -> object:
        with catalogs.open() as catalog:
            totals = catalog.about(), catalog.storage_totals(), catalog.storage(limit=20)
            return totals, catalog.timeline(), catalog.build_durations()

    return ask


def _run(work: Callable[[], object]) -> Run:
    start, spent = time.perf_counter(), _processor()
    work()
    return Run((time.perf_counter() - start) * 1000, (_processor() - spent) * 1000)


def _processor() -> float:
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def _timed(name: str, work: Sequence[Callable[[], object]], note: str = "") -> Row:
    return Row(name, tuple(map(_run, work)), note)


def report(measured: Measured, models: int, releases: int) -> str:
    """A Markdown table."""
    lines = [
        f"## {models * releases:,} releases of {models:,} models",
        "",
        "| what | runs | median ms | p95 ms | max ms | p95 ms of CPU | |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| {row.name} | {row.cells()} | {row.note} |" for row in measured.rows]
    lines += [
        "",
        *(f"Peak memory of the process {what}: {peak:.0f} MB." for what, peak in measured.memory),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog_speed", description=__doc__)
    parser.add_argument("--models", type=int, default=5_000)
    parser.add_argument("--releases", type=int, default=20, help="of each model")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as folder:
        before = os.getloadavg()[0]
        measured = measure(options.models, options.releases, Path(folder))
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}"
    load = f"load average {before:.1f} at the beginning and {os.getloadavg()[0]:.1f} at the end"
    text = f"# Catalog\n\n{datetime.now(UTC):%Y-%m-%d}, {machine}, {load}.\n\n"
    text += report(measured, options.models, options.releases)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"catalog-{options.models * options.releases}.md"
    target.write_text(text)
    print(text)
    print(f"written to {target}")


if __name__ == "__main__":
    main()
