"""`python -m benchmarks`: run all benchmarks beside their peers and write benchmarks/results/."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import manifest_speed, timing

RESULTS = Path(__file__).parent / "results"


def table(title: str, rows: list[timing.Measured], pairs: list[tuple[str, str]]) -> str:
    """A Markdown section: medians with their range, then ratios."""
    lines = [f"## {title}", "", "| command | median s | min | max |", "|---|---|---|---|"]
    lines += [
        f"| {row.name} | {row.median:.3f} | {min(row.seconds):.3f} | {max(row.seconds):.3f} |"
        for row in rows
    ]
    medians = {row.name: row.median for row in rows}
    lines += [
        "",
        *(
            f"- {ours} : {theirs} = 1 : {medians[theirs] / medians[ours]:.1f}"
            for ours, theirs in pairs
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--manifests", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rows = manifest_speed.measure(options.manifests, options.rounds)
    names = [row.name for row in rows]
    text = (
        f"# Manifests\n\n{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"{options.rounds} rounds in turn.\n\n"
        + table(
            f"{options.manifests:,} manifests", rows, [(names[0], names[1]), (names[3], names[4])]
        )
    )
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"manifests-{options.manifests}.md"
    target.write_text(text)
    print(text)
    print(f"written to {target}")


if __name__ == "__main__":
    main()
