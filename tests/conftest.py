"""What all tests share: an isolated environment, and small registry repositories to work on."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

import pytest
from registries import RegistryFolder, add_minilm, empty_repository

pytest_plugins = (
    "services.engine",
    "services.docker_registry",
    "services.engine_relay",
    "services.image_trees",
    "services.object_storage",
    "services.onnx_release",
    "services.redis_server",
    "services.small_disk",
)


_LONGEST_ID = 80


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """A long text is named by its size and checksum.

    pytest hands the name of a test to each program that the test starts, and the system refuses to
    start one when that is over 128 KiB.
    """
    if not isinstance(val, str | bytes) or len(val) <= _LONGEST_ID:
        return None
    data = val.encode("utf-8", "surrogatepass") if isinstance(val, str) else val
    return f"{argname}-{len(val)}-{zlib.crc32(data):08x}"


def isolate(environment: pytest.MonkeyPatch, home: Path) -> None:
    """No setting of this machine's user reaches a test; Git knows a made-up person."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "FSSPEC_", "GIT_", "REGISTRY_TOOL_", "RT_SECRET_", "XDG_")):
            environment.delenv(name)
    environment.setenv("HOME", str(home))
    environment.setenv("GIT_CONFIG_NOSYSTEM", "1")
    environment.setenv("NO_COLOR", "1")
    for role in ("AUTHOR", "COMMITTER"):
        environment.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
        environment.setenv(f"GIT_{role}_EMAIL", "ada@example.org")


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    isolate(monkeypatch, tmp_path_factory.mktemp("home"))


@pytest.fixture
def empty_registry(tmp_path: Path) -> RegistryFolder:
    """A repository without a commit, holding Registry and the template `weights`."""
    return empty_repository(tmp_path)


@pytest.fixture
def registry(empty_registry: RegistryFolder) -> RegistryFolder:
    """One committed release, minilm/1.0.0, deployed as staging/search."""
    return add_minilm(empty_registry)
