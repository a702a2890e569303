"""The web index under load: `python -m benchmarks.web_speed [--models N --releases N]`.

One worker of `registry-tool serve` over a bare repository: cold start with its catalog, distinct questions one by one,
throughput of repeated and of distinct ones under wrk (a Debian package), a pushed edit until it is visible, and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

from benchmarks import http_load, web_corpus

RESULTS = Path(__file__).parent / "results"
FACETS = "facet=company&facet=base_model&facet=tags&facet=stage&facet=quantization"
API = "/api/v1"
_STEPS_BACK = 1000


def questions(models: int, count: int) -> dict[str, list[str]]:
    """Paths of distinct questions by what they ask."""
    chosen = random.Random(4)  # noqa: S311 - the same questions each time
    names = [web_corpus.model_name(chosen.randrange(models)) for _ in range(count)]
    companies = [f"Company%20{chosen.randrange(50)}" for _ in range(count)]
    return {
        "list with five facets": [
            f"{API}/releases?company={company}&{FACETS}&limit={50 + number}"
            for number, company in enumerate(companies)
        ],
        "search": [f"{API}/search?q={name}" for name in names],
        "model": [f"{API}/models/{name}" for name in names],
        "model page": [f"/models/{name}" for name in names],
    }


def measure(models: int, releases: int, seconds: int) -> list[tuple[str, str]]:
    """Everything, as rows of a table."""
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as folder:
        root = web_corpus.write_web_corpus(Path(folder) / "registry.git", models, releases)
        port = http_load.free_port()
        url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "registry_tool", "--repo", str(root)]
        command += ["serve", "--port", str(port), "--no-access-log"]
        began = time.perf_counter()
        with http_load.server(command, f"{url}/health") as process:
            rows = [("cold start, catalog included", f"{time.perf_counter() - began:.1f} s")]
            rows += _latencies(url, models)
            rows += _time_travel(root, url)
            rows += _throughput(url, models, seconds)
            rows.append(("a pushed edit is visible", f"{_visible(root, url, models):.2f} s"))
            rows.append(("memory of the worker", f"{http_load.resident(process.pid) >> 20} MiB"))
    return rows


def _latencies(url: str, models: int) -> list[tuple[str, str]]:
    rows = []
    for name, paths in questions(models, 200).items():
        measured = http_load.latencies(url, paths)
        rows.append((f"{name}, p95 of {len(paths)}", f"{1000 * http_load.p95(measured):.1f} ms"))
    return rows


def _time_travel(root: Path, url: str) -> list[tuple[str, str]]:
    found = subprocess.run(
        ["git", "-C", str(root), "rev-parse", f"main~{_STEPS_BACK}"],
        check=True,
        capture_output=True,
        text=True,
    )
    path = f"{API}/models?at={found.stdout.strip()}"
    first, second = (http_load.latencies(url, [f"{path}&limit={n}"])[0] for n in (50, 51))
    return [
        (f"?at= {_STEPS_BACK:,} commits back, first", f"{first:.2f} s"),
        (f"?at= {_STEPS_BACK:,} commits back, again", f"{1000 * second:.1f} ms"),
    ]


def _throughput(url: str, models: int, seconds: int) -> list[tuple[str, str]]:
    if not http_load.has_wrk():
        return [("requests under wrk", "wrk is not installed")]
    repeated = http_load.wrk(f"{url}{API}/releases?{FACETS}", seconds)
    distinct = questions(models, 20_000)["model"]
    varied = http_load.wrk(url, seconds, distinct)
    return [
        ("repeated list with facets", f"{repeated.requests_per_second:,.0f} requests/s"),
        ("distinct models", f"{varied.requests_per_second:,.0f} requests/s"),
    ]


def _visible(root: Path, url: str, models: int) -> float:
    """Seconds from the end of a push to the answer that has it."""
    web_corpus.push_edit(root, models, 1)
    pushed = time.perf_counter()
    head = (root / "refs/heads/main").read_text().strip()
    _wait(lambda: _revision(url).endswith(head))
    return time.perf_counter() - pushed


def _revision(url: str) -> str:
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request("GET", "/health")
    revision: str = json.load(connection.getresponse())["revision"]
    connection.close()
    return revision


def _wait(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web_speed", description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--releases", type=int, default=10, help="of each model")
    parser.add_argument("--seconds", type=int, default=10, help="under load")
    options = parser.parse_args()
    rows = measure(options.models, options.releases, options.seconds)
    total = options.models * options.releases
    lines = [
        f"# Web index, {total:,} releases",
        "",
        f"{os.cpu_count()} processors, one worker, {http_load.CONNECTIONS} connections.",
        "",
        "| What | Measured |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
    ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"web-{total}.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
