"""docs/deploying.md says what the tables in the code say, and its examples are valid YAML."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from registry_tool.deployers.interface import ASKS_HTTP, SHARED_HOST_PORTS, WEIGHTS_MODES
from registry_tool.deployers.kubernetes import GRANTED
from registry_tool.domain.deployment import WeightsMode
from registry_tool.domain.environment import TargetType

TEXT = (Path(__file__).parents[2] / "docs" / "deploying.md").read_text(encoding="utf-8")


def row(start: str) -> frozenset[TargetType]:
    """The targets that a row of the table says yes to."""
    header = next(line for line in TEXT.splitlines() if line.startswith("| | compose"))
    line = next(line for line in TEXT.splitlines() if line.startswith(f"| {start}"))
    names, answers = (
        [cell.strip() for cell in entry.strip("|").split("|")][1:] for entry in (header, line)
    )
    assert len(names) == len(answers) == len(TargetType)
    return frozenset(
        TargetType(name) for name, answer in zip(names, answers, strict=True) if answer == "yes"
    )


@pytest.mark.parametrize("mode", list(WeightsMode))
def test_weights_modes_are_those_of_the_table(mode: WeightsMode) -> None:
    assert row(f"`weights: {mode}`") == {
        target for target, modes in WEIGHTS_MODES.items() if mode in modes
    }


def test_other_abilities_are_those_of_the_table() -> None:
    assert row("several replicas") == SHARED_HOST_PORTS
    assert row("`healthcheck.http`") == ASKS_HTTP


def test_examples_are_yaml_and_the_secret_has_its_name() -> None:
    kinds = [
        document["kind"]
        for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
        for document in yaml.safe_load_all(block)
    ]
    assert kinds == ["GitRepository", "Kustomization", "Application"]
    assert f"`{GRANTED}`" in TEXT
