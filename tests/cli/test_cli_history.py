import pytest
from registries import RegistryFolder

RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"


def texts(document) -> list[str]:
    return [event["text"] for event in document["events"]]


def test_commits_of_manifests_newest_first(cli, registry: RegistryFolder) -> None:
    registry.write("README.md", "hello\n")
    registry.commit("Write a readme")
    registry.replace(RELEASE, "stage: candidate", "stage: released")
    registry.commit("Release it")
    document = cli("history", "--format", "json").json
    assert texts(document) == ["Release it", "Add minilm"]
    event = document["events"][0]
    assert event["kind"] == "commit"
    assert event["name"] == registry.git("rev-parse", "HEAD")
    assert event["who"] == "Ada Lovelace"
    lines = cli("history").out.splitlines()
    assert lines[1].endswith("Release it")


def test_a_subject_has_its_own_commits_only(cli, registry: RegistryFolder) -> None:
    registry.environment("production")
    registry.commit("Add production")
    assert texts(cli("history", "environment/production", "--format", "json").json) == [
        "Add production"
    ]
    assert texts(cli("history", "release/minilm/1.0.0", "--format", "json").json) == ["Add minilm"]


def test_moved_files_are_followed_by_identity(cli, registry: RegistryFolder) -> None:
    registry.git("mv", RELEASE, "manifests/elsewhere.yaml")
    registry.commit("Move it")
    registry.git("mv", "manifests/elsewhere.yaml", "manifests/again.yaml")
    registry.replace("manifests/again.yaml", "stage: candidate", "stage: released")
    registry.commit("Move it again and release it")
    document = cli("history", "release/minilm/1.0.0", "--format", "json").json
    assert texts(document) == ["Move it again and release it", "Move it", "Add minilm"]


def test_a_changed_lock_or_template_file_is_history_of_its_subject(
    cli, registry: RegistryFolder
) -> None:
    (registry.storage / "minilm/model.bin").write_bytes(b"better")
    registry.release("minilm", "1.0.0")
    registry.commit("Lock anew")
    registry.write("build_templates/weights/run.sh", "echo\n")
    registry.commit("Add a script")
    assert texts(cli("history", "release/minilm/1.0.0", "--format", "json").json) == [
        "Lock anew",
        "Add minilm",
    ]
    assert texts(cli("history", "template/weights", "--format", "json").json)[0] == "Add a script"


def test_a_deleted_subject_keeps_its_history(cli, registry: RegistryFolder) -> None:
    registry.git("rm", "-q", "manifests/deployments/staging/search.yaml")
    registry.commit("Stop searching")
    document = cli("history", "deployment/staging/search", "--format", "json").json
    assert texts(document) == ["Stop searching", "Add minilm"]


def test_records_stand_beside_commits(cli, applied: RegistryFolder) -> None:
    events = cli("history", "--format", "json").json["events"]
    order = [event["kind"] for event in events]
    assert order[:2] == ["deployment", "build"]
    assert set(order[2:]) == {"commit"}
    mine = cli("history", "deployment/staging/search", "--format", "json").json["events"]
    assert {event["kind"] for event in mine} == {"commit", "deployment"}
    release = cli("history", "release/minilm/1.0.0", "--format", "json").json["events"]
    assert {event["kind"] for event in release} == {"commit", "build", "deployment"}


def test_limit(cli, registry: RegistryFolder) -> None:
    for number in range(4):
        registry.environment(f"e{number}")
        registry.commit(f"Add e{number}")
    document = cli("history", "--limit", "2", "--format", "json").json
    assert texts(document) == ["Add e3", "Add e2"]
    assert cli("history", "--limit", "0").code == 2


@pytest.mark.parametrize(
    "subject, hint",
    [
        ("model/minlm", 'did you mean "model/minilm"?'),
        ("artifact/" + "0" * 64, "registry-tool show"),
    ],
)
def test_subjects_without_history(cli, subject: str, hint: str) -> None:
    ran = cli("history", subject)
    assert ran.code == 2
    assert hint in ran.err
