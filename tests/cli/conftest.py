"""Running the command line inside the test process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from registries import RegistryFolder

from registry_tool.cli.main import run


@dataclass(frozen=True)
class Ran:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        document = json.loads(self.out)
        assert document["format_version"] == 1
        return document


Cli = Callable[..., Ran]


@pytest.fixture
def anywhere(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs registry-tool with exactly these arguments."""

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert "this is a bug" not in captured.err, captured.err
        return Ran(code, captured.out, captured.err)

    return call


@pytest.fixture
def cli(anywhere: Cli, registry: RegistryFolder) -> Cli:
    """Runs registry-tool on the repository of the `registry` fixture."""

    def call(*arguments: object) -> Ran:
        return anywhere("--repo", registry.path, *arguments)

    return call


@pytest.fixture
def applied(cli: Cli, registry: RegistryFolder) -> RegistryFolder:
    """The `registry` fixture with a real lock, built and deployed."""
    (registry.path / "manifests/releases/minilm/1.0.0/none.lock.yaml").unlink()
    assert cli("lock", "minilm/1.0.0").code == 0
    registry.commit("Lock minilm 1.0.0")
    ran = cli("apply")
    assert ran.code == 0, ran.err
    return registry
