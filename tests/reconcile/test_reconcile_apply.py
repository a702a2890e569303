"""Applying a real registry: what is built, deployed and recorded, and what is left alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from conftest import Applied
else:
    Applied = Any

CLUSTER = """\
apiVersion: registry-tool/v1
kind: Environment
metadata:
  name: cluster
spec:
  target:
    type: kubernetes
    namespace: models
"""


def build_records(applied: Applied, release: str) -> list[Any]:
    return [
        yaml.safe_load(applied.record(path)) for path in applied.record_files(f"builds/{release}/")
    ]


def test_the_first_apply_builds_deploys_and_records(applied: Applied) -> None:
    report = applied.json("apply")
    results = {entry["subject"]: entry["result"] for entry in report["results"]}
    assert results == {
        "release/minilm/1.0.0/none": "created",
        "release/minilm/1.0.1/none": "created",
        "deployment/staging/search": "created",
    }
    assert {"1.0.0", "runtime-1.0.0", "weights-1.0.0", "1.0.1"} <= set(applied.tags("minilm"))
    compose = yaml.safe_load(applied.git("show", "deploy/staging:compose.yaml"))
    image = compose["services"]["search"]["image"]
    assert image == f"localhost:8000/minilm@{applied.tags('minilm')['1.0.0']}"
    deployment = yaml.safe_load(
        applied.record(applied.record_files("deployments/staging/search/")[0])
    )["spec"]
    assert deployment["result"] == "delegated"
    assert deployment["digest"] == applied.tags("minilm")["1.0.0"]
    assert deployment["who"]["author"] == {"name": "Ada Lovelace", "email": "ada@example.org"}
    message = applied.git("log", "-1", "--format=%B", "registry-records")
    assert f"Registry-Revision: main@sha1:{applied.git('rev-parse', 'main')}" in message
    keys = {record["spec"]["key"] for record in build_records(applied, "minilm/1.0.0")}
    assert all(
        path.split("-")[-1].removesuffix(".yaml") in {key[:12] for key in keys}
        for path in applied.record_files("builds/minilm/1.0.0/")
    )
    assert keys <= {
        line.removeprefix("Registry-Build-Key: ")
        for line in applied.git("log", "--format=%B", "registry-records").splitlines()
    }


def test_a_second_apply_makes_no_commit_and_builds_nothing(applied: Applied) -> None:
    applied.tool("apply")
    before = (applied.git("for-each-ref"), applied.tags("minilm"))
    assert applied.json("apply")["results"] == []
    assert (applied.git("for-each-ref"), applied.tags("minilm")) == before
    assert "No changes." in applied.tool("plan", "--exit-code").stdout


def test_equal_weights_are_neither_read_nor_written_again_as_the_plan_said(
    applied: Applied,
) -> None:
    plan = applied.json("plan")
    bytes_of = {action["subject"]: action["bytes"] for action in plan["actions"]}
    first, second = bytes_of["release/minilm/1.0.0/none"], bytes_of["release/minilm/1.0.1/none"]
    assert first["upload"] > 3_000_000
    assert second["reuse"] > 3_000_000
    assert second["upload"] < 10_000
    applied.tool("apply")
    for version, said in (("1.0.0", first), ("1.0.1", second)):
        assert build_records(applied, f"minilm/{version}")[0]["spec"].get("bytes") == said


def test_a_release_that_comes_later_does_not_touch_the_storage(applied: Applied) -> None:
    applied.tool("apply")
    applied.release("minilm", "1.0.2", lock=False)
    applied.lock("minilm/1.0.2")
    applied.commit("Release 1.0.2")
    shutil.rmtree(applied.storage / "minilm")
    report = applied.json("apply")
    assert [entry["result"] for entry in report["results"]] == ["created"]


def test_files_beside_the_manifests_and_moved_manifests_plan_nothing(applied: Applied) -> None:
    applied.tool("apply")
    applied.write("manifests/README.md", "# Hello\n")
    applied.write("manifests/models/NOTES.md", "notes\n")
    applied.git("mv", "manifests/models/minilm.yaml", "manifests/models/renamed.yaml")
    applied.commit("Move things")
    assert applied.json("plan")["actions"] == []


def test_a_changed_template_rebuilds_candidates_and_leaves_released_ones_frozen(
    applied: Applied,
) -> None:
    applied.tool("apply")
    applied.tool("promote", "minilm/1.0.0", "--commit")
    assert applied.json("plan")["actions"] == []
    applied.write("build_templates/weights/motd.j2", "changed {{ params.greeting }}\n")
    applied.commit("Change the template")
    plan = applied.json("plan")
    assert [(action["subject"], action["changed"]) for action in plan["actions"]] == [
        ("release/minilm/1.0.1/none", ["template"])
    ]
    assert [entry["subject"] for entry in plan["skipped"]] == ["release/minilm/1.0.0/none"]
    assert "frozen" in plan["skipped"][0]["reason"]


def test_changed_weights_of_a_candidate_say_weights(applied: Applied) -> None:
    applied.tool("apply")
    applied.weights("minilm", os.urandom(1_000_000))
    applied.lock("minilm/1.0.1")
    applied.commit("New weights")
    plan = applied.json("plan")
    assert [(action["subject"], action["changed"]) for action in plan["actions"]] == [
        ("release/minilm/1.0.1/none", ["weights"])
    ]


def test_changed_weights_of_a_released_release_are_refused_at_the_line(applied: Applied) -> None:
    applied.tool("promote", "minilm/1.0.0", "--commit")
    lock = "manifests/releases/minilm/1.0.0/none.lock.yaml"
    text = (applied.path / lock).read_text()
    digest = next(line.split(": ")[1] for line in text.splitlines() if "sha256: " in line)
    applied.write(lock, text.replace(digest, "0" * 64))
    document = applied.json("validate", expect=1)
    frozen = [entry for entry in document["diagnostics"] if entry["code"] == "RT301"]
    assert frozen
    lines = (applied.path / lock).read_text().splitlines()
    assert any("0" * 64 in lines[entry["line"] - 1] for entry in frozen if entry["path"] == lock)


def test_storage_that_changed_without_a_lock_fails_the_build_and_names_the_file(
    applied: Applied,
) -> None:
    applied.weights("minilm", os.urandom(3_000_000))
    done = applied.tool("apply", expect=1)
    assert "model.bin" in done.stdout + done.stderr
    assert not set(applied.tags("minilm")) & {"1.0.0", "runtime-1.0.0", "weights-1.0.0"}
    (record,) = build_records(applied, "minilm/1.0.0")
    assert record["spec"]["result"] == "failed"
    assert "model.bin" in record["spec"]["error"]
    assert applied.record_files("deployments/") == []
    again = applied.json("plan")
    assert again["actions"] == []
    assert any("failed" in entry["reason"] for entry in again["skipped"])


def test_a_failed_build_is_tried_again_when_asked(applied: Applied) -> None:
    original = (applied.storage / "minilm" / "model.bin").read_bytes()
    applied.weights("minilm", b"x" * len(original))
    applied.tool("apply", expect=1)
    applied.weights("minilm", original)
    applied.tool("retry", "release/minilm/1.0.0/none")
    results = [record["spec"]["result"] for record in build_records(applied, "minilm/1.0.0")]
    assert results == ["failed", "succeeded"]


def test_one_failed_build_does_not_block_others(applied: Applied) -> None:
    applied.model("other")
    applied.release("other", "1.0.0", lock=False)
    applied.commit("Another model")
    applied.lock("other/1.0.0")
    applied.commit("Lock it")
    applied.weights("minilm", b"broken")
    report = applied.json("apply", expect=1)
    results = {entry["subject"]: entry["result"] for entry in report["results"]}
    assert results["release/other/1.0.0/none"] == "created"
    assert results["release/minilm/1.0.0/none"] == "failed"


def test_an_invalid_revision_is_refused_as_a_whole(applied: Applied) -> None:
    applied.replace("manifests/deployments/staging/search.yaml", "model: minilm", "model: minilmm")
    applied.commit("Break it")
    done = applied.tool("apply", expect=1)
    assert "RT2" in done.stderr
    assert 'did you mean "minilm"' in done.stderr
    assert applied.record_files() == []


def test_removing_a_deployment_removes_its_service(applied: Applied) -> None:
    applied.deployment("staging", "other", "minilm", "1.0.1")
    applied.commit("Deploy another")
    applied.tool("apply")
    (applied.path / "manifests/deployments/staging/other.yaml").unlink()
    applied.commit("Remove it")
    report = applied.json("apply")
    assert [(entry["kind"], entry["result"]) for entry in report["results"]] == [
        ("undeploy", "deleted")
    ]
    compose = yaml.safe_load(applied.git("show", "deploy/staging:compose.yaml"))
    assert sorted(compose["services"]) == ["search"]
    (applied.path / "manifests/deployments/staging/search.yaml").unlink()
    applied.commit("Remove the last")
    plan = applied.json("plan")
    assert plan["actions"] == []
    assert "allow_empty" in plan["skipped"][0]["reason"]


def test_a_rendered_branch_that_was_changed_by_hand_is_restored(applied: Applied) -> None:
    applied.tool("apply")
    good = applied.git("rev-parse", "deploy/staging^{tree}")
    empty = applied.git("hash-object", "-t", "tree", "-w", os.devnull)
    stray = applied.git("commit-tree", empty, "-p", "deploy/staging", "-m", "by hand")
    applied.git("update-ref", "refs/heads/deploy/staging", stray)
    applied.tool("apply")
    assert applied.git("rev-parse", "deploy/staging^{tree}") == good


def test_a_saved_plan_is_applied_only_while_it_holds(applied: Applied, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    saved.write_text(applied.tool("plan", "--format", "json").stdout)
    applied.release("minilm", "2.0.0", lock=False)
    applied.commit("Move on")
    done = applied.tool("apply", "--plan", str(saved), expect=1)
    assert "out of date" in done.stderr
    saved.write_text(applied.tool("plan", "--format", "json").stdout)
    applied.tool("apply", "--plan", str(saved))


def test_an_old_revision_needs_a_word(applied: Applied) -> None:
    done = applied.tool("apply", "--rev", "HEAD~1", expect=2)
    assert "--allow-old" in done.stderr
    applied.git("checkout", "--quiet", "--orphan", "elsewhere")
    applied.commit("Unrelated")
    applied.git("checkout", "--quiet", "main")
    assert "not on the branch" in applied.tool("apply", "--rev", "elsewhere", expect=2).stderr


def test_the_same_two_commits_give_the_same_plan_anywhere(applied: Applied, tmp_path: Path) -> None:
    applied.tool("apply")
    applied.release("minilm", "2.0.0", lock=False)
    applied.lock("minilm/2.0.0")
    applied.commit("More to do")
    here = applied.tool("plan", "--format", "json").stdout
    there = tmp_path / "there.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(applied.path), str(there)], check=True)
    shutil.rmtree(applied.storage)
    assert applied.tool("--repo", str(there), "plan", "--format", "json").stdout == here
    assert json.loads(here)["actions"]


def test_plan_exit_code_tells_pending_changes(applied: Applied) -> None:
    applied.tool("plan", "--exit-code", expect=4)
    applied.tool("apply")
    applied.tool("plan", "--exit-code", expect=0)


@pytest.mark.parametrize("command", ["skopeo"])
def test_other_tools_read_the_images(applied: Applied, command: str, tmp_path: Path) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed")
    applied.tool("apply")
    source = f"oci:{applied.store}/minilm:1.0.0"
    inspected = subprocess.run(
        [command, "inspect", source], check=True, capture_output=True, text=True
    )
    assert json.loads(inspected.stdout)["Labels"]["io.registry-tool.model"] == "minilm"
    subprocess.run(
        [command, "copy", source, f"dir:{tmp_path / 'copied'}"], check=True, capture_output=True
    )


def test_a_kubernetes_environment_is_rendered_file_by_file(applied: Applied) -> None:
    applied.write("manifests/environments/cluster.yaml", CLUSTER)
    for name in ("search", "other"):
        applied.deployment("cluster", name, "minilm", "1.0.0")
    applied.commit("Deploy to a cluster")
    applied.tool("apply")
    files = applied.git("ls-tree", "--name-only", "deploy/cluster").split()
    assert files == ["other.yaml", "search.yaml"]
    assert 'namespace: "models"' in applied.git("show", "deploy/cluster:search.yaml")
    (path,) = applied.record_files("deployments/cluster/search/")
    assert yaml.safe_load(applied.record(path))["spec"]["result"] == "delegated"
    (applied.path / "manifests/deployments/cluster/other.yaml").unlink()
    applied.commit("Remove one")
    applied.tool("apply")
    assert applied.git("ls-tree", "--name-only", "deploy/cluster").split() == ["search.yaml"]
