from __future__ import annotations

import pytest
from registries import RegistryFolder

RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"
STAGING = "manifests/deployments/staging/search.yaml"


@pytest.fixture
def deployed(cli, registry: RegistryFolder) -> RegistryFolder:
    """staging/search ran 1.0.0, then 1.1.0, and runs 1.2.0 now."""
    cli("lock", "minilm/1.0.0")
    registry.commit("Lock minilm 1.0.0")
    assert cli("apply").code == 0
    for old, new in (("1.0.0", "1.1.0"), ("1.1.0", "1.2.0")):
        registry.release("minilm", new, lock=False)
        cli("lock", f"minilm/{new}")
        registry.replace(STAGING, old, new)
        registry.commit(f"Deploy minilm {new}")
        assert cli("apply").code == 0
    return registry


def test_rollback_goes_to_the_release_that_ran_before(cli, deployed: RegistryFolder) -> None:
    before = (deployed.path / STAGING).read_text()
    ran = cli("rollback", "staging/search", "--commit")
    assert ran.code == 0, ran.err
    assert (deployed.path / STAGING).read_text() == before.replace("1.2.0", "1.1.0")
    assert (
        deployed.git("log", "-1", "--format=%s") == "Roll back staging/search to minilm/1.1.0/none"
    )
    assert ran.err == "next: registry-tool apply\n"
    assert cli("apply").code == 0
    assert "1.1.0" in deployed.git("show", "deploy/staging:compose.yaml")


def test_rollback_passes_over_what_may_not_run(cli, deployed: RegistryFolder) -> None:
    cli("yank", "minilm/1.1.0", "--reason", "Wrong tokenizer", "--commit")
    ran = cli("rollback", "staging/search")
    assert ran.code == 0, ran.err
    assert "  - version: 1.2.0\n  + version: 1.0.0\n" in ran.out


def test_rollback_twice_goes_forth_and_back(cli, deployed: RegistryFolder) -> None:
    for expected in ("1.1.0", "1.2.0"):
        assert cli("rollback", "staging/search", "--commit").code == 0
        assert f"version: {expected}" in (deployed.path / STAGING).read_text()
        assert cli("apply").code == 0


def test_rollback_to_a_named_release_or_version(cli, deployed: RegistryFolder) -> None:
    assert "+ version: 1.0.0" in cli("rollback", "staging/search", "--to", "1.0.0").out
    assert "+ version: 1.1.0" in cli("rollback", "staging/search", "--to", "minilm/1.1.0").out
    ran = cli("rollback", "staging/search", "--to", "1.1.0")
    assert ran.out == ("unchanged deployment/staging/search: it names minilm/1.1.0/none already\n")


def test_rollback_ends_tracking(cli, deployed: RegistryFolder) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        cli("promote", f"minilm/{version}")
    deployed.replace(STAGING, "version: 1.2.0", "track: {version: ^1}")
    deployed.commit("Track minilm 1")
    assert cli("apply").code == 0
    ran = cli("rollback", "staging/search")
    assert ran.code == 0, ran.err
    assert "no longer tracks releases" in ran.err
    text = (deployed.path / STAGING).read_text()
    assert "version: 1.1.0" in text
    assert "track" not in text


def test_rollback_without_history_asks_for_a_release(cli, registry: RegistryFolder) -> None:
    ran = cli("rollback", "staging/search")
    assert ran.code == 2
    assert "the records know no earlier release" in ran.err
    assert "registry-tool rollback staging/search --to RELEASE" in ran.err


def test_rollback_in_a_clone_uses_the_records_of_its_remote(
    cli, anywhere, deployed: RegistryFolder, tmp_path
) -> None:
    deployed.git("clone", "--quiet", ".", str(tmp_path / "clone"))
    ran = anywhere("--repo", tmp_path / "clone", "rollback", "staging/search", "--commit")
    assert ran.code == 0, ran.err
    assert "+ version: 1.1.0" in ran.out
    assert ran.err == "next: git push\n"


def test_rollback_in_a_clone_fetches_the_records(
    cli, anywhere, deployed: RegistryFolder, tmp_path
) -> None:
    clone = tmp_path / "clone"
    deployed.git("clone", "--quiet", "--single-branch", ".", str(clone))
    assert "+ version: 1.1.0" in anywhere("--repo", clone, "rollback", "staging/search").out
    deployed.git("-C", str(clone), "checkout", "--quiet", ".")
    # Without its remote it goes by the records that it fetched last.
    deployed.git("-C", str(clone), "remote", "set-url", "origin", "/nowhere")
    ran = anywhere("--repo", clone, "rollback", "staging/search")
    assert ran.code == 0
    assert "+ version: 1.1.0" in ran.out
    assert "note: the records known here are used" in ran.err


def test_a_yank_is_written_with_its_reason(cli, registry: RegistryFolder) -> None:
    before = (registry.path / RELEASE).read_text()
    ran = cli("yank", "minilm/1.0.0", "--reason", "Wrong: tokenizer")
    assert ran.code == 0, ran.err
    text = (registry.path / RELEASE).read_text()
    assert text == before + '  yanked:\n    reason: "Wrong: tokenizer"\n'
    assert "warning: deployment/staging/search names it" in ran.err
    assert "registry-tool rollback staging/search" in ran.err


def test_a_yank_can_be_taken_back(cli, registry: RegistryFolder) -> None:
    before = (registry.path / RELEASE).read_bytes()
    cli("yank", "minilm/1.0.0", "--reason", "Wrong tokenizer", "--commit")
    again = cli("yank", "minilm/1.0.0", "--reason", "Wrong tokenizer")
    assert again.out.startswith("unchanged release/minilm/1.0.0/none")
    assert cli("yank", "minilm/1.0.0", "--undo").code == 0
    assert (registry.path / RELEASE).read_bytes() == before
    assert cli("yank", "minilm/1.0.0", "--undo").out.endswith("it is not yanked\n")


def test_another_reason_replaces_the_first(cli, registry: RegistryFolder) -> None:
    cli("yank", "minilm/1.0.0", "--reason", "Wrong tokenizer")
    assert cli("yank", "minilm/1.0.0", "--reason", "Wrong weights").code == 0
    assert "reason: Wrong weights\n" in (registry.path / RELEASE).read_text()


@pytest.mark.parametrize("arguments", [(), ("--undo", "--reason", "x")])
def test_a_yank_has_a_reason_and_taking_it_back_has_none(cli, arguments: tuple[str, ...]) -> None:
    ran = cli("yank", "minilm/1.0.0", *arguments)
    assert ran.code == 2
    assert "help: registry-tool yank minilm/1.0.0" in ran.err


def test_suspend_and_resume(cli, registry: RegistryFolder) -> None:
    before = (registry.path / STAGING).read_text()
    assert cli("suspend", "staging/search", "--commit").code == 0
    assert (registry.path / STAGING).read_text() == before + "  suspend: true\n"
    assert cli("suspend", "staging/search").out.endswith("it is suspended already\n")
    plan = cli("plan", "--format", "json").json
    assert {"subject": "deployment/staging/search", "reason": "suspended"} in plan["skipped"]
    assert cli("resume", "deployment/staging/search", "--commit").code == 0
    assert cli("resume", "staging/search").out.endswith("it is not suspended\n")
    assert cli("plan", "--format", "json").json["summary"]["deploy"] == 1


def test_unknown_deployments_get_a_suggestion(cli, registry: RegistryFolder) -> None:
    ran = cli("suspend", "staging/serach")
    assert ran.code == 2
    assert 'did you mean "staging/search"?' in ran.err
    assert "does not name a deployment" in cli("suspend", "search").err
