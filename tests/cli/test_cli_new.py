from __future__ import annotations

import pytest
from registries import RegistryFolder

from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.manifests.loading import Loaded, load
from registry_tool.repository.repository import Repository


def loaded(registry: RegistryFolder) -> Loaded:
    with Repository.open(registry.path) as repository:
        source = repository.work_tree_snapshot()
        result = load(source)
        assert result.desired is not None
        assert result.diagnostics == ()
        return result


def test_a_model_gets_all_given_fields(cli, registry: RegistryFolder) -> None:
    ran = cli(
        *("new", "model", "bert", "--company", "Google", "--description", "Reads: text #1"),
        *("--base-model", "none at all", "--parameter-count", "110M", "--license", "Apache-2.0"),
        *("--tag", "nlp", "--tag", "no", "--label", "team=search"),
    )
    assert (ran.code, ran.out) == (0, "created manifests/models/bert.yaml\n")
    assert ran.err == "next: registry-tool new release bert/1.0.0\n"
    model = loaded(registry).desired.models["bert"].manifest
    assert model.spec.storage_path == f"{registry.storage}/bert"
    assert model.spec.description == "Reads: text #1"
    assert model.spec.company == "Google"
    assert model.spec.base_model == "none at all"
    assert model.spec.parameter_count == 110_000_000
    assert model.spec.license == "Apache-2.0"
    assert model.spec.tags == ("nlp", "no")
    assert model.metadata.labels == {"team": "search"}


def test_fields_that_were_not_given_are_there_as_comments(cli, registry: RegistryFolder) -> None:
    cli("new", "model", "bert")
    text = (registry.path / "manifests/models/bert.yaml").read_text()
    assert "  # Who made the model.\n  # company: Example Labs\n" in text


def test_a_release_takes_the_only_template_and_a_canonical_version(
    cli, registry: RegistryFolder
) -> None:
    ran = cli(
        *("new", "release", "minilm/v2.1/Q4_K_M", "--notes", "Smaller\\nfaster", "--no-auto-build"),
        *("--include", "*.gguf", "--exclude", "old/**", "--platform", "linux/arm64"),
        *("--stage", "released"),
    )
    assert ran.code == 0, ran.err
    assert ran.err == "next: registry-tool lock minilm/2.1.0/Q4_K_M\n"
    release = loaded(registry).desired.releases[ReleaseId("minilm", "2.1.0", "Q4_K_M")]
    assert release.path == "manifests/releases/minilm/2.1.0/Q4_K_M.yaml"
    spec = release.manifest.spec
    assert spec.template.name == "weights"
    assert spec.release_notes.rstrip() == "Smaller\nfaster"
    assert spec.artifacts.include == ("*.gguf",)
    assert spec.artifacts.exclude == ("old/**",)
    assert spec.platforms == ("linux/arm64",)
    assert spec.auto_build is False
    assert spec.stage == "released"


def test_parameters_keep_their_json_types(cli, registry: RegistryFolder) -> None:
    registry.write(
        "build_templates/weights/template.yaml",
        "apiVersion: registry-tool/v1\nkind: BuildTemplate\nmetadata:\n  name: weights\nspec:\n"
        "  params:\n    properties:\n      workers: {type: integer}\n      name: {type: string}\n"
        "  image:\n    base: scratch\n",
    )
    ran = cli("new", "release", "minilm/2.0.0", "--param", "workers=4", "--param", "name=x")
    assert ran.code == 0, ran.err
    release = loaded(registry).desired.releases[ReleaseId("minilm", "2.0.0")].manifest
    assert release.spec.template.params == {"workers": 4, "name": "x"}


def test_several_templates_need_a_choice_for_a_new_model(cli, registry: RegistryFolder) -> None:
    cli("new", "template", "other")
    ran = cli("new", "model", "bert")
    assert ran.err == "next: registry-tool new release bert/1.0.0 --template other\n"
    ran = cli("new", "release", "bert/1.0.0")
    assert ran.code == 2
    assert "there are other, weights" in ran.err
    # Another version of a model is made as the one before it.
    assert cli("new", "release", "minilm/2.0.0").code == 0
    release = loaded(registry).desired.releases[ReleaseId("minilm", "2.0.0")].manifest
    assert release.spec.template.name == "weights"


def test_an_environment_gets_all_given_fields(cli, registry: RegistryFolder) -> None:
    ran = cli(
        *("new", "environment", "production", "--type", "kubernetes", "--namespace", "models"),
        *("--accepts", "released", "--promote-from", "staging", "--soak", "1h30m"),
    )
    assert ran.code == 0, ran.err
    spec = loaded(registry).desired.environments["production"].manifest.spec
    assert (spec.target.type, spec.target.namespace) == ("kubernetes", "models")
    assert spec.accepts == ("released",)
    assert spec.promote_from == "staging"
    assert spec.soak is not None
    assert spec.soak.total_seconds() == 5400


