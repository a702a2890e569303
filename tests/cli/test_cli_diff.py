from registries import RegistryFolder

RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"


def test_fields_are_compared_by_identity(cli, registry: RegistryFolder) -> None:
    registry.replace(RELEASE, "stage: candidate", "stage: released")
    registry.release("minilm", "1.1.0")
    registry.git("rm", "-q", "manifests/deployments/staging/search.yaml")
    registry.commit()
    ran = cli("diff", "HEAD^", "HEAD")
    assert ran.code == 0
    assert ran.out == (
        "- deployment/staging/search\n"
        "~ release/minilm/1.0.0/none\n"
        "    spec.stage: candidate → released\n"
        "+ release/minilm/1.1.0/none\n"
        "\n"
        "1 created, 1 updated, 1 deleted.\n"
    )


def test_json_has_old_and_new_values(cli, registry: RegistryFolder) -> None:
    registry.replace(RELEASE, "stage: candidate", "stage: released")
    registry.commit()
    document = cli("diff", "HEAD^", "HEAD", "--format", "json").json
    assert document["from"].endswith(registry.git("rev-parse", "HEAD^"))
    assert document["subjects"] == [
        {
            "subject": "release/minilm/1.0.0/none",
            "change": "updated",
            "fields": [{"field": "spec.stage", "old": "candidate", "new": "released"}],
        }
    ]
    assert document["summary"] == {"created": 0, "updated": 1, "deleted": 0}


def test_moves_comments_and_other_files_are_no_difference(cli, registry: RegistryFolder) -> None:
    registry.git("mv", RELEASE, "manifests/moved.yaml")
    registry.replace("manifests/models/minilm.yaml", "kind: Model", "kind: Model  # ours")
    registry.write("README.md", "hello\n")
    registry.commit()
    assert cli("diff", "HEAD^", "HEAD").out == "No differences.\n"


def test_locked_files_and_template_files_belong_to_their_subjects(
    cli, registry: RegistryFolder
) -> None:
    (registry.storage / "minilm/model.bin").write_bytes(b"other weights")
    registry.release("minilm", "1.0.0")
    registry.write("build_templates/weights/run.sh", "echo\n")
    registry.commit()
    subjects = cli("diff", "HEAD^", "HEAD", "--format", "json").json["subjects"]
    fields = {entry["subject"]: [field["field"] for field in entry["fields"]] for entry in subjects}
    assert fields == {
        "release/minilm/1.0.0/none": ["lock.files[model.bin].sha256", "lock.files[model.bin].size"],
        "template/weights": ["files[run.sh]"],
    }


def test_unknown_revisions_are_environment_problems(cli) -> None:
    assert cli("diff", "HEAD", "nope").code == 3
