"""Cold `validate` beside check-jsonschema; warm `validate` and `plan` after a one-file commit.

check-jsonschema gets the same files, one call for each kind's schema; it checks no references between files, ours does.
GTO has no plan; its nearest question is `gto show`, the state of all artifacts, on as many git tags as there are
releases, at most 100: it needs seconds for those already, and minutes for 1,000. Peers are left out above 10,000
manifests.
"""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import corpus, peers, settling, timing

OURS = [sys.executable, "-m", "registry_tool"]
KINDS = {
    "release": "releases/*/*/none.yaml",
    "artifactlock": "releases/*/*/none.lock.yaml",
    "model": "models/*.yaml",
}
PEERS_UP_TO = 10_000
COLD = "registry-tool validate, cold"
COLD_PEER = "check-jsonschema, same files"
WARM_TREE = "registry-tool validate, warm after one commit"
WARM_COMMIT = "registry-tool validate --rev HEAD, warm after one commit"
WARM_PLAN = "registry-tool plan, warm after one commit"
START = "registry-tool --version"
GTO_TAGS, GTO_ROUNDS = 100, 2
PLAN_PEER = f"gto show, of {GTO_TAGS} git tags only"
PAIRS = [(COLD, COLD_PEER), (WARM_PLAN, PLAN_PEER)]
EXPLAINED = (
    "A fresh clone (packed objects) in which every release that has a lock is built and recorded. Whole processes, "
    "Python's start included. Cold has no cache; warm follows a commit that changed one Model.\n"
)

Side = tuple[str, Callable[[], None], Callable[[], None]]


def measure(manifests: int, rounds: int) -> tuple[list[timing.Measured], list[str]]:
    """All sides on a fresh corpus, and why any are missing."""
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as folder:
        root = corpus.write_corpus(Path(folder) / "registry", manifests)
        settling.settle(root)
        corpus.git(root, "repack", "-a", "-d", "--quiet")
        cold, warm = [_cold(root)], _warm(root)
        checks, shows, missing = _peers(root, Path(folder), manifests)
        measured = timing.in_turn([*cold, *checks], rounds)
        timing.run([*OURS, "plan"], root)
        measured += timing.in_turn(warm, max(rounds, 5))
        return measured + timing.in_turn(shows, min(rounds, GTO_ROUNDS)), missing


def _peers(root: Path, folder: Path, manifests: int) -> tuple[list[Side], list[Side], list[str]]:
    """Sides for the cold and for the warm part, and what is missing."""
    checks: list[Side] = []
    shows: list[Side] = []
    if manifests > PEERS_UP_TO:
        return checks, shows, [f"Peers are measured up to {PEERS_UP_TO:,} manifests."]
    missing = []
    try:
        program = peers.install(peers.CHECK_JSONSCHEMA) / "check-jsonschema"
        checks.append((COLD_PEER, _nothing, lambda: _check_jsonschema(program, root)))
    except peers.NoPeer as problem:
        missing.append(f"{peers.CHECK_JSONSCHEMA.title} is missing: {problem}")
    try:
        show = [str(peers.install(peers.GTO) / "gto"), "show"]
        tags = _gto_repository(folder / "gto", GTO_TAGS)
        shows.append((PLAN_PEER, _nothing, lambda: timing.run(show, tags)))
    except peers.NoPeer as problem:
        missing.append(f"{peers.GTO.title} is missing: {problem}")
    return checks, shows, missing


def _nothing() -> None:
    pass


def _cold(root: Path) -> Side:
    def forget() -> None:
        shutil.rmtree(root / ".git" / "registry-tool", ignore_errors=True)

    return COLD, forget, lambda: timing.run([*OURS, "validate"], root)


def _warm(root: Path) -> list[Side]:
    edits = itertools.count()

    def edit() -> None:
        path = root / "manifests/models/model-00000.yaml"
        path.write_text(
            corpus.MODEL.format(model="model-00000").replace("benchmark]", f"b{next(edits)}]")
        )
        corpus.git(root, "commit", "--quiet", "--all", "--message", "Edit one file")

    return [
        (WARM_TREE, edit, lambda: timing.run([*OURS, "validate"], root)),
        (WARM_COMMIT, edit, lambda: timing.run([*OURS, "validate", "--rev", "HEAD"], root)),
        (WARM_PLAN, edit, lambda: timing.run([*OURS, "plan"], root)),
        (START, _nothing, lambda: timing.run([*OURS, "--version"], root)),
    ]


def _check_jsonschema(program: Path, root: Path) -> None:
    schemas = Path(__file__).parent.parent / "schemas"
    for kind, pattern in KINDS.items():
        files = [str(path) for path in sorted((root / "manifests").glob(pattern))]
        command = [
            str(program),
            "--schemafile",
            str(schemas / f"{kind}.json"),
        ]
        timing.run([*command, *files], root)


def _gto_repository(root: Path, count: int) -> Path:
    root.mkdir(parents=True)
    corpus.git(root, "init", "--quiet", "--initial-branch=main")
    (root / "artifacts.yaml").write_text(
        "".join(f"model-{n:05d}:\n  type: model\n  path: models/{n}\n" for n in range(count))
    )
    corpus.git(root, "add", "--all")
    corpus.git(root, "commit", "--quiet", "--message", "Artifacts")
    for number in range(count):
        corpus.git(root, "tag", "--annotate", "--message", "register", f"model-{number:05d}@v1.0.0")
    return root
