"""A process that is killed anywhere leaves either the old tips or the new ones, and blocks nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
import reconciling
from git_folder import GitFolder
from reconciling import reconcile

from registry_tool.domain.recorded import LEASE_REF

BRANCHES = ("registry-records", "deploy/env-0", "deploy/env-1", "main")


def _kill_at(failpoint: str, place: GitFolder, *remote: str) -> None:
    done = subprocess.run(
        [sys.executable, str(reconciling.__file__), str(place.path), *remote],
        env={**os.environ, "REGISTRY_TOOL_FAILPOINT": failpoint},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def _trees(place: GitFolder) -> list[str]:
    """Trees, not commits: those have times."""
    return [place.git("rev-parse", f"{branch}^{{tree}}") for branch in BRANCHES]


def _wait_for_locks(place: GitFolder) -> None:
    """The git process notices by itself that its parent is gone, and undoes what it had prepared."""
    deadline = time.monotonic() + 60
    while list((place.path / ".git/refs").rglob("*.lock")):
        assert time.monotonic() < deadline, "lock files stay behind"
        time.sleep(0.01)


@pytest.mark.parametrize(
    "failpoint",
    [
        "lease-acquired",
        "record-objects-written",
        "record-ref-prepared",
        "recorded",
        "record-objects-written:2",
        "record-ref-prepared:2",
        "recorded:2",
    ],
)
def test_after_a_kill_the_next_run_ends_in_the_same_state(
    folder: GitFolder, failpoint: str
) -> None:
    killed = folder.clone("killed")
    reconcile(folder.path)
    _kill_at(failpoint, killed)
    _wait_for_locks(killed)
    reconcile(killed.path)
    assert _trees(killed) == _trees(folder)
    assert killed.git("for-each-ref", LEASE_REF) == ""
    killed.git("fsck", "--strict")
    tips = killed.git("for-each-ref")
    reconcile(killed.path)
    assert killed.git("for-each-ref") == tips


@pytest.mark.parametrize(
    "failpoint",
    [
        "lease-acquired",
        "record-objects-written",
        "record-ref-prepared",
        "pushed",
        "recorded",
        "pushed:2",
    ],
)
def test_after_a_kill_around_a_push_the_next_run_ends_in_the_same_state(
    folder: GitFolder, failpoint: str
) -> None:
    origin = folder.clone("origin.git", "--bare")
    first, second = origin.clone("first"), origin.clone("second")
    reconcile(folder.path)
    _kill_at(failpoint, first, "origin")
    # The next runner is another clone: what was pushed is all it knows.
    reconcile(second.path, "origin")
    for place in (origin, second):
        assert _trees(place) == _trees(folder)
    assert origin.git("for-each-ref", LEASE_REF) == ""
    tips = origin.git("for-each-ref")
    reconcile(first.path, "origin")
    assert origin.git("for-each-ref") == tips
    assert [first.git("rev-parse", branch) for branch in BRANCHES] == [
        origin.git("rev-parse", branch) for branch in BRANCHES
    ]
