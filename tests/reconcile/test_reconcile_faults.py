"""Disks that fill up and storage that goes away: clear words, nothing half done, and no work twice."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import yaml
from applied_folder import Applied
from services.small_disk import SmallDisk

from registry_tool.oci import packing
from registry_tool.oci.layout import LayoutStore
from registry_tool.reconcile import failing
from registry_tool.storage.problems import translated
from registry_tool.storage.storage import Storage


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths of the stored files that are read."""
    paths: list[str] = []
    real = Storage.open

    def watched(self: Storage, location: str, path: str, *rest: Any, **options: Any) -> BinaryIO:
        paths.append(path)
        return real(self, location, path, *rest, **options)

    monkeypatch.setattr(Storage, "open", watched)
    return paths


@pytest.fixture
def layered(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> Applied:
    """The weights of both releases in two layers, 1.2 MB and 0.9 MB; no waiting between tries."""
    monkeypatch.setattr(packing, "ALONE_SIZE", 500_000)
    monkeypatch.setattr(failing, "DELAYS", (0.01, 0.01, 0.01))
    applied.weights("minilm", os.urandom(1_200_000))
    applied.weights("minilm", os.urandom(900_000), "extra.bin")
    for version in ("1.0.0", "1.0.1"):
        applied.lock(f"minilm/{version}")
    applied.commit("Lock more weights")
    return applied


def require_nothing_half_done(applied: Applied, store: Path) -> None:
    """No record, no image tag, no unfinished file in the store."""
    assert applied.record_files() == []
    index = store / "minilm" / "index.json"
    assert not index.exists() or '"1.0.' not in index.read_text()
    partial = store / ".partial"
    assert not partial.exists() or list(partial.iterdir()) == []


def require_finished(applied: Applied) -> None:
    """Each build succeeded once, the deployment is there, and nothing is left to do."""
    for version in ("1.0.0", "1.0.1"):
        (path,) = applied.record_files(f"builds/minilm/{version}/")
        assert yaml.safe_load(applied.record(path))["spec"]["result"] == "succeeded"
    assert len(applied.record_files("deployments/")) == 1
    assert applied.json("apply")["results"] == []


def test_a_store_on_a_full_disk_keeps_finished_layers_for_the_next_apply(
    layered: Applied, small_disk: SmallDisk, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_TOOL_STORE", str(small_disk.path / "store"))
    monkeypatch.setattr("registry_tool.builders.layer_streams._PARALLEL_LAYERS", 1)
    opened.clear()
    done = layered.tool("apply", expect=3)
    assert "No space left on device" in done.stderr
    assert "help: free some space, and run again" in done.stderr
    require_nothing_half_done(layered, small_disk.path / "store")
    assert "model.bin" in opened
    small_disk.resize(20_000)
    opened.clear()
    layered.tool("apply")
    # The larger layer came first and fitted; it is not read again. The smallest may have fitted as well.
    assert set(opened) - {"config.json"} == {"extra.bin"}
    require_finished(layered)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_repository_on_a_full_disk_is_gone_on_with(
    layered: Applied,
    small_disk: SmallDisk,
    opened: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    """It fills up before anything is built, or before what was built can be recorded."""
    monkeypatch.setenv("REGISTRY_TOOL_STORE", str(tmp_path / "store"))
    moved = Applied(shutil.copytree(layered.path, small_disk.path / "registry"), layered.storage)
    publish = LayoutStore.put_tags

    def then_fill(self: LayoutStore, *rest: Any) -> None:
        publish(self, *rest)
        small_disk.fill()

    opened.clear()
    with monkeypatch.context() as filling:
        if when == "before":
            small_disk.fill()
        else:
            filling.setattr(LayoutStore, "put_tags", then_fill)
        done = moved.tool("apply", expect=3)
    assert "No space left on device" in done.stderr
    assert "free some space on the repository's disk" in done.stderr
    assert ("model.bin" in opened) is (when == "after")
    small_disk.empty()
    assert moved.record_files() == []
    opened.clear()
    moved.tool("apply")
    assert ("model.bin" in opened) is (when == "before"), "what was built is not read again"
    require_finished(moved)


def test_storage_on_a_full_disk_takes_no_part_of_a_file(
    layered: Applied, small_disk: SmallDisk, tmp_path: Path
) -> None:
    small_disk.resize(3000)
    shutil.copytree(layered.storage / "minilm", small_disk.path / "minilm")
    for path in ("manifests/registry.yaml", "manifests/models/minilm.yaml"):
        layered.replace(path, str(layered.storage), str(small_disk.path))
    layered.commit("Move to a small disk")
    (tmp_path / "draft.bin").write_bytes(os.urandom(1_500_000))
    done = layered.tool("artifact", "add", "minilm/1.0.0", str(tmp_path / "draft.bin"), expect=3)
    assert "draft.bin cannot be written: the storage is full" in done.stderr
    assert sorted(path.name for path in (small_disk.path / "minilm").iterdir()) == [
        "config.json",
        "extra.bin",
        "model.bin",
    ]
    assert layered.git("status", "--porcelain") == ""
    small_disk.resize(20_000)
    layered.tool("artifact", "add", "minilm/1.0.0", str(tmp_path / "draft.bin"), "--commit")
    layered.tool("artifact", "verify", "minilm/1.0.0", "--deep")


def test_a_disk_that_fills_up_during_a_pull_keeps_what_came(
    layered: Applied, small_disk: SmallDisk, opened: list[str]
) -> None:
    folder = small_disk.path / "pulled"
    done = layered.tool("artifact", "pull", "minilm/1.0.0", str(folder), expect=3)
    assert "No space left on device" in done.stderr
    small_disk.resize(20_000)
    opened.clear()
    layered.tool("artifact", "pull", "minilm/1.0.0", str(folder))
    for path in (layered.storage / "minilm").iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_storage_that_is_gone_fails_nothing_for_good(layered: Applied) -> None:
    away = layered.storage.with_name("unmounted")
    layered.storage.rename(away)
    done = layered.tool("apply", expect=3)
    assert f"{layered.storage}/minilm does not exist" in done.stderr
    assert "check the path, and that it is mounted" in done.stderr
    require_nothing_half_done(layered, layered.store)
    away.rename(layered.storage)
    layered.tool("apply")
    require_finished(layered)


class Failing:
    """A reader over a mount that fails in the middle of a file."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._came = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def readinto(self, buffer: memoryview) -> int:
        if self._came:
            raise translated("extra.bin", OSError(errno.EIO, os.strerror(errno.EIO)))
        self._came = self._file.readinto(buffer[:100_000])  # type: ignore[attr-defined]
        return self._came


def test_storage_that_stops_in_the_middle_of_a_file_is_tried_again_and_then_given_up(
    layered: Applied, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_tool.builders.layer_streams._PARALLEL_LAYERS", 1)
    watched = Storage.open
    broken = True

    def sometimes(self: Storage, location: str, path: str, *rest: Any, **options: Any) -> Any:
        file = watched(self, location, path, *rest, **options)
        return Failing(file) if broken and path == "extra.bin" else file

    monkeypatch.setattr(Storage, "open", sometimes)
    opened.clear()
    done = layered.tool("apply", expect=3)
    assert "Input/output error" in done.stderr
    assert opened.count("extra.bin") >= len(failing.DELAYS) + 1
    assert opened.count("model.bin") == 1, "a layer that is in the store is not read for each try"
    require_nothing_half_done(layered, layered.store)
    broken = False
    opened.clear()
    layered.tool("apply")
    assert "model.bin" not in opened
    require_finished(layered)
