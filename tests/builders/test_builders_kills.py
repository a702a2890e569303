"""A build that is killed anywhere, and then run again, ends like one that was left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from native_orders import WEIGHTS, Entry, Workshop, directory, put_base, snapshot

from registry_tool.builders.publishing import read_log

SCRIPT = """
import sys
from pathlib import Path
from test_builders_kills import story

story(Path(sys.argv[1]))
"""
FILES = {**WEIGHTS, "code/serve.py": b"print()"}
KEY = "ab" * 32


def story(path: Path) -> None:
    """Build a release on a base, and keep a log."""
    from registry_tool.builders.publishing import publish_log

    workshop = Workshop(path, FILES)
    base = put_base(workshop.store, [{"models": directory(0o700), "os": Entry(content=b"base")}])
    built = workshop.build(workshop.order(base=base, files=[("/a", b"x", 0o644)]))
    # Whether a build was adopted depends on where the one before was killed; what it made does not.
    publish_log(workshop.store, "minilm", KEY, 1, repr(built.images))


def run(path: Path, failpoint: str | None) -> int:
    Workshop(path, FILES).fill()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    if failpoint:
        environment["REGISTRY_TOOL_FAILPOINT"] = failpoint
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], env=environment, check=False
    ).returncode


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("uninterrupted")
    assert run(path, None) == 0
    return snapshot(Workshop(path).store)


@pytest.mark.parametrize(
    "failpoint",
    [
        "build-started",
        "layer-streaming:1",
        "layer-streaming:2",
        # The base's config, layer and image manifest come before the build's own blobs.
        *(f"blob-written:{number}" for number in (4, 5, 6, 7, 9, 12, 15)),
        "blobs-published",
        "image-tagged:2",
        "log-published",
    ],
)
def test_a_killed_build_is_finished_by_the_next(
    tmp_path: Path, uninterrupted: dict[str, str], failpoint: str
) -> None:
    assert run(tmp_path, failpoint) == -signal.SIGKILL
    assert run(tmp_path, None) == 0

    assert snapshot(Workshop(tmp_path).store) == uninterrupted
    assert "BuiltImage" in read_log(Workshop(tmp_path).store, "minilm", f"log-{KEY[:12]}-000001")


def test_nothing_is_tagged_before_everything_is_there(tmp_path: Path) -> None:
    assert run(tmp_path, "blobs-published") == -signal.SIGKILL

    assert Workshop(tmp_path).store.tags("minilm") == {}
