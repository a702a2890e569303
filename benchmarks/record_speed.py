"""From `git push` to the commit on the records branch, image time left out.

Each push changes the environment variables of one deployment whose release is built already. The server's hooks check
the push and start a reconcile, which renders the deployment to its branch and records it. One number is the whole way
as its user waits for it: from the start of `git push` until the records branch has moved.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import corpus, settling

OURS = [sys.executable, "-m", "registry_tool"]
RECORDS = "refs/heads/registry-records"
PATIENCE = 120.0
MODEL = """\
apiVersion: registry-tool/v1
kind: Model
metadata: {{name: shipped}}
spec:
  storage_path: {storage}
"""
RELEASE = """\
apiVersion: registry-tool/v1
kind: Release
spec:
  model: shipped
  version: 1.0.0
  template: {name: modelcar}
"""
ENVIRONMENT = """\
apiVersion: registry-tool/v1
kind: Environment
metadata: {name: production}
spec:
  target: {type: compose}
"""
DEPLOYMENT = """\
apiVersion: registry-tool/v1
kind: Deployment
metadata: {{name: search}}
spec:
  environment: production
  model: shipped
  version: 1.0.0
  env: {{ROUND: "{number}"}}
"""


@dataclass(frozen=True)
class Recorded:
    """Seconds of every push: until Git returned, and until it was recorded."""

    pushed: tuple[float, ...]
    recorded: tuple[float, ...]

    @property
    def p95(self) -> float:
        """The number to quote."""
        return percentile(self.recorded, 0.95)

    def report(self) -> str:
        """A Markdown table."""
        rows = [
            f"| {name} | {statistics.median(values):.3f} | {percentile(values, 0.95):.3f} | {max(values):.3f} |"
            for name, values in (("git push", self.pushed), ("recorded", self.recorded))
        ]
        return "\n".join(["| until | median s | p95 | max |", "|---|---|---|---|", *rows, ""])


def percentile(values: tuple[float, ...], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return next(value for rank, value in enumerate(ordered, 1) if rank >= share * len(ordered))


def measure(manifests: int, rounds: int) -> Recorded:
    """Push `rounds` times to a registry of about `manifests` files that is at rest."""
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as folder:
        clone, origin = _prepare(Path(folder), manifests)
        pushed, recorded = [], []
        for number in range(rounds + 1):
            _deploy(clone, number)
            before = _tip(origin)
            start = time.perf_counter()
            corpus.git(clone, "push", "--quiet", "origin", "main")
            returned = time.perf_counter() - start
            _wait_for_another(origin, before)
            if number:  # the first push fills the caches
                pushed.append(returned)
                recorded.append(time.perf_counter() - start)
        _wait_until_idle(origin)
        return Recorded(tuple(pushed), tuple(recorded))


def _prepare(folder: Path, manifests: int) -> tuple[Path, Path]:
    """A clone and its bare origin with server hooks; everything but the deployment is built and recorded."""
    clone, origin, storage = folder / "clone", folder / "origin.git", folder / "storage"
    storage.mkdir()
    (storage / "model.safetensors").write_bytes(b"weights of the benchmark" * 40)
    corpus.write_corpus(clone, manifests)
    settling.settle(clone)
    allowed = f"allowed: [/srv/models, {storage}]"
    registry = clone / "manifests/registry.yaml"
    registry.write_text(registry.read_text().replace("allowed: [/srv/models]", allowed))
    _write(clone / "manifests/models/shipped.yaml", MODEL.format(storage=storage))
    _write(clone / "manifests/releases/shipped/1.0.0/none.yaml", RELEASE)
    _write(clone / "manifests/environments/production.yaml", ENVIRONMENT)
    _run([*OURS, "lock", "shipped/1.0.0"], clone)
    corpus.git(clone, "add", "--all")
    corpus.git(clone, "commit", "--quiet", "--message", "Ship")
    corpus.git(folder, "clone", "--quiet", "--mirror", str(clone), str(origin))
    corpus.git(clone, "remote", "add", "origin", str(origin))
    _run([*OURS, "--repo", str(origin), "apply"], folder)
    _run([*OURS, "hooks", "install", "--server", str(origin)], folder)
    return clone, origin


def _deploy(clone: Path, number: int) -> None:
    path = clone / "manifests/deployments/production/search.yaml"
    _write(path, DEPLOYMENT.format(number=number))
    corpus.git(clone, "add", "--all")
    corpus.git(clone, "commit", "--quiet", "--message", f"Deploy {number}")


def _tip(origin: Path) -> str:
    command = ["git", "--git-dir", str(origin), "rev-parse", RECORDS]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _wait_for_another(origin: Path, before: str) -> None:
    end = time.monotonic() + PATIENCE
    while _tip(origin) == before:
        if time.monotonic() > end:
            log = (origin / "registry-tool/reconcile.log").read_text()
            raise RuntimeError(f"nothing was recorded in {PATIENCE:.0f} s:\n{log[-2000:]}")
        time.sleep(0.01)


def _wait_until_idle(origin: Path) -> None:
    """Until the reconcile in the background has ended, so that its files can be removed."""
    log = origin / "registry-tool/reconcile.log"
    end = time.monotonic() + PATIENCE
    while log.read_text().count(" started: ") != log.read_text().count(" finished with "):
        if time.monotonic() > end:
            raise RuntimeError("the reconcile in the background does not end")
        time.sleep(0.05)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} exited {done.returncode}:\n{done.stderr[-2000:]}")
