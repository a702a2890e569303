import pytest
from registries import RegistryFolder

RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"


@pytest.mark.parametrize(
    "subject, expected",
    [
        ("model/minilm", "release  "),
        ("release/minilm/1.0.0", "deployments\n"),
        ("release/minilm/1.0.0/none", "files:"),
        ("environment/staging", "search"),
        ("deployment/staging/search", "not deployed yet"),
        ("template/weights", "minilm/1.0.0/none"),
    ],
)
def test_every_kind_has_a_page(cli, subject: str, expected: str) -> None:
    ran = cli("show", subject)
    assert ran.code == 0
    assert ran.out.startswith(subject)
    assert expected.lower() in ran.out.lower()
    if not subject.startswith("artifact/"):
        assert "Ada Lovelace: Add minilm" in ran.out


def test_json_has_the_manifest_the_commit_and_the_records(cli, registry: RegistryFolder) -> None:
    page = cli("show", "release/minilm/1.0.0", "--format", "json").json
    assert page["subject"] == "release/minilm/1.0.0/none"
    assert page["path"] == RELEASE
    assert page["spec"]["stage"] == "candidate"
    assert page["commit"]["oid"] == registry.git("rev-parse", "HEAD")
    assert page["commit"]["author"] == {"name": "Ada Lovelace", "email": "ada@example.org"}
    assert page["lock"]["spec"]["files"][0]["path"] == "model.bin"
    assert page["builds"] == []
    assert page["deployments"] == [
        {"subject": "deployment/staging/search", "wanted": True, "runs": False}
    ]


def test_a_file_is_found_by_its_checksum(cli, registry: RegistryFolder) -> None:
    (item,) = cli("list", "artifacts", "--format", "json").json["items"]
    page = cli("show", item["subject"], "--format", "json").json
    assert page["places"] == [
        {"release": "release/minilm/1.0.0/none", "path": "model.bin", "role": "weights"}
    ]
    assert "model.bin" in cli("show", item["subject"]).out
    ran = cli("show", "artifact/" + "0" * 64)
    assert ran.code == 2
    assert "list artifacts" in ran.err


def test_a_release_that_was_applied_shows_images_and_where_it_runs(cli, applied) -> None:
    page = cli("show", "release/minilm/1.0.0", "--format", "json").json
    (build,) = page["builds"]
    assert build["result"] == "succeeded"
    assert {image["role"] for image in build["images"]} == {"complete", "runtime", "weights"}
    assert page["deployments"][0]["runs"] is True
    text = cli("show", "release/minilm/1.0.0").out
    for image in build["images"]:
        assert f"{image['reference']}@{image['digest']}" in text
    assert "staging/search: runs\n" in text
    text = cli("show", "deployment/staging/search").out
    assert "delegated" in text
    assert "Ada Lovelace <ada@example.org>" in text


def test_an_older_revision(cli, registry: RegistryFolder) -> None:
    registry.replace(RELEASE, "stage: candidate", "stage: released")
    registry.commit()
    assert cli("show", "release/minilm/1.0.0", "--format", "json").json["spec"]["stage"] == (
        "released"
    )
    old = cli("show", "release/minilm/1.0.0", "--rev", "HEAD^", "--format", "json").json
    assert old["spec"]["stage"] == "candidate"


@pytest.mark.parametrize(
    "subject, hint",
    [
        ("minlm", 'did you mean "minilm"?'),
        ("model/minlm", 'did you mean "model/minilm"?'),
        ("deployment/staging/serch", 'did you mean "deployment/staging/search"?'),
        ("nonsense", "write KIND/NAME"),
    ],
)
def test_mistyped_subjects_get_a_suggestion(cli, subject: str, hint: str) -> None:
    ran = cli("show", subject)
    assert ran.code == 2
    assert hint in ran.err


@pytest.mark.parametrize(
    "short, subject",
    [
        ("minilm", "model/minilm"),
        ("minilm/1.0.0", "release/minilm/1.0.0/none"),
        ("minilm/1.0", "release/minilm/1.0.0/none"),
        ("minilm/1.0.0/none", "release/minilm/1.0.0/none"),
        ("staging/search", "deployment/staging/search"),
    ],
)
def test_the_kind_may_be_left_out(cli, short: str, subject: str) -> None:
    assert cli("show", short).out == cli("show", subject).out
    assert cli("history", short).out == cli("history", subject).out


def test_a_name_of_two_subjects_is_not_guessed(cli, registry: RegistryFolder) -> None:
    registry.model("staging")
    registry.commit("Add a model that is named like an environment")
    ran = cli("show", "staging")
    assert ran.code == 2
    assert '"staging" may be environment/staging or model/staging' in ran.err
    assert cli("show", "model/staging").code == 0


def test_a_bare_repository_is_enough(anywhere, registry: RegistryFolder, tmp_path) -> None:
    bare = tmp_path / "bare.git"
    registry.git("clone", "--quiet", "--bare", str(registry.path), str(bare))
    assert anywhere("--repo", bare, "show", "model/minilm").code == 0