def test_a_deployment_gets_all_given_fields(cli, registry: RegistryFolder) -> None:
    cli("new", "environment", "edge", "--type", "kubernetes")
    ran = cli(
        *("new", "deployment", "edge/chat", "--release", "minilm/1.0.0", "--replicas", "3"),
        *("--port", "8080:80", "--port", "9000/udp", "--env", "A=b=c", "--secret", "token"),
        *("--weights", "image"),
    )
    assert ran.code == 0, ran.err
    deployment = loaded(registry).desired.deployments[DeploymentId("edge", "chat")]
    assert deployment.path == "manifests/deployments/edge/chat.yaml"
    spec = deployment.manifest.spec
    assert (spec.model, spec.version, spec.quantization) == ("minilm", "1.0.0", "none")
    ports = [(port.container, port.host, port.protocol) for port in spec.ports]
    assert ports == [(80, 8080, "tcp"), (9000, None, "udp")]
    assert spec.env == {"A": "b=c"}
    assert spec.secrets == ("token",)
    assert (spec.replicas, spec.weights) == (3, "image")


def test_a_deployment_may_track(cli, registry: RegistryFolder) -> None:
    registry.replace("manifests/releases/minilm/1.0.0/none.yaml", "candidate", "released")
    registry.commit()
    ran = cli("new", "deployment", "staging/chat", "--model", "minilm", "--track", "^1")
    assert ran.code == 0, ran.err
    spec = loaded(registry).desired.deployments[DeploymentId("staging", "chat")].manifest.spec
    assert spec.version is None
    assert spec.track is not None
    assert spec.track.version == "^1"


@pytest.mark.parametrize("kind", ["--native", "--dockerfile"])
def test_a_template_is_valid(cli, registry: RegistryFolder, kind: str) -> None:
    assert cli("new", "template", "mine", kind).code == 0
    template = loaded(registry).desired.templates["mine"]
    assert (template.manifest.spec.image is None) == (kind == "--dockerfile")
    assert template.files
    assert cli("validate").code == 0


def test_a_deployment_of_an_unlocked_release_is_refused_with_its_diagnostic(
    cli, registry: RegistryFolder
) -> None:
    registry.release("minilm", "2.0.0", lock=False)
    ran = cli("new", "deployment", "staging/chat", "--release", "minilm/2.0.0")
    assert ran.code == 1
    assert "error[RT502]" in ran.err
    assert "nothing was changed" in ran.err
    assert not (registry.path / "manifests/deployments/staging/chat.yaml").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("model", "Bert"), '"Bert" cannot be the name of a model'),
        (("environment", "my_env"), "cannot be the name of an environment"),
        (("release", "minilm"), "does not name a release"),
        (("release", "minilm/1.0+x"), "build metadata"),
        (("deployment", "staging/chat"), "either names a release or follows"),
        (("deployment", "staging/chat", "--release", "minilm/9"), "there is no release"),
        (("deployment", "staging/c", "--release", "minilm/1", "--port", "x"), "[HOST:]CONTAINER"),
        (("deployment", "staging/c", "--release", "minilm/1", "--env", "X"), "KEY=VALUE"),
        (("model", "bert", "-m", "text"), "no commit is asked for"),
    ],
)
def test_impossible_arguments_say_what_is_wanted(
    cli, arguments: tuple[str, ...], message: str
) -> None:
    ran = cli("new", *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert "help: " in ran.err


def test_an_existing_manifest_is_never_overwritten(cli, registry: RegistryFolder) -> None:
    before = (registry.path / "manifests/models/minilm.yaml").read_bytes()
    ran = cli("new", "model", "minilm")
    assert ran.code == 2
    assert "manifests/models/minilm.yaml exists already" in ran.err
    assert (registry.path / "manifests/models/minilm.yaml").read_bytes() == before


def test_the_same_identity_at_another_path_is_refused(cli, registry: RegistryFolder) -> None:
    registry.git("mv", "manifests/models/minilm.yaml", "manifests/models/other.yaml")
    ran = cli("new", "model", "minilm")
    assert ran.code == 1
    assert "error[RT201]" in ran.err
    assert not (registry.path / "manifests/models/minilm.yaml").exists()


def test_commit_makes_one_commit_of_the_new_file(cli, registry: RegistryFolder) -> None:
    ran = cli("new", "model", "bert", "--commit")
    assert ran.code == 0, ran.err
    assert registry.git("log", "-1", "--format=%s") == "Add model bert"
    assert registry.git("show", "--name-only", "--format=") == "manifests/models/bert.yaml"
    assert registry.git("status", "--porcelain") == ""


def test_dry_run_prints_the_file_and_writes_nothing(cli, registry: RegistryFolder) -> None:
    ran = cli("new", "model", "bert", "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith("--- /dev/null\n+++ b/manifests/models/bert.yaml\n@@ ")
    assert registry.git("status", "--porcelain") == ""


def test_a_commit_that_fails_names_the_uncommitted_files_it_did_not_see(
    cli, registry: RegistryFolder, tmp_path
) -> None:
    """The user has just allowed the prefix, but has not committed that."""
    allowed = f"allowed: [{registry.storage}"
    registry.replace("manifests/registry.yaml", allowed, f"{allowed}, {tmp_path}/more")
    new = ("new", "model", "bert", "--storage-path", f"{tmp_path}/more/bert")
    ran = cli(*new, "--commit")
    assert ran.code == 1
    assert "error[RT501]" in ran.err
    assert "were not looked at: manifests/registry.yaml\n" in ran.err
    assert cli(*new).code == 0
