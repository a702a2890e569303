from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.domain.patches import Patch, PatchLine
from registry_tool.errors import RepositoryProblem
from registry_tool.repository import patches
from registry_tool.repository.repository import Repository

Open = Callable[[GitFolder | Path], Repository]
MODEL = "manifests/models/minilm.yaml"


def patch(folder: GitFolder, open_repository: Open, revision: str = "HEAD") -> Patch:
    return open_repository(folder).patch(revision)


def test_a_change_is_told_line_by_line(folder: GitFolder, open_repository: Open) -> None:
    folder.write(MODEL, "kind: Model\nspec: {}\n")
    folder.write("README.md", "still not read\n")
    folder.commit("Change minilm")
    (file,) = patch(folder, open_repository).files
    assert file.path == MODEL
    assert file.lines == (
        PatchLine("place", "@@ -1 +1,2 @@"),
        PatchLine("same", "kind: Model"),
        PatchLine("added", "spec: {}"),
    )


def test_the_first_commit_adds_everything(folder: GitFolder, open_repository: Open) -> None:
    found = patch(folder, open_repository)
    assert [file.path for file in found.files] == [
        "build_templates/static/template.yaml",
        MODEL,
        "manifests/registry.yaml",
    ]
    assert found.complete
    assert found.files[1].note == "new file mode 100644"


def test_a_deleted_file_keeps_its_name(folder: GitFolder, open_repository: Open) -> None:
    (folder.path / MODEL).unlink()
    folder.commit("Remove minilm")
    (file,) = patch(folder, open_repository).files
    assert (file.path, file.note) == (MODEL, "deleted file mode 100644")
    assert file.lines[-1] == PatchLine("removed", "kind: Model")


def test_a_new_mode_has_no_lines(folder: GitFolder, open_repository: Open) -> None:
    (folder.path / MODEL).chmod(0o755)
    folder.commit("Make it executable")
    (file,) = patch(folder, open_repository).files
    assert (file.path, file.lines) == (MODEL, ())
    assert file.note == "old mode 100644, new mode 100755"


def test_content_cannot_pretend_to_be_a_header(folder: GitFolder, open_repository: Open) -> None:
    folder.write(MODEL, "diff --git a b\n+++ /etc/passwd\n@@ -1 +1 @@\n-- x\n\n")
    folder.commit("Try")
    (file,) = patch(folder, open_repository).files
    added = [line.text for line in file.lines if line.kind == "added"]
    assert added == ["diff --git a b", "+++ /etc/passwd", "@@ -1 +1 @@", "-- x", ""]


def test_a_missing_line_end_is_said(folder: GitFolder, open_repository: Open) -> None:
    folder.write(MODEL, "kind: Model")
    folder.commit("Try")
    (file,) = patch(folder, open_repository).files
    assert file.lines[-1] == PatchLine("place", " No newline at end of file")


def test_a_merge_shows_what_it_brought(folder: GitFolder, open_repository: Open) -> None:
    folder.git("checkout", "--quiet", "-b", "side")
    folder.write("manifests/models/other.yaml", "kind: Model\n")
    folder.commit("Add other")
    folder.git("checkout", "--quiet", "main")
    folder.git("merge", "--quiet", "--no-ff", "-m", "Merge side", "side")
    assert [file.path for file in patch(folder, open_repository).files] == [
        "manifests/models/other.yaml"
    ]


@pytest.mark.parametrize(
    "path", ["manifests/api-keys/ci.yaml", "manifests/elsewhere.yaml"], ids=["usual", "moved"]
)
def test_hashes_of_api_keys_are_hidden(folder: GitFolder, open_repository: Open, path: str) -> None:
    folder.write(path, "kind: ApiKey\nspec:\n  sha256: " + "ab" * 32 + "\n")
    folder.commit("Add a key")
    (file,) = patch(folder, open_repository).files
    assert file.lines[-1] == PatchLine("added", "  sha256: [hidden]")


def test_a_long_patch_is_cut_off(
    folder: GitFolder, open_repository: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patches, "SIZE_LIMIT", 5000)
    folder.write(MODEL, "line\n" * 10_000)
    folder.commit("Grow")
    found = patch(folder, open_repository)
    assert not found.complete
    assert 500 < len(found.files[0].lines) < 1000


def test_long_lines_are_cut_off(folder: GitFolder, open_repository: Open) -> None:
    folder.write(MODEL, "x" * 100_000 + "\n")
    folder.commit("Grow")
    (file,) = patch(folder, open_repository).files
    assert max(len(line.text) for line in file.lines) == 2000


def test_odd_names_are_told(folder: GitFolder, open_repository: Open) -> None:
    folder.write("manifests/models/with space é.yaml", "kind: Model\n")
    folder.commit("Add")
    (file,) = patch(folder, open_repository).files
    assert file.path == "manifests/models/with space é.yaml"


def test_a_shallow_clone_does_not_pretend(
    folder: GitFolder, open_repository: Open, tmp_path: Path
) -> None:
    folder.write(MODEL, "kind: Model\nspec: {}\n")
    folder.commit("Change minilm")
    folder.git("clone", "--quiet", "--depth=1", f"file://{folder.path}", str(tmp_path / "clone"))
    with pytest.raises(RepositoryProblem):
        open_repository(tmp_path / "clone").patch("HEAD")
