from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from registry_tool.cli.scaffold.example_files import EXAMPLE_FOLDER, example_files


def git(path: Path, *arguments: str) -> str:
    command = ["git", "-C", str(path), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def files_below(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and ".git" not in file.relative_to(path).parts
    }


def test_an_empty_folder_becomes_a_committed_registry(anywhere, tmp_path: Path) -> None:
    ran = anywhere("init", tmp_path / "registry")
    assert ran.code == 0
    root = tmp_path / "registry"
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "log", "--format=%s") == "Set up the model registry"
    for path in (
        "README.md",
        ".github/workflows/registry.yml",
        "manifests/registry.yaml",
        "build_templates/modelcar/template.yaml",
        "schemas/release.json",
    ):
        assert (root / path).is_file(), path
    assert (root / ".git/hooks/pre-commit").is_file()
    assert "created manifests/registry.yaml\n" in ran.out
    assert ran.err.endswith("  registry-tool plan\n  registry-tool apply\n")


def test_the_example_validates_and_plans_from_the_first_minute(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    anywhere("init", root)
    assert anywhere("--repo", root, "validate").code == 0
    plan = anywhere("--repo", root, "plan", "--format", "json").json
    assert plan["summary"] == {"build": 2, "deploy": 1, "undeploy": 0}
    assert plan["skipped"] == []


def test_the_example_files_are_in_storage_as_locked(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    anywhere("init", root)
    assert files_below(tmp_path / "registry-storage" / EXAMPLE_FOLDER) == example_files()
    ran = anywhere("--repo", root, "artifact", "verify", "all", "--deep")
    assert ran.code == 0, ran.out


def test_without_example_only_the_registry_is_declared(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    ran = anywhere("init", root, "--no-example", "--storage", tmp_path / "models")
    assert ran.code == 0
    assert [path for path in files_below(root) if path.startswith("manifests/")] == [
        "manifests/registry.yaml"
    ]
    assert f'- "{tmp_path}/models"\n' in (root / "manifests/registry.yaml").read_text()
    assert "it does not exist on this machine yet" in ran.err
    assert anywhere("--repo", root, "plan").out.endswith(
        "No changes.\nPlan: 0 to build, 0 to deploy, 0 to remove.\n"
    )


def test_storage_may_be_a_url_and_then_there_is_no_example(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    assert anywhere("init", root, "--storage", "s3://bucket/models/").code == 0
    assert '- "s3://bucket/models"\n' in (root / "manifests/registry.yaml").read_text()
    assert not (root / "manifests/models").exists()
    assert anywhere("--repo", root, "validate").code == 0


@pytest.mark.parametrize("storage", ["s3://bucket/../other", "s3://a::b"])
def test_impossible_storage_is_refused_before_anything_is_made(
    anywhere, tmp_path: Path, storage: str
) -> None:
    ran = anywhere("init", tmp_path / "registry", "--storage", storage)
    assert ran.code == 2
    assert "cannot be the storage" in ran.err
    assert not (tmp_path / "registry").exists()


def test_running_it_again_changes_nothing(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    anywhere("init", root)
    before, head = files_below(tmp_path), git(root, "rev-parse", "HEAD")
    ran = anywhere("init", root)
    assert (ran.code, ran.out) == (0, f"unchanged {root}: everything is there\n")
    assert files_below(tmp_path) == before
    assert git(root, "rev-parse", "HEAD") == head


def test_running_it_again_brings_back_what_is_missing_but_no_example(
    anywhere, tmp_path: Path
) -> None:
    root = tmp_path / "registry"
    anywhere("init", root)
    git(root, "rm", "-q", "README.md", "manifests/environments/production.yaml")
    git(root, "commit", "-q", "--no-verify", "-m", "Tidy up")
    ran = anywhere("init", root)
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "created README.md"
    assert not (root / "manifests/environments/production.yaml").exists()
    assert git(root, "show", "--stat", "--format=%s").startswith("Add files of the model registry")


def test_existing_files_stay_as_they_are(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    root.mkdir()
    (root / "README.md").write_text("# Mine\n")
    assert anywhere("init", root).code == 0
    assert (root / "README.md").read_text() == "# Mine\n"
    assert git(root, "status", "--porcelain") == "?? README.md"


def test_an_existing_repository_keeps_its_history_and_staged_changes(
    anywhere, tmp_path: Path
) -> None:
    root = tmp_path / "registry"
    root.mkdir()
    git(root, "init", "-q", "-b", "trunk")
    (root / "a.txt").write_text("a\n")
    git(root, "add", "a.txt")
    git(root, "commit", "-q", "-m", "First")
    (root / "b.txt").write_text("b\n")
    git(root, "add", "b.txt")
    assert anywhere("init", root).code == 0
    assert git(root, "log", "--format=%s", "trunk").splitlines()[1] == "First"
    assert git(root, "status", "--porcelain") == "A  b.txt"
    assert 'branches: ["trunk"]' in (root / ".github/workflows/registry.yml").read_text()


def test_a_bare_repository_is_refused(anywhere, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "origin.git")
    ran = anywhere("init", tmp_path / "origin.git")
    assert ran.code == 2
    assert "is a bare repository" in ran.err


def test_a_repository_around_it_is_mentioned(anywhere, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    ran = anywhere("init", tmp_path / "registry")
    assert ran.code == 0
    assert f"note: {tmp_path} is a repository, too" in ran.err
    assert git(tmp_path / "registry", "log", "--format=%s") == "Set up the model registry"


def test_without_an_identity_the_next_run_commits(
    anywhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "registry"
    with monkeypatch.context() as nobody:
        for role in ("AUTHOR", "COMMITTER"):
            nobody.delenv(f"GIT_{role}_NAME")
            nobody.delenv(f"GIT_{role}_EMAIL")
        git_config = Path.home() / ".gitconfig"
        git_config.write_text("[user]\n\tuseConfigOnly = true\n")
        ran = anywhere("init", root)
        git_config.unlink()
    assert ran.code == 3
    assert "Git does not know who commits" in ran.err
    assert anywhere("init", root).code == 0
    assert git(root, "status", "--porcelain") == ""
    assert anywhere("--repo", root, "plan").out.endswith("2 to build, 1 to deploy, 0 to remove.\n")


def test_foreign_hooks_stay_and_are_mentioned(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    root.mkdir()
    git(root, "init", "-q")
    hook = root / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 0\n")
    ran = anywhere("init", root)
    assert ran.code == 0
    assert "note: no hooks installed" in ran.err
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"


def test_storage_counts_only_for_a_new_registry(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    anywhere("init", root)
    ran = anywhere("init", root, "--storage", "/mnt/elsewhere")
    assert ran.code == 2
    assert "add /mnt/elsewhere to spec.storage.allowed" in ran.err


def test_nothing_is_committed_when_not_wanted(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    assert anywhere("init", root, "--no-commit", "--no-hooks").code == 0
    assert "No commits yet" in git(root, "status")
    assert not (root / ".git/hooks/pre-commit").exists()
    assert anywhere("--repo", root, "validate").code == 0


def test_the_workflow_installs_this_version(anywhere, tmp_path: Path) -> None:
    from registry_tool import __version__

    anywhere("init", tmp_path / "registry")
    text = (tmp_path / "registry/.github/workflows/registry.yml").read_text()
    assert f'pip install --quiet "registry-tool=={__version__}"' in text
    assert "permissions:\n  contents: read\n" in text
    assert "write" not in text


def test_an_interrupted_init_is_completed_by_the_next(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    anywhere("init", root, "--no-commit")
    (root / "manifests/registry.yaml").unlink()
    (root / "manifests/models/minilm.yaml").unlink()
    assert anywhere("init", root).code == 0
    assert anywhere("--repo", root, "validate").code == 0
    assert git(root, "status", "--porcelain") == ""


def test_editors_find_the_schemas(anywhere, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    anywhere("init", root)
    anywhere("--repo", root, "new", "model", "bert")
    for file in (root / "manifests").rglob("*.yaml"):
        first = file.read_text().splitlines()[0]
        if first.startswith("# yaml-language-server"):
            schema = (file.parent / first.partition("$schema=")[2]).resolve()
            assert json.loads(schema.read_text())["$schema"], file
