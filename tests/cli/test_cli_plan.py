import json

from registries import RegistryFolder

RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"


def test_text_lists_actions_and_ends_with_totals(cli) -> None:
    ran = cli("plan")
    assert ran.code == 0
    assert "+ build release/minilm/1.0.0/none\n" in ran.out
    assert "+ deploy deployment/staging/search\n" in ran.out
    assert ran.out.endswith("Plan: 1 to build, 1 to deploy, 0 to remove.\n")


def test_json_is_canonical_and_the_same_each_time(cli, registry: RegistryFolder) -> None:
    first = cli("plan", "--format", "json")
    assert first.out == cli("plan", "--format", "json").out
    plan = first.json
    assert set(plan) == {"format_version", "head", "base", "actions", "skipped", "summary"}
    assert plan["head"] == registry.git("rev-parse", "HEAD")
    assert plan["base"] is None
    assert plan["summary"] == {"build": 1, "deploy": 1, "undeploy": 0}


def test_markdown_starts_with_the_totals(cli) -> None:
    assert cli("plan", "--format", "markdown").out.startswith("### Plan: 1 to build, 1 to deploy")


def test_exit_code_says_that_something_is_to_be_done(cli) -> None:
    assert cli("plan", "--exit-code").code == 4


def test_exit_code_without_actions(anywhere, empty_registry: RegistryFolder) -> None:
    empty_registry.commit("Begin")
    ran = anywhere("--repo", empty_registry.path, "plan", "--exit-code")
    assert ran.code == 0
    assert ran.out.endswith("No changes.\nPlan: 0 to build, 0 to deploy, 0 to remove.\n")


def test_a_release_without_lock_is_skipped(cli, registry: RegistryFolder) -> None:
    registry.release("minilm", "2.0.0", lock=False)
    registry.commit()
    ran = cli("plan", "--format", "json")
    assert {"subject": "release/minilm/2.0.0/none", "reason": "not locked"} in ran.json["skipped"]


def test_base_leaves_out_what_the_base_would_do(cli, registry: RegistryFolder) -> None:
    base = registry.git("rev-parse", "HEAD")
    registry.release("minilm", "1.1.0")
    registry.commit()
    plan = cli("plan", "--base", base, "--format", "json").json
    assert [(entry["kind"], entry["subject"]) for entry in plan["actions"]] == [
        ("build", "release/minilm/1.1.0/none")
    ]
    assert cli("plan", "--base", "HEAD", "--exit-code").code == 0


def test_an_invalid_base_is_told_and_left_out(cli, registry: RegistryFolder) -> None:
    registry.replace(RELEASE, "name: weights", "name: weigths")
    broken = registry.commit("Break it")
    registry.replace(RELEASE, "name: weigths", "name: weights")
    registry.commit("Mend it")
    ran = cli("plan", "--base", broken)
    assert ran.code == 0
    assert "has errors and would not be applied" in ran.err
    assert ran.out.endswith("Plan: 1 to build, 1 to deploy, 0 to remove.\n")


def test_head_names_another_revision(cli, registry: RegistryFolder) -> None:
    before = registry.git("rev-parse", "HEAD")
    registry.release("minilm", "1.1.0")
    registry.commit()
    assert cli("plan", "--head", before, "--format", "json").json["summary"]["build"] == 1
    assert cli("plan", "--format", "json").json["summary"]["build"] == 2


def test_uncommitted_manifests_are_mentioned_and_not_planned(cli, registry: RegistryFolder) -> None:
    committed = cli("plan", "--format", "json")
    assert committed.err == ""
    registry.release("minilm", "1.1.0")
    ran = cli("plan", "--format", "json")
    assert ran.out == committed.out
    assert "not planned, because not committed: manifests/releases/minilm/1.1.0" in ran.err
    assert cli("plan", "--head", "HEAD").err == ""


def test_invalid_manifests_are_refused_with_their_diagnostics(cli, registry) -> None:
    registry.replace(RELEASE, "name: weights", "name: weigths")
    registry.commit("Break it")
    ran = cli("plan")
    assert (ran.code, ran.out) == (1, "")
    assert "error[RT211]" in ran.err


def test_a_file_beside_the_manifests_changes_no_action(cli, registry: RegistryFolder) -> None:
    before = cli("plan", "--format", "json").json
    registry.write("README.md", "hello\n")
    registry.git("mv", RELEASE, "manifests/releases/moved.yaml")
    registry.commit("Move the release")
    after = cli("plan", "--format", "json").json
    assert after["actions"] == before["actions"]


def test_a_saved_plan_is_a_plan(cli) -> None:
    from registry_tool.domain.plan import Plan

    out = cli("plan", "--format", "json").out
    assert Plan.model_validate_json(out).to_json().decode() == out
    assert json.loads(out)["actions"]
