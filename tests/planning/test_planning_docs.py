"""The pages about plans and templates name everything there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from planning_world import World

from registry_tool.builders import sandbox_environment
from registry_tool.builders.template_variables import (
    DOCKERFILE_VARIABLES,
    PROBE_VARIABLES,
    VARIABLES,
)
from registry_tool.domain.build_template import DockerfileRecipe, ImageRecipe
from registry_tool.domain.environment import EnvironmentSpec
from registry_tool.domain.release import Role
from registry_tool.planning.keys import Keys

DOCS = Path(__file__).parents[2] / "docs"
CODE = re.compile(r"`([^`\n]+)`")


def first_cells(page: str, heading: str) -> set[str]:
    """Words in code in the first column of the table below a heading."""
    section = (DOCS / page).read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| ")]
    return {word for cell in rows for word in CODE.findall(cell)}


def test_the_table_of_variables_is_the_closed_set() -> None:
    known = {*VARIABLES, *DOCKERFILE_VARIABLES, *PROBE_VARIABLES}
    assert first_cells("templates.md", "Variables") == known


@pytest.mark.parametrize(
    ("row", "names"),
    [("Filters", sandbox_environment.filters()), ("Tests", sandbox_environment.TESTS)],
)
def test_filters_and_tests_are_listed(row: str, names: tuple[str, ...]) -> None:
    lines = (DOCS / "templates.md").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"| {row} |"))
    assert CODE.findall(line) == sorted(names)


def test_all_fields_of_recipes_are_listed() -> None:
    image = {field.alias or name for name, field in ImageRecipe.model_fields.items()}
    assert first_cells("templates.md", "`image`: assembled natively") == image
    docker = set(DockerfileRecipe.model_fields)
    assert first_cells("templates.md", "`dockerfile`: built by an engine") == docker


def test_all_parts_of_keys_are_listed(world: World) -> None:
    release = world.locked()
    deployment = world.deployment()
    keys = Keys(world.desired)
    parts = {*keys.build(release).parts, *(role.value for role in Role)}
    assert first_cells("planning.md", "Build keys") == parts
    listed = first_cells("planning.md", "Deployment keys")
    assert listed == set(keys.deployment(deployment, release, "a" * 64).parts)


def test_all_gates_are_listed() -> None:
    rest = {"target", "accepts", "allow_host_paths", "allow_empty"}
    assert first_cells("planning.md", "Gates") == EnvironmentSpec.model_fields.keys() - rest
