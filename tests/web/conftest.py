"""Indexes over small registry repositories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from everything import RECORDS, manifests, write_everything
from registries import RegistryFolder, add_minilm, empty_repository
from web_index import Index, Server, add_key, apply_to, open_index, run_server

from registry_tool.domain.api_key import KeyText


@pytest.fixture
def applied(registry: RegistryFolder) -> RegistryFolder:
    """The `registry` fixture with a real lock, built and deployed."""
    return apply_to(registry)


@pytest.fixture
def index(applied: RegistryFolder) -> Iterator[Index]:
    """The index of the `applied` repository."""
    with open_index(applied.path) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> RegistryFolder:
    """As `applied`, for tests that change nothing."""
    with pytest.MonkeyPatch.context() as environment:
        # The isolation of single tests begins later.
        for role in ("AUTHOR", "COMMITTER"):
            environment.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
            environment.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        return apply_to(add_minilm(empty_repository(tmp_path_factory.mktemp("shared"))))


@pytest.fixture(scope="session")
def shared(shared_folder: RegistryFolder) -> Iterator[Index]:
    """As `index`, for tests that change nothing."""
    with open_index(shared_folder.path) as opened:
        yield opened


@pytest.fixture
def server(applied: RegistryFolder) -> Iterator[Server]:
    """A server over the `applied` repository."""
    with run_server(applied) as running:
        yield running


@pytest.fixture
def closed(applied: RegistryFolder) -> tuple[RegistryFolder, KeyText]:
    """The `applied` repository, asking for keys; and a key named ci."""
    applied.replace("manifests/registry.yaml", "spec:", "spec:\n  web:\n    require_api_key: true")
    return applied, add_key(applied, "ci")


@pytest.fixture
def closed_index(closed: tuple[RegistryFolder, KeyText]) -> Iterator[tuple[Index, KeyText]]:
    """An index that asks for keys, and a good one."""
    folder, key = closed
    with open_index(folder.path) as opened:
        yield opened, key


@pytest.fixture(scope="session")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The index of a registry in which every field of every kind is set."""
    folder = tmp_path_factory.mktemp("everything")
    registry = RegistryFolder(folder / "registry", folder / "storage")
    registry.path.mkdir()
    registry.git("init", "--quiet", "--initial-branch=main")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        write_everything(registry)
    with open_index(registry.path) as index:
        yield index


@pytest.fixture(scope="session")
def documents(everything: Index) -> dict[str, dict[str, Any]]:
    """Its manifests and records, by path."""
    storage = everything.get("/models/everything")["storage_path"].removesuffix("/everything")
    return {**manifests(Path(storage)), **RECORDS}
