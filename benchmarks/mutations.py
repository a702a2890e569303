"""Bad input: manifests with mistakes of every sort, and how often a diagnostic is at the very place.

Run it as `python -m benchmarks.mutations --count 100000`. Three in four mutants have one mistake whose place is known,
because it is where the text was edited; the others are damaged in several places, and only must not crash anything.
The mutants are those of the tests, of which this runs more.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "manifests"))

from manifests_mutants import Mutant, mutants

from registry_tool.cli.formats.text import format_diagnostics
from registry_tool.manifests.validating import Invalid, read_manifest

CHUNK = 500
SHOWN = 5


@dataclass
class Found:
    """What became of mutants, by the name of the mistake."""

    made: Counter[str] = field(default_factory=Counter)
    valid: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    crashed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """Take in what another process found."""
        self.made += other.made
        self.valid += other.valid
        self.told += other.told
        self.crashed += other.crashed
        self.wrong += other.wrong

    def report(self) -> str:
        """A Markdown table, and the shares that count."""
        lines = ["| mistake | mutants | still valid | right line and column |", "|---|---|---|---|"]
        known = sorted(name for name in self.made if name != "damage")
        for name in known:
            errors = self.made[name] - self.valid[name]
            share = f"{100 * self.told[name] / errors:.2f} %" if errors else ""
            lines.append(f"| {name} | {self.made[name]:,} | {self.valid[name]:,} | {share} |")
        errors = sum(self.made[name] - self.valid[name] for name in known)
        told = sum(self.told[name] for name in known)
        total = sum(self.made.values())
        lines += [
            "",
            f"- {total:,} mutants, {len(self.crashed):,} tracebacks ({100 * len(self.crashed) / total:.3f} %)",
            f"- {errors:,} errors at a known place, {100 * told / errors:.3f} % on the right line and column",
        ]
        return "\n".join([*lines, ""])


def examine(seed: int, count: int) -> Found:
    """Read the mutants of one seed."""
    found = Found()
    for mutant in mutants(seed, count):
        found.made[mutant.name] += 1
        try:
            _examine(mutant, found)
        except Exception:
            found.crashed.append(f"{mutant.data!r}\n{traceback.format_exc()}")
    return found


def _examine(mutant: Mutant, found: Found) -> None:
    result = read_manifest("manifests/x.yaml", mutant.data)
    if not isinstance(result, Invalid):
        found.valid[mutant.name] += 1
        if not mutant.may_be_valid and mutant.place is not None:
            found.wrong.append(f"{mutant.name}: accepted\n{mutant.data!r}")
        return
    format_diagnostics(result.diagnostics, color=False)
    if any(mutant.is_at(entry.span.line, entry.span.column) for entry in result.diagnostics):
        found.told[mutant.name] += 1
    elif mutant.place is not None:
        places = [(entry.span.line, entry.span.column, entry.code) for entry in result.diagnostics]
        found.wrong.append(f"{mutant.name}: at {mutant.place}, told {places}\n{mutant.data!r}")


def measure(count: int) -> Found:
    """Examine so many mutants on all processors; always the same ones."""
    found = Found()
    chunks = range(0, count, CHUNK)
    with ProcessPoolExecutor(os.cpu_count() or 1) as pool:
        for part in pool.map(examine, chunks, [min(CHUNK, count - start) for start in chunks]):
            found.add(part)
    return found


def main() -> None:
    """Run and print; fails when something crashed, or too many mistakes are shown elsewhere."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutations", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    found = measure(parser.parse_args().count)
    for text in [*found.crashed[:SHOWN], *found.wrong[:SHOWN]]:
        print(text, end="\n\n")
    print(found.report())
    sys.exit(1 if found.crashed or len(found.wrong) > sum(found.made.values()) / 100 else 0)


if __name__ == "__main__":
    main()
