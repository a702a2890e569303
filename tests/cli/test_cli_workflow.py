"""The commands that the workflow and the action run exist, and do what they are there for."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from registries import RegistryFolder

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/registry.yml"
ACTION = ROOT / "action.yml"


def steps(file: Path) -> list[dict]:
    document = yaml.safe_load(file.read_text())
    jobs = [job["steps"] for job in document.get("jobs", {}).values()]
    return jobs[0] if jobs else document["runs"]["steps"]


def commands(file: Path) -> list[list[str]]:
    """Arguments of every call of registry-tool, with the values that GitHub would fill in."""
    lines = [line.strip() for step in steps(file) for line in step.get("run", "").splitlines()]
    return [
        shlex.split(filled_in(line.partition(" >> ")[0]))[1:]
        for line in lines
        if line.startswith("registry-tool ")
    ]


def filled_in(line: str) -> str:
    line = re.sub(r'\$\{BASE:\+.*?"\$BASE"\}', "", line)
    line = line.replace("${BASE:-$REV^1}", "HEAD^1")
    return line.replace("$REPO", ".").replace("$REV", "HEAD")


@pytest.mark.parametrize("file", [WORKFLOW, ACTION])
def test_a_pull_request_is_validated_and_planned(
    anywhere, registry: RegistryFolder, monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    registry.git("switch", "--quiet", "-c", "topic")
    registry.release("minilm", "1.1.0")
    registry.commit("Add minilm 1.1.0")
    registry.git("switch", "--quiet", "--detach", "main")
    registry.git("merge", "--quiet", "--no-ff", "-m", "Merge topic", "topic")
    monkeypatch.chdir(registry.path)
    validate, plan = commands(file)
    assert "validate" in validate
    assert anywhere(*validate).code == 0
    ran = anywhere(*plan)
    assert ran.code == 0, ran.err
    assert "release/minilm/1.1.0/none" in ran.out
    assert "release/minilm/1.0.0/none" not in ran.out


def test_an_invalid_pull_request_is_annotated(
    anywhere, registry: RegistryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.replace("manifests/releases/minilm/1.0.0/none.yaml", "name: weights", "name: weigths")
    registry.commit("Break it")
    monkeypatch.chdir(registry.path)
    validate, _ = commands(WORKFLOW)
    ran = anywhere(*validate)
    assert ran.code == 1
    assert ran.out.startswith("::error file=manifests/releases/minilm/1.0.0/none.yaml,line=")


def test_the_workflow_may_only_read() -> None:
    document = yaml.safe_load(WORKFLOW.read_text())
    assert document["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in document["jobs"].values())
    checkout = next(step for step in steps(WORKFLOW) if "checkout" in step.get("uses", ""))
    assert checkout["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", [WORKFLOW, ACTION])
def test_nothing_from_outside_becomes_part_of_a_script(file: Path) -> None:
    for step in steps(file):
        assert "${{" not in step.get("run", "")
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+\.\d+\.\d+", step["uses"])
