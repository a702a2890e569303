"""What all tests share: an isolated environment, and small registry repositories to work on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from registries import REGISTRY, TEMPLATE, RegistryFolder

pytest_plugins = (
    "services.engine",
    "services.docker_registry",
    "services.object_storage",
    "services.onnx_release",
)


@pytest.fixture(autouse=True)
def _isolated(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of this machine's user reaches a test; Git knows a made-up person."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "FSSPEC_", "GIT_", "REGISTRY_TOOL_", "RT_SECRET_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")


@pytest.fixture
def empty_registry(tmp_path: Path) -> RegistryFolder:
    """A repository without a commit, holding Registry and the template `weights`."""
    folder = RegistryFolder(tmp_path / "registry", tmp_path / "storage")
    folder.path.mkdir()
    folder.git("init", "--quiet", "--initial-branch=main")
    folder.write("manifests/registry.yaml", REGISTRY.format(storage=folder.storage))
    folder.write("build_templates/weights/template.yaml", TEMPLATE)
    return folder


@pytest.fixture
def registry(empty_registry: RegistryFolder) -> RegistryFolder:
    """One committed release, minilm/1.0.0, deployed as staging/search."""
    empty_registry.model("minilm")
    empty_registry.release("minilm", "1.0.0")
    empty_registry.environment("staging")
    empty_registry.deployment("staging", "search", "minilm", "1.0.0")
    empty_registry.commit("Add minilm")
    return empty_registry
