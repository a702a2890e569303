"""`python -m benchmarks [NAME…]`: run benchmarks beside their peers and write benchmarks/results/."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import (
    catalog_speed,
    manifest_speed,
    mutations,
    record_speed,
    recorder_load,
    timing,
    web_speed,
    weights_speed,
)

RESULTS = Path(__file__).parent / "results"
NAMES = ("manifests", "weights", "catalog", "web", "records", "mutations")
OF_EACH_MODEL = 20
"""Releases, in the corpus of the catalog and of the web index."""


def table(title: str, rows: list[timing.Measured], pairs: list[tuple[str, str]]) -> str:
    """A Markdown section: medians with their range, then ratios."""
    lines = [
        f"## {title}",
        "",
        "| command | median s | min | max | processor s |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.name} | {row.median:.3f} | {min(row.seconds):.3f} | {max(row.seconds):.3f} "
        f"| {row.median_cpu:.3f} |"
        for row in rows
    ]
    named = {row.name: row for row in rows}
    lines.append("")
    for ours, theirs in pairs:
        if ours in named and theirs in named:
            mine, other = named[ours], named[theirs]
            time, cpu = other.median / mine.median, other.median_cpu / mine.median_cpu
            lines.append(f"- {ours} : {theirs} = 1 : {time:.1f} (processor time 1 : {cpu:.1f})")
    return "\n".join([*lines, ""])


def manifests(options: argparse.Namespace) -> str:
    """Validating and planning."""
    rows, missing = manifest_speed.measure(options.manifests, options.rounds)
    load = os.getloadavg()[1]
    head = (
        f"# Manifests\n\n{_machine()}, {options.rounds} rounds in turn, "
        f"load average {load:.1f}.\n\n{manifest_speed.EXPLAINED}\n"
    )
    shown = table(f"{options.manifests:,} manifests", rows, manifest_speed.PAIRS)
    return head + shown + "".join(f"- {line}\n" for line in missing)


def weights(options: argparse.Namespace) -> str:
    """Publishing into a registry."""
    result = weights_speed.measure(options.gib)
    return f"# Weights\n\n{_machine()}, one round.\n\n{weights_speed.report(result)}"


def catalog(options: argparse.Namespace) -> str:
    """The projection behind the web index, in one process."""
    models = _models(options)
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as folder:
        rows = catalog_speed.measure(models, OF_EACH_MODEL, Path(folder))
    load = os.getloadavg()[0]
    head = f"# Catalog\n\n{_machine()}, load average {load:.1f} at the end.\n\n"
    return head + catalog_speed.report(rows, models, OF_EACH_MODEL)


def web(options: argparse.Namespace) -> str:
    """The web index over HTTP."""
    measured = web_speed.measure(_models(options), OF_EACH_MODEL, options.seconds)
    return f"# Web index\n\n{_machine()}.\n\n{web_speed.EXPLAINED}\n{measured}"


def records(options: argparse.Namespace) -> str:
    """From a push to its record, and the recorder under load."""
    recorded = record_speed.measure(options.manifests, options.pushes)
    load = os.getloadavg()[1]
    under_load = recorder_load.measure(options.writing)
    return (
        f"# Records\n\n{_machine()}, load average {load:.1f}.\n\n"
        f"## {options.pushes} pushes to {options.manifests:,} manifests\n\n{recorded.report()}\n"
        f"## {options.writing:g} seconds of writing\n\n{under_load.report()}"
    )


def mutants(options: argparse.Namespace) -> str:
    """Bad manifests."""
    return f"# Mutations\n\n{_machine()}.\n\n{mutations.measure(options.mutants).report()}"


def _models(options: argparse.Namespace) -> int:
    return max(1, options.releases // OF_EACH_MODEL)


def _machine() -> str:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return f"{today}, {os.cpu_count()} processors, Python {platform.python_version()}"


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--manifests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--gib", type=float, default=2.0, help="of weights")
    parser.add_argument("--releases", type=int, default=100_000, help="of catalog and web")
    parser.add_argument("--seconds", type=int, default=5, help="of each load on a server")
    parser.add_argument("--pushes", type=int, default=20, help="of records")
    parser.add_argument("--writing", type=float, default=60.0, help="seconds of records")
    parser.add_argument("--mutants", type=int, default=100_000, help="of mutations")
    options = parser.parse_args()
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    releases = _models(options) * OF_EACH_MODEL
    sides = {
        "manifests": (f"manifests-{options.manifests}.md", manifests),
        "weights": ("weights.md", weights),
        "catalog": (f"catalog-{releases}.md", catalog),
        "web": (f"web-{releases}.md", web),
        "records": ("records.md", records),
        "mutations": ("mutations.md", mutants),
    }
    RESULTS.mkdir(exist_ok=True)
    for name in options.names or NAMES:
        file, measure = sides[name]
        text = measure(options)
        (RESULTS / file).write_text(text)
        print(text)
        print(f"written to {RESULTS / file}")


if __name__ == "__main__":
    main()
