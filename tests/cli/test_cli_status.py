from registries import RegistryFolder


def only(document) -> dict[str, object]:
    (entry,) = document["deployments"]
    return entry


def test_before_anything_is_applied_all_is_pending(cli) -> None:
    entry = only(cli("status", "--format", "json").json)
    assert entry["subject"] == "deployment/staging/search"
    assert entry["wanted"] == "minilm/1.0.0/none"
    assert entry["release"] is None
    assert str(entry["pending"]).startswith("deploy: ")
    text = cli("status")
    assert "nothing recorded yet" in text.err
    assert "minilm/1.0.0/none" in text.out


def test_after_apply_the_record_is_shown_and_nothing_is_pending(cli, applied) -> None:
    document = cli("status", "--format", "json").json
    entry = only(document)
    assert entry["release"] == entry["wanted"] == "minilm/1.0.0/none"
    assert entry["result"] == "delegated"
    assert str(entry["digest"]).startswith("sha256:")
    assert entry["who"] == "Ada Lovelace"
    assert entry["pending"] is None
    assert entry["drift"] is False
    assert document["drift"] == []
    line = cli("status").out.splitlines()[1]
    assert "same" in line
    assert str(entry["digest"])[7:19] in line


def test_a_new_release_that_is_not_applied_yet_is_pending(cli, applied: RegistryFolder) -> None:
    applied.release("minilm", "1.1.0")
    applied.replace("manifests/deployments/staging/search.yaml", "1.0.0", "1.1.0")
    applied.commit()
    entry = only(cli("status", "staging", "--format", "json").json)
    assert entry["wanted"] == "minilm/1.1.0/none"
    assert entry["release"] == "minilm/1.0.0/none"
    assert entry["pending"]


def test_a_removed_deployment_stays_until_it_is_undeployed(cli, applied: RegistryFolder) -> None:
    applied.deployment("staging", "other", "minilm", "1.0.0")
    applied.git("rm", "-q", "manifests/deployments/staging/search.yaml")
    applied.commit()
    entries = cli("status", "--format", "json").json["deployments"]
    assert [(entry["name"], entry["wanted"]) for entry in entries] == [
        ("other", "minilm/1.0.0/none"),
        ("search", None),
    ]
    assert entries[1]["pending"].startswith("remove: ")
    assert "(removed)" in cli("status").out


def test_a_changed_rendered_branch_is_drift(cli, applied: RegistryFolder) -> None:
    tree = applied.git("rev-parse", "HEAD^{tree}")
    commit = applied.git("commit-tree", tree, "-m", "By hand", "-p", "deploy/staging")
    applied.git("update-ref", "refs/heads/deploy/staging", commit)
    document = cli("status", "--format", "json").json
    assert only(document)["drift"] is True
    assert "deploy/staging: compose.yaml is missing" in document["drift"]
    ran = cli("plan", "--observe", "--exit-code")
    assert ran.code == 4
    assert "deploy/staging: compose.yaml is missing" in ran.out
    assert ran.out.endswith(
        "No changes but the drift.\nPlan: 0 to build, 0 to deploy, 0 to remove.\n"
    )
    assert cli("plan", "--exit-code").code == 0
    plan = cli("plan", "--observe", "--format", "json").json
    assert plan["drift"] == document["drift"]


def test_an_image_that_left_the_store_is_drift(cli, applied: RegistryFolder) -> None:
    import shutil

    shutil.rmtree(applied.path / ".git/registry-tool/store")
    ran = cli("plan", "--observe")
    assert "deployment/staging/search: its image sha256:" in ran.out


def test_without_drift_observing_says_so(cli, applied: RegistryFolder) -> None:
    assert "Observed: no drift." in cli("plan", "--observe").out
    assert "Observed: no drift." in cli("plan", "--observe", "--format", "markdown").out


def test_a_clone_reads_fetched_records_and_cannot_observe(
    anywhere, applied: RegistryFolder, tmp_path
) -> None:
    clone = tmp_path / "clone"
    applied.git("clone", "--quiet", str(applied.path), str(clone))
    entry = only(anywhere("--repo", clone, "status", "--format", "json").json)
    assert entry["result"] == "delegated"
    assert anywhere("--repo", clone, "plan", "--exit-code").code == 0
    assert anywhere("--repo", clone, "plan", "--observe").code == 2


def test_an_unknown_environment_gets_a_suggestion(cli) -> None:
    ran = cli("status", "stagin")
    assert ran.code == 2
    assert 'did you mean "staging"?' in ran.err


def test_an_environment_without_deployments(cli, registry: RegistryFolder) -> None:
    registry.environment("production")
    registry.commit()
    ran = cli("status", "production")
    assert (ran.code, ran.out) == (0, "")
    assert "no deployments in production" in ran.err


def test_invalid_manifests_leave_what_is_recorded(cli, applied: RegistryFolder) -> None:
    applied.replace("manifests/releases/minilm/1.0.0/none.yaml", "name: weights", "name: weigths")
    applied.commit()
    ran = cli("status", "--format", "json")
    assert ran.code == 0
    assert "nothing is shown as pending" in ran.err
    assert only(ran.json)["result"] == "delegated"
