"""Killed at any step, or run twice at once: the end state is that of one uninterrupted run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from registry_tool.failpoints import ENGINE_FAILPOINTS, FAILPOINTS
from registry_tool.repository.lease import Lease
from registry_tool.repository.repository import Repository

if TYPE_CHECKING:
    from conftest import Applied
else:
    Applied = Any


def end_state(applied: Applied) -> dict[str, Any]:
    """Everything that an uninterrupted run determines: images, rendered files, and what the records say."""
    records = [yaml.safe_load(applied.record(path))["spec"] for path in applied.record_files()]
    return {
        "images": {
            tag: digest
            for tag, digest in applied.tags("minilm").items()
            if not tag.startswith("log-")
        },
        "compose": applied.git("show", "deploy/staging:compose.yaml"),
        "builds": sorted(
            (spec["version"], spec["key"], spec["result"]) for spec in records if "builder" in spec
        ),
        "deployments": sorted(
            (spec["name"], spec["key"], spec["result"]) for spec in records if "who" in spec
        ),
    }


def no_litter(applied: Applied) -> None:
    """No half-written blob and no lock file stays behind."""
    for path in applied.store.rglob("*"):
        assert not path.name.startswith((".tmp", "tmp")), path
    blobs = (applied.store / "minilm" / "blobs" / "sha256").iterdir()
    assert all(len(path.name) == 64 for path in blobs)


@pytest.fixture
def uninterrupted(applied: Applied, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The end state of one run, made in a copy of the repository."""
    copy = type(applied)(tmp_path_factory.mktemp("copy") / "registry", applied.storage)
    subprocess.run(["cp", "-r", str(applied.path), str(copy.path)], check=True)
    copy.tool("apply")
    return end_state(copy)


LOCAL_FAILPOINTS = [name for name in FAILPOINTS if name not in {"pushed", *ENGINE_FAILPOINTS}]


@pytest.mark.parametrize("failpoint", LOCAL_FAILPOINTS)
def test_a_kill_at_a_failpoint_changes_nothing_in_the_end(
    applied: Applied, uninterrupted: dict[str, Any], failpoint: str
) -> None:
    applied.kill_at(failpoint)
    applied.tool("apply")
    assert end_state(applied) == uninterrupted
    no_litter(applied)
    assert applied.json("apply")["results"] == []


@pytest.mark.parametrize(
    "failpoint", ["blob-written:2", "blob-written:5", "image-tagged:2", "recorded:2"]
)
def test_a_kill_at_a_later_visit_changes_nothing_in_the_end(
    applied: Applied, uninterrupted: dict[str, Any], failpoint: str
) -> None:
    applied.kill_at(failpoint)
    applied.tool("apply")
    assert end_state(applied) == uninterrupted
    no_litter(applied)


def test_two_at_once_publish_each_key_once(applied: Applied, uninterrupted: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "registry_tool", "apply"]
    both = [
        subprocess.Popen(
            command,
            cwd=applied.path,
            env=os.environ.copy(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]
    for process in both:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out.decode() + err.decode()
    assert end_state(applied) == uninterrupted
    assert len(applied.record_files("builds/")) == 2
    assert len(applied.record_files("deployments/")) == 1


def test_a_run_that_waited_takes_the_newest_revision(applied: Applied) -> None:
    command = [sys.executable, "-m", "registry_tool", "apply", "--format", "json"]
    with Repository.open(applied.path) as repository, Lease.acquire(repository, holder="other"):
        waiting = subprocess.Popen(
            command, cwd=applied.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert waiting.stderr is not None
        assert "other" in waiting.stderr.readline()
        applied.replace("manifests/deployments/staging/search.yaml", "1.0.0", "1.0.1")
        newest = applied.commit("Move on")
    out, err = waiting.communicate(timeout=60)
    assert waiting.returncode == 0, err
    assert json.loads(out)["revision"] == f"main@sha1:{newest}"
    assert applied.json("apply")["results"] == []
