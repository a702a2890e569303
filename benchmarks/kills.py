"""`python -m benchmarks.kills [--kills N]`: `apply` is killed at random moments until it has ended once.

Each round starts from a copy of one repository, kills `apply` (SIGKILL, its whole process group) a few times after
random waits, lets the last one end, and compares what is left with an uninterrupted run: images, rendered branches,
and for each key exactly one record of success. Exits with 1 at the first difference and keeps the repository.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.corpus import git

RELEASES = 4
DEPLOYMENTS = ("staging", "production")
FILES = 3
FILE_SIZE = 512 << 10
KILLS_A_ROUND = 4
_APPLY = (sys.executable, "-m", "registry_tool", "--quiet", "apply")
_HEAD = "apiVersion: registry-tool/v1\nkind: "


@dataclass(frozen=True)
class EndState:
    """All that an uninterrupted run determines; nothing with a time in it."""

    images: tuple[tuple[str, str], ...]
    rendered: tuple[str, ...]
    builds: tuple[tuple[str, str, str], ...]
    deployments: tuple[tuple[str, str, str], ...]


def write_repository(root: Path, storage: Path) -> None:
    """Releases that are locked and deployed, committed, nothing built."""
    chosen = random.Random(5)  # noqa: S311 - the same bytes each time
    files = {
        "manifests/registry.yaml": f"{_HEAD}Registry\nmetadata: {{name: kills}}\n"
        f"spec: {{storage: {{allowed: ['{storage}']}}}}\n",
        "manifests/models/m.yaml": f"{_HEAD}Model\nmetadata: {{name: m}}\n"
        f"spec: {{storage_path: '{storage}/m'}}\n",
        "build_templates/modelcar/template.yaml": f"{_HEAD}BuildTemplate\n"
        "metadata: {name: modelcar}\nspec: {image: {base: scratch}}\n",
    }
    for number in range(RELEASES):
        folder = storage / "m" / f"1.{number}.0"
        folder.mkdir(parents=True)
        for part in range(FILES):
            (folder / f"part-{part}.safetensors").write_bytes(chosen.randbytes(FILE_SIZE))
        files[f"manifests/releases/m/1.{number}.0/none.yaml"] = (
            f"{_HEAD}Release\nspec: {{model: m, version: 1.{number}.0,"
            f" storage_path: '{folder}', template: {{name: modelcar}}}}\n"
        )
    for number, environment in enumerate(DEPLOYMENTS):
        files[f"manifests/environments/{environment}.yaml"] = (
            f"{_HEAD}Environment\nmetadata: {{name: {environment}}}\n"
            "spec: {target: {type: compose}}\n"
        )
        files[f"manifests/deployments/{environment}/search.yaml"] = (
            f"{_HEAD}Deployment\nmetadata: {{name: search}}\nspec: {{environment: {environment},"
            f" model: m, version: 1.{number}.0}}\n"
        )
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(root, "init", "--quiet", "--initial-branch=main")
    _commit(root, "Add releases")
    command = [*_APPLY[:3], "lock", *(f"m/1.{number}.0" for number in range(RELEASES))]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    _commit(root, "Lock them")


def _commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


def end_state(root: Path) -> EndState:
    """What is in the store, on the rendered branches and in the records."""
    store = root / ".git/registry-tool/store/m"
    index = yaml.safe_load((store / "index.json").read_text())
    name = "org.opencontainers.image.ref.name"
    tags = [(entry["annotations"][name], entry["digest"]) for entry in index["manifests"]]
    listed = _shown(root, "ls-tree", "-r", "--name-only", "registry-records").splitlines()
    records = [yaml.safe_load(_shown(root, "show", f"registry-records:{path}")) for path in listed]
    specs = {
        kind: [entry["spec"] for entry in records if entry["kind"] == kind]
        for kind in ("Build", "DeploymentRecord")
    }
    return EndState(
        images=tuple(sorted(tag for tag in tags if not tag[0].startswith("log-"))),
        rendered=tuple(_shown(root, "show", f"deploy/{name}:compose.yaml") for name in DEPLOYMENTS),
        builds=tuple(sorted((s["version"], s["key"], s["result"]) for s in specs["Build"])),
        deployments=tuple(
            sorted((s["environment"], s["key"], s["result"]) for s in specs["DeploymentRecord"])
        ),
    )


def _shown(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def litter(root: Path) -> list[str]:
    """Files of the store that an unfinished write left behind."""
    store = root / ".git/registry-tool/store"
    return [str(path) for path in store.rglob("*") if path.name.startswith((".tmp", "tmp"))]


def killed(root: Path, after: float) -> bool:
    """Run apply and kill it after so many seconds; whether it was still running."""
    process = subprocess.Popen(
        _APPLY,
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def main() -> int:
    """Kill, compare, and print one line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = random.Random(options.seed)  # noqa: S311 - a seed repeats a run
    folder = Path(tempfile.mkdtemp(prefix="registry-tool-kills-"))
    start = folder / "start"
    start.mkdir()
    write_repository(start, folder / "storage")
    whole = folder / "whole"
    shutil.copytree(start, whole, symlinks=True)
    began = time.perf_counter()
    subprocess.run(_APPLY, cwd=whole, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    wanted = end_state(whole)
    kills = rounds = 0
    while kills < options.kills:
        root = folder / f"round-{rounds}"
        shutil.copytree(start, root, symlinks=True)
        # The first fifth of a run only starts Python.
        waits = [chosen.uniform(0.2, 1.05) * seconds for _ in range(KILLS_A_ROUND)]
        kills += sum(killed(root, wait) for wait in waits)
        subprocess.run(_APPLY, cwd=root, check=True, capture_output=True)
        rounds += 1
        if end_state(root) != wanted or litter(root):
            print(f"different after kills at {waits} s: {root}", *litter(root), sep="\n")
            return 1
        shutil.rmtree(root)
    shutil.rmtree(folder)
    print(
        f"{kills} kills in {rounds} rounds: the end state was always that of an uninterrupted run"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
