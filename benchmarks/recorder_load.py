"""The recorder under load: writers and a human on one branch, and a burst of results.

Run it as `python -m benchmarks.recorder_load --seconds 60`. Eight processes record as fast as they can while a human
pushes requests from a clone with plain git. Afterwards every record has to be there, every commit has to add to one
parent, and every tip that anybody was told of has to be behind the branch: nothing lost, nothing forced. Then 200
results come in 10 seconds and have to make at most 10 commits.
"""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import corpus
from registry_tool.builders.native import NativeBuilder
from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.domain.revisions import Revision
from registry_tool.oci.layout import LayoutStore
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.recording import Recording
from registry_tool.repository.lease import Lease
from registry_tool.repository.recorder import PendingRecord, Recorder
from registry_tool.repository.repository import Repository
from registry_tool.storage.storage import Storage

WRITERS = 8
RESULTS, BURST = 200, 10.0
KEY = "0123456789ab" + "c" * 52
REVISION = Revision("main", "0" * 40)


@dataclass(frozen=True)
class Load:
    """What was written, and what of it is there."""

    records: int
    requests: int
    refused: int
    """Pushes of the human that came too late and were repeated."""
    lost: int
    forced: int
    """Tips that are no longer behind the branch, and commits that do more than add to one parent."""
    burst_commits: int

    def report(self) -> str:
        """A few lines of Markdown."""
        return (
            f"- {WRITERS} writers: {self.records:,} records; a human: {self.requests:,} requests, "
            f"{self.refused:,} pushes repeated\n"
            f"- lost: {self.lost}, forced: {self.forced}\n"
            f"- {RESULTS} results in {BURST:.0f} s: {self.burst_commits} commits\n"
        )


def measure(seconds: float) -> Load:
    """All of it, in a scratch repository."""
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as folder:
        root = corpus.write_corpus(Path(folder) / "registry", 12)
        write(root, WRITERS, 0)
        clone = Path(folder) / "clone"
        branch = RECORDS_BRANCH.removeprefix("refs/heads/")
        corpus.git(Path(folder), "clone", "--quiet", "--branch", branch, str(root), str(clone))
        human = Human(clone, seconds)
        with ProcessPoolExecutor(WRITERS, multiprocessing.get_context("spawn")) as pool:
            human.start()
            tips = [*pool.map(write, [root] * WRITERS, range(WRITERS), [seconds] * WRITERS)]
        human.join()
        told = [tip for of_one in tips for tip in of_one]
        lost, forced = _verify(root, told, human.pushed)
        return Load(len(told), human.pushed, human.refused, lost, forced, _burst(root))


def write(root: Path, name: int, seconds: float) -> list[str]:
    """Record again and again for some seconds, at least once; the tips that the recorder told."""
    tips = []
    end = time.monotonic() + seconds
    with Repository.open(root) as repository:
        recorder = Recorder(repository, None)
        while not tips or time.monotonic() < end:
            record = PendingRecord(
                f"builds/writer-{name}/1.0.0/none", KEY, b"sequence: %d\n".__mod__
            )
            tips.append(str(recorder.append([record], {}, revision=REVISION).oid))
    return tips


class Human(threading.Thread):
    """Somebody who appends requests with plain git, and fetches when a push is refused."""

    def __init__(self, clone: Path, seconds: float) -> None:
        super().__init__()
        self._clone = clone
        self._seconds = seconds
        self.pushed = 0
        self.refused = 0

    def run(self) -> None:
        """Push every half a second."""
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            path = self._clone / f"requests/{self.pushed + 1:06d}-aaaaaaaaaaaa.yaml"
            path.parent.mkdir(exist_ok=True)
            path.write_text("kind: Request\n")
            corpus.git(self._clone, "add", "--all")
            corpus.git(self._clone, "commit", "--quiet", "--message", "Ask")
            while not self._push():
                self.refused += 1
                corpus.git(self._clone, "pull", "--quiet", "--rebase")
            self.pushed += 1
            time.sleep(0.5)

    def _push(self) -> bool:
        command = ["git", "-C", str(self._clone), "push", "--quiet"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


def _verify(root: Path, told: list[str], requests: int) -> tuple[int, int]:
    """How many records are missing, and how much was rewritten."""
    with Repository.open(root) as repository:
        builds = len(repository.tree(RECORDS_BRANCH, ["builds"]))
        lost = len(told) + 1 - builds
        lost += requests - len(repository.tree(RECORDS_BRANCH, ["requests"]))
        commits = list(repository.commits(RECORDS_BRANCH))
        reached = {info.oid for info in commits}
        forced = sum(tip not in reached for tip in told)
        forced += sum(len(info.parents) != 1 for info in commits[:-1])
        for info in commits:
            changes = repository.changed_paths(None, info.oid)
            forced += any(change.status != "A" for change in changes)
    return lost, forced


def _burst(root: Path) -> int:
    """How many commits many results in a short time make, at the pace of a real run."""
    with Repository.open(root) as repository, Lease.acquire(repository) as lease:
        effects = Effects(
            repository=repository,
            open_store=lambda _: LayoutStore(root / "store"),
            open_storage=Storage,
            builders={"native": NativeBuilder()},
            acquire_lease=lambda: lease,
        )
        before = len(list(repository.commits(RECORDS_BRANCH)))
        recording = Recording(effects, lease, REVISION, None)
        start = time.monotonic()
        for number in range(RESULTS):
            time.sleep(max(0.0, start + BURST * number / RESULTS - time.monotonic()))
            record = PendingRecord(
                f"builds/burst-{number}/1.0.0/none", KEY, b"sequence: %d\n".__mod__
            )
            recording.add(record)
        recording.flush()
        return len(list(repository.commits(RECORDS_BRANCH))) - before


def main() -> None:
    """Run and print; fails when a record is lost, something was forced or there are too many commits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recorder_load", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    load = measure(parser.parse_args().seconds)
    print(load.report())
    if load.lost or load.forced or load.burst_commits > BURST:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
