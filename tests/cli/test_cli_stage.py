from __future__ import annotations

import pytest
from registries import RegistryFolder

RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"
STAGING = "manifests/deployments/staging/search.yaml"
PRODUCTION = "manifests/deployments/production/search.yaml"

ODD = """\
# A comment with   odd spaces
apiVersion:   registry-tool/v1
kind: 'Release'   # quoted for no reason
spec:
    model: "minilm"

    version: 1.0.0
    stage:    candidate    # for now
    template: {name: weights,  params: {}}
    release_notes: |
        Ends without a line break"""


@pytest.fixture
def production(registry: RegistryFolder) -> RegistryFolder:
    """An environment that takes released releases from staging."""
    registry.write(
        "manifests/environments/production.yaml",
        "apiVersion: registry-tool/v1\nkind: Environment\nmetadata:\n  name: production\n"
        "spec:\n  accepts: [released]\n  promote_from: staging\n",
    )
    registry.commit("Add production")
    return registry


def test_only_the_value_changes(cli, registry: RegistryFolder) -> None:
    registry.write(RELEASE, ODD)
    ran = cli("stage", "minilm/1.0.0", "released")
    assert ran.code == 0, ran.err
    text = (registry.path / RELEASE).read_text()
    assert text == ODD.replace("stage:    candidate", "stage:    released")


def test_a_missing_value_is_added(cli, registry: RegistryFolder) -> None:
    registry.replace(RELEASE, "  stage: candidate\n", "")
    before = (registry.path / RELEASE).read_text()
    ran = cli("promote", "release/minilm/1.0/none")
    assert ran.out == f"updated {RELEASE}\n  + stage: released\n"
    assert (registry.path / RELEASE).read_text() == before + "  stage: released\n"


def test_what_changed_and_what_comes_next_are_told(cli, registry: RegistryFolder) -> None:
    ran = cli("promote", "minilm/1.0.0")
    assert ran.out == f"updated {RELEASE}\n  - stage: candidate\n  + stage: released\n"
    assert ran.err == "next: git add manifests && git commit   (--commit does both)\n"


def test_a_manifest_is_found_wherever_it_lies(cli, registry: RegistryFolder) -> None:
    registry.git("mv", RELEASE, "manifests/here.yaml")
    registry.commit("Move it")
    assert cli("demote", "minilm/1.0.0").out.startswith("unchanged release/minilm/1.0.0/none: ")
    ran = cli("promote", "minilm/1.0.0")
    assert ran.out.startswith("updated manifests/here.yaml\n")


def test_nothing_to_change_is_unchanged(cli, registry: RegistryFolder) -> None:
    ran = cli("stage", "minilm/1.0.0", "candidate", "--commit")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "unchanged release/minilm/1.0.0/none: its stage is candidate already\n"
    assert registry.git("log", "-1", "--format=%s") == "Add minilm"


def test_a_commit_does_not_answer_for_the_work_tree(cli, registry: RegistryFolder) -> None:
    cli("promote", "minilm/1.0.0")
    ran = cli("demote", "minilm/1.0.0", "--commit")
    assert ran.out.startswith("unchanged")
    assert ran.err == f"note: {RELEASE} has changes that are not committed\n"


def test_unknown_releases_get_a_suggestion(cli, registry: RegistryFolder) -> None:
    ran = cli("promote", "minilm/1.0.0/Q4")
    assert ran.code == 2
    assert "help: minilm/1.0.0 has the quantization none" in ran.err
    assert 'did you mean "minilm/1.0.0/none"?' in cli("promote", "minilm/1.0.1").err
    assert 'did you mean "minilm"?' in cli("promote", "minlm/1.0.0").err


def test_an_edit_that_breaks_something_is_refused(cli, registry: RegistryFolder) -> None:
    registry.replace("manifests/environments/staging.yaml", "{}", "{accepts: [candidate]}")
    before = (registry.path / RELEASE).read_bytes()
    ran = cli("promote", "minilm/1.0.0")
    assert ran.code == 1
    assert "error[RT302]" in ran.err
    assert STAGING in ran.err
    assert "error: nothing was changed: the result would not be valid" in ran.err
    assert (registry.path / RELEASE).read_bytes() == before


