"""Reconciling for a remote: fetch first, push atomically after, and survive being killed in between."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registry_tool.failpoints import FAILPOINTS

if TYPE_CHECKING:
    from conftest import Applied
else:
    Applied = Any


@pytest.fixture
def origin(applied: Applied, tmp_path: Path) -> Path:
    """A bare remote that has the manifests and nothing else."""
    path = tmp_path / "origin.git"
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], check=True
    )
    applied.git("remote", "add", "origin", str(path))
    applied.git("push", "--quiet", "--set-upstream", "origin", "main")
    return path


def remote(origin: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(origin), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def recorded(origin: Path) -> list[str]:
    return remote(origin, "ls-tree", "-r", "--name-only", "registry-records").splitlines()


def test_records_and_rendered_branches_arrive_together(applied: Applied, origin: Path) -> None:
    report = applied.json("apply", "--push")
    assert report["branches"] == ["deploy/staging"]
    assert len(recorded(origin)) == 3
    assert "services" in yaml.safe_load(remote(origin, "show", "deploy/staging:compose.yaml"))
    assert remote(origin, "for-each-ref", "refs/registry-tool") == ""
    before = remote(origin, "for-each-ref")
    assert applied.json("apply", "--push")["results"] == []
    assert remote(origin, "for-each-ref") == before


def test_a_remote_that_moved_is_fetched_first(
    applied: Applied, origin: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(other)], check=True)
    text = other / "manifests/deployments/staging/search.yaml"
    text.write_text(text.read_text().replace("1.0.0", "1.0.1"))
    subprocess.run(["git", "-C", str(other), "commit", "--quiet", "-am", "Move on"], check=True)
    subprocess.run(["git", "-C", str(other), "push", "--quiet"], check=True)
    report = applied.json("apply", "--push")
    assert report["revision"].endswith(remote(origin, "rev-parse", "main"))
    path = next(name for name in recorded(origin) if name.startswith("deployments/"))
    record = yaml.safe_load(remote(origin, "show", f"registry-records:{path}"))
    assert record["spec"]["release"]["version"] == "1.0.1"


def test_records_are_not_forked_beside_those_of_a_remote(applied: Applied, origin: Path) -> None:
    applied.tool("apply", "--push")
    applied.git("fetch", "--quiet")
    applied.git("update-ref", "-d", "refs/heads/registry-records")
    refused = applied.tool("apply", expect=2)
    assert "--push origin" in refused.stderr


@pytest.mark.parametrize(
    "failpoint",
    [
        name
        for name in FAILPOINTS
        if name in {"lease-acquired", "record-objects-written", "recorded", "pushed"}
    ],
)
def test_a_kill_around_a_push_changes_nothing_in_the_end(
    applied: Applied, origin: Path, failpoint: str
) -> None:
    applied.kill_at(failpoint, "--push")
    applied.tool("apply", "--push")
    names = recorded(origin)
    assert sorted(name.rsplit("/", 1)[0] for name in names) == [
        "builds/minilm/1.0.0/none",
        "builds/minilm/1.0.1/none",
        "deployments/staging/search",
    ]
    assert applied.git("rev-parse", "registry-records") == remote(
        origin, "rev-parse", "registry-records"
    )
    assert applied.json("apply", "--push")["results"] == []
