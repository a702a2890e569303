"""Registries that misbehave on request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from registry_parts import Client
from services.fault_registry import fault_registry


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A registry in this process, with a client that is nobody yet."""
    for name in ("DOCKER_CONFIG", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with fault_registry() as registry:
        yield Client(registry, tmp_path / "docker")
