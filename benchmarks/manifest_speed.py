"""Cold `validate` beside check-jsonschema, warm `plan` after a one-file commit beside GTO.

check-jsonschema gets the same files, one call for each kind's schema; it checks no references between files, ours does.
GTO has no plan; its nearest question is `gto show`, the state of all artifacts, on as many git tags as there are
releases (at most 1,000: it needs seconds for those already).
"""

from __future__ import annotations

import itertools
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import corpus, peers, timing

OURS = [sys.executable, "-m", "registry_tool"]
KINDS = {
    "release": "releases/*/*/none.yaml",
    "artifactlock": "releases/*/*/none.lock.yaml",
    "model": "models/*.yaml",
}


def measure(manifests: int, rounds: int) -> list[timing.Measured]:
    """All sides on a fresh corpus."""
    with tempfile.TemporaryDirectory(prefix="registry-tool-bench-") as folder:
        root = corpus.write_corpus(Path(folder) / "registry", manifests)
        binaries = peers.install(Path(tempfile.gettempdir()) / "registry-tool-bench-peers")
        schemas = Path(__file__).parent.parent / "schemas"
        tags = _gto_repository(Path(folder) / "gto", min(1000, manifests // 2))
        edits = itertools.count()

        def forget() -> None:
            shutil.rmtree(root / ".git" / "registry-tool", ignore_errors=True)

        def edit() -> None:
            path = root / "manifests/models/model-00000.yaml"
            path.write_text(
                corpus.MODEL.format(model="model-00000").replace("benchmark]", f"b{next(edits)}]")
            )
            corpus.git(root, "commit", "--quiet", "--all", "--message", "Edit one file")

        def check_jsonschema() -> None:
            for kind, pattern in KINDS.items():
                files = [str(path) for path in sorted((root / "manifests").glob(pattern))]
                timing.run(
                    [
                        str(binaries / "check-jsonschema"),
                        "--schemafile",
                        str(schemas / f"{kind}.json"),
                        *files,
                    ],
                    root,
                )

        cold = timing.in_turn(
            [
                (
                    "registry-tool validate, cold",
                    forget,
                    lambda: timing.run([*OURS, "validate"], root),
                ),
                ("check-jsonschema, same files", lambda: None, check_jsonschema),
            ],
            rounds,
        )
        timing.run([*OURS, "plan"], root)
        warm = timing.in_turn(
            [
                (
                    "registry-tool validate, warm after one commit",
                    edit,
                    lambda: timing.run([*OURS, "validate"], root),
                ),
                (
                    "registry-tool plan, warm after one commit",
                    edit,
                    lambda: timing.run([*OURS, "plan"], root),
                ),
                (
                    f"gto show, {tags[1]} tags",
                    lambda: None,
                    lambda: timing.run([str(binaries / "gto"), "show"], tags[0]),
                ),
            ],
            rounds,
        )
        return cold + warm


def _gto_repository(root: Path, count: int) -> tuple[Path, int]:
    root.mkdir(parents=True)
    corpus.git(root, "init", "--quiet", "--initial-branch=main")
    (root / "artifacts.yaml").write_text(
        "".join(f"model-{n:05d}:\n  type: model\n  path: models/{n}\n" for n in range(count))
    )
    corpus.git(root, "add", "--all")
    corpus.git(root, "commit", "--quiet", "--message", "Artifacts")
    for number in range(count):
        corpus.git(root, "tag", "--annotate", "--message", "register", f"model-{number:05d}@v1.0.0")
    return root, count
