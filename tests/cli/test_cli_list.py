import pytest
from registries import RegistryFolder


@pytest.mark.parametrize(
    "kind, subject",
    [
        ("models", "model/minilm"),
        ("model", "model/minilm"),
        ("releases", "release/minilm/1.0.0/none"),
        ("environments", "environment/staging"),
        ("deployment", "deployment/staging/search"),
        ("templates", "template/weights"),
    ],
)
def test_every_kind_is_listed_for_people_and_programs(cli, kind: str, subject: str) -> None:
    document = cli("list", kind, "--format", "json").json
    assert [item["subject"] for item in document["items"]] == [subject]
    assert document["kind"] == kind.removesuffix("s") + "s"
    shown = cli("list", kind).out.splitlines()
    assert len(shown) == 2
    assert shown[1].startswith(subject.partition("/")[2])


def test_artifacts_are_listed_once_for_all_their_releases(cli, registry: RegistryFolder) -> None:
    registry.release("minilm", "1.1.0")
    registry.commit()
    (item,) = cli("list", "artifacts", "--format", "json").json["items"]
    assert item["path"] == "model.bin"
    assert item["releases"] == ["release/minilm/1.0.0/none", "release/minilm/1.1.0/none"]


def test_an_item_has_the_fields_of_its_manifest(cli, registry: RegistryFolder) -> None:
    (item,) = cli("list", "models", "--format", "json").json["items"]
    assert item["path"] == "manifests/models/minilm.yaml"
    assert item["spec"]["storage_path"] == f"{registry.storage}/minilm"
    assert item["spec"]["tags"] == []


def test_releases_are_sorted_by_precedence_and_filtered(cli, registry: RegistryFolder) -> None:
    registry.model("other")
    registry.release("other", "1.0.0", stage="released")
    registry.release("minilm", "1.10.0", stage="released")
    registry.release("minilm", "1.9.0")
    registry.commit()

    def listed(*options: str) -> list[str]:
        items = cli("list", "releases", *options, "--format", "json").json["items"]
        return [item["subject"] for item in items]

    assert listed("--model", "minilm") == [
        "release/minilm/1.10.0/none",
        "release/minilm/1.9.0/none",
        "release/minilm/1.0.0/none",
    ]
    assert listed("--stage", "released") == [
        "release/minilm/1.10.0/none",
        "release/other/1.0.0/none",
    ]
    assert listed("--stage", "released", "--model", "other") == ["release/other/1.0.0/none"]


def test_an_older_revision_is_listed_as_it_was(cli, registry: RegistryFolder) -> None:
    registry.release("minilm", "1.1.0")
    registry.commit()
    assert len(cli("list", "releases", "--rev", "HEAD^", "--format", "json").json["items"]) == 1


def test_nothing_to_list_is_said_on_stderr(cli) -> None:
    ran = cli("list", "builds")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err.startswith("no builds at main@")
    assert cli("list", "api-keys", "--format", "json").json["items"] == []


@pytest.mark.parametrize(
    "arguments, hint",
    [
        (("relaeses",), 'did you mean "releases"?'),
        (("things",), "the kinds are models, "),
        (("models", "--stage", "released"), "models can be listed with no filter"),
        (("releases", "--stage", "relesed"), 'did you mean "released"?'),
        (("releases", "--environment", "x"), "releases can be listed with --model, --stage"),
    ],
)
def test_mistakes_are_answered_with_what_is_possible(cli, arguments, hint: str) -> None:
    ran = cli("list", *arguments)
    assert ran.code == 2
    assert hint in ran.err


def test_invalid_manifests_are_left_out_with_a_note(cli, registry: RegistryFolder) -> None:
    registry.write("manifests/models/bad.yaml", "kind: Model\nspec: {}\n")
    registry.commit("Break it")
    ran = cli("list", "models", "--format", "json")
    assert [item["subject"] for item in ran.json["items"]] == ["model/minilm"]
    assert "invalid manifests, which are left out" in ran.err


def test_an_unborn_branch_is_explained(anywhere, empty_registry: RegistryFolder) -> None:
    ran = anywhere("--repo", empty_registry.path, "list", "models")
    assert ran.code == 3
    assert "RT604" in ran.err