def test_a_manifest_with_errors_is_not_called_unknown(cli, registry: RegistryFolder) -> None:
    registry.replace(RELEASE, "stage: candidate", "stage: cnadidate")
    ran = cli("promote", "minilm/1.0.0")
    assert ran.code == 1
    assert f"{RELEASE}:6:10: error[RT104]" in ran.err
    assert "the manifest of release/minilm/1.0.0/none has errors" in ran.err


def test_errors_elsewhere_do_not_stand_in_the_way(cli, registry: RegistryFolder) -> None:
    registry.write("manifests/models/broken.yaml", "kind: Model\n")
    ran = cli("promote", "minilm/1.0.0")
    assert ran.code == 0
    assert "warning: the work tree has errors that this change did not make" in ran.err


def test_commit_is_a_commit_of_this_change_alone(cli, registry: RegistryFolder) -> None:
    registry.write("notes.txt", "staged")
    registry.git("add", "notes.txt")
    registry.replace("manifests/models/minilm.yaml", "spec:", "spec:\n  company: Me")
    ran = cli("promote", "minilm/1.0.0", "--commit")
    assert ran.code == 0, ran.err
    head = registry.git("rev-parse", "HEAD")
    assert ran.out.splitlines()[-1] == (
        f"committed {head[:12]} on main: Set the stage of minilm/1.0.0/none to released"
    )
    assert registry.git("show", "--format=", "--name-only", "HEAD") == RELEASE
    assert registry.git("status", "--porcelain").splitlines() == [
        " M manifests/models/minilm.yaml",
        "A  notes.txt",
    ]
    assert ran.err == "next: registry-tool apply\n"


def test_commit_with_a_remote_says_to_push(cli, registry: RegistryFolder) -> None:
    registry.git("remote", "add", "origin", "/nowhere")
    assert cli("promote", "minilm/1.0.0", "--commit").err == "next: git push\n"


def test_commit_keeps_uncommitted_edits_of_the_same_file(cli, registry: RegistryFolder) -> None:
    registry.replace(RELEASE, "spec:", "spec:\n  auto_build: false")
    ran = cli("promote", "minilm/1.0.0", "--commit")
    assert ran.code == 2
    assert f"{RELEASE} has changes in the work tree that are not committed" in ran.err
    assert registry.git("log", "-1", "--format=%s") == "Add minilm"
    assert "auto_build" in (registry.path / RELEASE).read_text()


def test_a_branch_is_made_from_head_and_the_work_tree_stays(cli, registry: RegistryFolder) -> None:
    ran = cli("promote", "minilm/1.0.0", "--branch", "release-minilm", "-m", "Ship it\n\nNow.")
    assert ran.code == 0, ran.err
    assert registry.git("log", "--format=%s", "release-minilm") == "Ship it\nAdd minilm"
    assert registry.git("status", "--porcelain", "--branch") == "## main"
    assert "stage: candidate" in (registry.path / RELEASE).read_text()
    assert ran.err == "next: git merge release-minilm\n"
    again = cli("promote", "minilm/1.0.0", "--branch", "release-minilm")
    assert again.out.startswith("unchanged")


def test_branches_add_up(cli, registry: RegistryFolder) -> None:
    cli("new", "model", "bert", "--branch", "topic")
    cli("promote", "minilm/1.0.0", "--branch", "topic")
    assert len(registry.git("log", "--format=%s", "main..topic").splitlines()) == 2


@pytest.mark.parametrize("branch", ["registry-records", "deploy/staging"])
def test_branches_of_the_recorder_are_not_for_edits(
    cli, registry: RegistryFolder, branch: str
) -> None:
    ran = cli("promote", "minilm/1.0.0", "--branch", branch)
    assert ran.code == 2
    assert f"the branch {branch} belongs to the recorder" in ran.err
    assert registry.git("branch", "--format=%(refname:short)") == "main"


