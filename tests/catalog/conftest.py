"""Registries with catalogs of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from projected import Projected
from registries import RegistryFolder


@pytest.fixture
def projected(registry: RegistryFolder, tmp_path: Path) -> Iterator[Projected]:
    """The small registry of all tests."""
    found = Projected(registry, tmp_path / "state")
    found.directory.mkdir()
    yield found
    found.close()
