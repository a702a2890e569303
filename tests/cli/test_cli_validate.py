import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from registries import RegistryFolder

ROOT = Path(__file__).parents[2]
RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"
DEPLOYMENT = "manifests/deployments/staging/search.yaml"


def test_a_valid_work_tree(cli, registry: RegistryFolder) -> None:
    ran = cli("validate")
    assert (ran.code, ran.out) == (0, "7 manifests checked, no errors\n")


def test_an_uncommitted_error_is_shown_with_its_line(cli, registry: RegistryFolder) -> None:
    registry.replace(DEPLOYMENT, "model: minilm", "model: minilmm")
    ran = cli("validate")
    assert ran.code == 1
    assert f"{DEPLOYMENT}:7:10: error[RT2" in ran.out
    assert " 7 |   model: minilmm\n   |          ^^^^^^^\n" in ran.out
    assert 'did you mean "minilm' in ran.out
    assert ran.out.endswith(" in 1 file\n")


def test_a_revision_is_checked_whatever_the_work_tree_holds(cli, registry: RegistryFolder) -> None:
    registry.replace(DEPLOYMENT, "model: minilm", "model: minilmm")
    assert cli("validate", "--rev", "HEAD").code == 0


def test_staged_checks_the_index_and_nothing_else(cli, registry: RegistryFolder) -> None:
    registry.replace(DEPLOYMENT, "model: minilm", "model: minilmm")
    assert cli("validate", "--staged").code == 0
    registry.git("add", "-A")
    registry.git("restore", "--worktree", "--source=HEAD", ".")
    assert cli("validate", "--staged").code == 1
    assert cli("validate").code == 0


def test_paths_limit_what_is_shown(cli, registry: RegistryFolder, monkeypatch) -> None:
    registry.replace(DEPLOYMENT, "model: minilm", "model: minilmm")
    registry.replace(RELEASE, "name: weights", "name: weigths")
    everything = cli("validate", "--format", "json").json["diagnostics"]
    assert {entry["path"] for entry in everything} >= {DEPLOYMENT, RELEASE}
    monkeypatch.chdir(registry.path / "manifests/releases")
    ran = cli("validate", "minilm", "--format", "json")
    assert {entry["path"] for entry in ran.json["diagnostics"]} == {RELEASE}
    assert "more in other files" in ran.err
    assert cli("validate", "../models").code == 0


@pytest.mark.parametrize("path", ["nothing-here.yaml", "/", ".."])
def test_a_path_that_means_nothing_is_a_usage_error(
    cli, registry: RegistryFolder, monkeypatch, path: str
) -> None:
    monkeypatch.chdir(registry.path)
    ran = cli("validate", path)
    assert ran.code == 2
    assert "help: " in ran.err


def test_the_root_of_the_repository_is_a_path_that_means_everything(
    cli, registry: RegistryFolder, monkeypatch
) -> None:
    registry.replace(DEPLOYMENT, "model: minilm", "model: minilmm")
    monkeypatch.chdir(registry.path / "manifests")
    assert cli("validate", "..").code == 1


def test_a_subfolder_finds_its_repository(anywhere, registry: RegistryFolder, monkeypatch) -> None:
    monkeypatch.chdir(registry.path / "manifests/models")
    assert anywhere("validate").out == "7 manifests checked, no errors\n"


def test_a_bare_repository_is_checked_at_head(
    anywhere, registry: RegistryFolder, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.git"
    registry.git("clone", "--quiet", "--bare", str(registry.path), str(bare))
    assert anywhere("--repo", bare, "validate").out == "7 manifests checked, no errors\n"
    assert anywhere("--repo", bare, "validate", "manifests/models").code == 0
    assert anywhere("--repo", bare, "validate", "--staged").code == 2
    assert anywhere("--repo", bare, "validate", "--watch").code == 2


def test_before_the_first_commit_there_is_nothing_to_compare_with(
    anywhere, empty_registry: RegistryFolder
) -> None:
    ran = anywhere("--repo", empty_registry.path, "validate")
    assert (ran.code, ran.out) == (0, "2 manifests checked, no errors\n")
    assert anywhere("--repo", empty_registry.path, "validate", "--rev", "HEAD").code == 3


def test_a_released_release_is_compared_with_head_or_with_the_base(
    cli, registry: RegistryFolder
) -> None:
    candidate = registry.git("rev-parse", "HEAD")
    registry.replace(RELEASE, "stage: candidate", "stage: released")
    registry.commit()
    registry.replace(RELEASE, "name: weights", "name: weights\n    params: {a: 1}")
    assert "RT301" in cli("validate").out
    assert "RT301" not in cli("validate", "--base", candidate).out
    registry.commit()
    assert "RT301" in cli("validate", "--rev", "HEAD").out
    assert "RT301" not in cli("validate", "--rev", "HEAD", "--base", candidate).out


def test_json_counts_what_was_checked(cli, registry: RegistryFolder) -> None:
    assert cli("validate", "--format", "json").json == {
        "format_version": 1,
        "checked": 7,
        "diagnostics": [],
    }


def test_every_format_tells_the_same_errors(cli, registry: RegistryFolder) -> None:
    registry.replace(DEPLOYMENT, "model: minilm", "model: minilmm")
    errors = cli("validate", "--format", "json").json["diagnostics"]
    sarif = json.loads(cli("validate", "--format", "sarif").out)
    junit = ET.fromstring(cli("validate", "--format", "junit").out)
    assert len(sarif["runs"][0]["results"]) == len(errors)
    assert junit[0].get("failures") == str(len(errors))
    assert cli("validate", "--format", "github").out.count("::error ") == len(errors)


def test_github_format_of_a_valid_work_tree_prints_nothing(cli) -> None:
    assert cli("validate", "--format", "github").out == ""


@pytest.mark.parametrize(
    "options",
    [("--rev", "HEAD", "--staged"), ("--rev", "HEAD", "--watch"), ("--staged", "--watch")],
)
def test_sources_exclude_each_other(cli, options: tuple[str, ...]) -> None:
    assert cli("validate", *options).code == 2


def test_an_unknown_revision_and_a_place_without_repository(cli, anywhere, tmp_path: Path) -> None:
    ran = cli("validate", "--rev", "no-such-branch")
    assert ran.code == 3
    assert "RT602" in ran.err
    ran = anywhere("--repo", tmp_path, "validate")
    assert ran.code == 3
    assert "RT601" in ran.err


def test_watch_checks_again_after_a_change_and_ends_with_ctrl_c(registry: RegistryFolder) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "registry_tool", "validate", "--watch"],
        cwd=registry.path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    seen = []

    def read_until(text: str) -> None:
        for line in process.stdout or ():
            seen.append(line)
            if text in line:
                return
        raise AssertionError(f"{text!r} did not come: {seen}")

    try:
        read_until("waiting for changes")
        assert "7 manifests checked, no errors\n" in seen
        registry.replace(DEPLOYMENT, "model: minilm", "model: minilmm")
        read_until("error[RT2")
        read_until("waiting for changes")
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=20)
        assert "Traceback" not in rest
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
