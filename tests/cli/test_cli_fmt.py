from registries import RegistryFolder

MODEL = "manifests/models/minilm.yaml"
UNTIDY = """\
# ours
kind: Model
apiVersion: registry-tool/v1
spec:
    storage_path:   {storage}/minilm  # on Ceph
metadata: {{name: minilm}}
"""


def test_formatting_keeps_comments_and_settles(cli, registry: RegistryFolder) -> None:
    file = registry.write(MODEL, UNTIDY.format(storage=registry.storage))
    ran = cli("fmt", file)
    assert ran.code == 0
    assert ran.out.startswith("formatted ")
    formatted = file.read_text()
    assert formatted.index("apiVersion") < formatted.index("kind: Model")
    assert "# ours" in formatted
    assert "# on Ceph" in formatted
    assert cli("fmt", file).out == ""
    assert file.read_text() == formatted
    assert cli("validate").code == 0


def test_check_writes_nothing_and_exits_with_1(cli, registry: RegistryFolder, monkeypatch) -> None:
    file = registry.write(MODEL, UNTIDY.format(storage=registry.storage))
    before = file.read_bytes()
    monkeypatch.chdir(registry.path)
    ran = cli("fmt", "--check", "manifests/models")
    assert (ran.code, ran.out) == (1, f"would format {MODEL}\n")
    assert file.read_bytes() == before


def test_without_paths_all_manifests_and_templates_are_formatted(
    cli, registry: RegistryFolder
) -> None:
    assert cli("fmt").code == 0
    registry.write(MODEL, UNTIDY.format(storage=registry.storage))
    registry.write(
        "build_templates/weights/template.yaml",
        "kind: BuildTemplate\napiVersion: registry-tool/v1\n"
        "metadata: {name: weights}\nspec:\n    image: {base: scratch}\n",
    )
    ran = cli("fmt")
    assert ran.out.count("formatted ") == 2
    assert cli("fmt", "--check").code == 0
    assert cli("validate").code == 0


def test_a_broken_file_is_named_and_the_rest_is_formatted(cli, registry: RegistryFolder) -> None:
    registry.write(MODEL, UNTIDY.format(storage=registry.storage))
    bad = registry.write("manifests/models/bad.yaml", "a: [\n")
    ran = cli("fmt")
    assert ran.code == 1
    assert "bad.yaml" in ran.err
    assert MODEL in ran.out
    assert bad.read_text() == "a: [\n"


def test_a_missing_file_is_a_usage_error(cli) -> None:
    assert cli("fmt", "no-such.yaml").code == 2


def test_a_bare_repository_has_nothing_to_format(
    anywhere, registry: RegistryFolder, tmp_path
) -> None:
    bare = tmp_path / "bare.git"
    registry.git("clone", "--quiet", "--bare", str(registry.path), str(bare))
    assert anywhere("--repo", bare, "fmt").code == 2