def test_an_impossible_branch_name_is_told(cli, registry: RegistryFolder) -> None:
    ran = cli("promote", "minilm/1.0.0", "--branch", "a b")
    assert ran.code == 2
    assert '"a b" cannot be the name of a branch' in ran.err


def test_dry_run_prints_a_diff_that_git_applies(cli, registry: RegistryFolder) -> None:
    ran = cli("promote", "minilm/1.0.0", "--dry-run")
    assert (ran.code, ran.err) == (0, "")
    assert registry.git("status", "--porcelain") == ""
    registry.write("change.patch", ran.out)
    registry.git("apply", "change.patch")
    assert "stage: released" in (registry.path / RELEASE).read_text()


def test_a_bare_repository_is_edited_by_commits(
    anywhere, registry: RegistryFolder, tmp_path
) -> None:
    bare = tmp_path / "bare.git"
    registry.git("clone", "--quiet", "--bare", ".", str(bare))
    ran = anywhere("--repo", bare, "promote", "minilm/1.0.0")
    assert ran.code == 2
    assert "a bare repository has no work tree" in ran.err
    assert anywhere("--repo", bare, "promote", "minilm/1.0.0", "--commit").code == 0
    registry.git("pull", "--quiet", str(bare), "main")
    assert "stage: released" in (registry.path / RELEASE).read_text()


def test_promoting_a_deployment_copies_its_release(cli, production: RegistryFolder) -> None:
    production.release("minilm", "1.1.0", stage="released")
    production.deployment("production", "search", "minilm", "1.1.0")
    production.replace(RELEASE, "candidate", "released")
    production.replace(PRODUCTION, "version: 1.1.0", "version: '1.1.0' # pinned")
    production.commit()
    ran = cli("promote", "search", "--from", "staging", "--to", "production", "--commit")
    assert ran.code == 0, ran.err
    assert "version: '1.0.0' # pinned\n" in (production.path / PRODUCTION).read_text()
    assert production.git("log", "-1", "--format=%s") == (
        "Promote search to production: minilm/1.0.0/none"
    )
    again = cli("promote", "search", "--from", "staging", "--to", "production")
    assert again.out == (
        "unchanged deployment/production/search: it has minilm/1.0.0/none already\n"
    )


def test_promoting_to_an_empty_environment_writes_a_copy(cli, production: RegistryFolder) -> None:
    production.replace(RELEASE, "candidate", "released")
    production.replace(STAGING, "spec:", "# with a comment\nspec:\n  replicas: 1")
    production.commit()
    ran = cli("promote", "search", "--from", "staging", "--to", "production")
    assert ran.code == 0, ran.err
    assert ran.out == f"created {PRODUCTION}\n"
    assert "note: production had no deployment search" in ran.err
    source = (production.path / STAGING).read_text()
    expected = source.replace("environment: staging", "environment: production")
    assert (production.path / PRODUCTION).read_text() == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "--from", "staging"), "needs both environments"),
        (("search", "--from", "staging", "--to", "prod"), 'there is no environment "prod"'),
        (("chat", "--from", "staging", "--to", "production"), "there is no deployment"),
        (("search", "--from", "staging", "--to", "production"), "production accepts released"),
        (("search", "--from", "production", "--to", "staging"), "there is no deployment"),
    ],
)
def test_impossible_promotions_are_explained(
    cli, production: RegistryFolder, arguments: tuple[str, ...], message: str
) -> None:
    ran = cli("promote", *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert "help: " in ran.err
    assert production.git("status", "--porcelain") == ""


def test_promotions_follow_promote_from(cli, production: RegistryFolder) -> None:
    production.environment("test")
    production.deployment("test", "search", "minilm", "1.0.0")
    production.commit()
    ran = cli("promote", "search", "--from", "test", "--to", "production")
    assert ran.code == 2
    assert "production takes promotions from staging, not from test" in ran.err
