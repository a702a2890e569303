"""Workshops whose storage is filled."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from docker_orders import FILES, DockerWorkshop
from native_orders import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.fill()
    return made


@pytest.fixture
def docker_workshop(
    tmp_path: Path, docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> DockerWorkshop:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    made = DockerWorkshop(tmp_path, FILES)
    made.fill()
    return made


@pytest.fixture(scope="session")
def debian_layer(debian_archive: Path) -> str:
    """The digest of the one layer of the base."""
    with debian_archive.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


@pytest.fixture
def stocked(
    docker_workshop: DockerWorkshop, debian_archive: Path, debian_layer: str
) -> DockerWorkshop:
    """A workshop whose store has the layer of the base."""
    shared = docker_workshop.store.root / ".blobs"
    shared.mkdir(parents=True)
    place = shared / debian_layer.removeprefix("sha256:")
    try:
        os.link(debian_archive, place)
    except OSError:
        shutil.copy(debian_archive, place)
    return docker_workshop
