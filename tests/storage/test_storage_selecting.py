"""Which files belong to a release, and what they are for."""

from __future__ import annotations

import pytest

from registry_tool.domain.release import ArtifactGlobs, Role
from registry_tool.storage.selecting import assign_role, is_excluded, media_type, select
from registry_tool.storage.stored_file import StoredFile

PATHS = ["README.md", "config.json", "model.safetensors", "onnx/model.onnx", "onnx/q8/model.onnx"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["**"], [], PATHS),
        (["*.safetensors"], [], ["model.safetensors"]),
        (["onnx/"], [], PATHS[3:]),
        (["onnx/*.onnx"], [], ["onnx/model.onnx"]),
        (["**"], ["onnx/", "README.md"], ["config.json", "model.safetensors"]),
        (["model.onnx"], ["q8/"], ["onnx/model.onnx"]),
        (["*.onnx", "!onnx/q8/**"], [], ["onnx/model.onnx"]),
        (["nothing"], [], []),
    ],
)
def test_globs_are_those_of_gitignore(
    include: list[str], exclude: list[str], expected: list[str]
) -> None:
    globs = ArtifactGlobs(include=tuple(include), exclude=tuple(exclude))
    files = [StoredFile(path, 1) for path in PATHS]
    assert [file.path for file in select(files, globs)] == expected


def test_a_whole_directory_can_be_excluded() -> None:
    globs = ArtifactGlobs(exclude=("lost+found/", "*.tmp"))
    assert is_excluded("lost+found/", globs)
    assert is_excluded("a.tmp", globs)
    assert not is_excluded("onnx/", globs)
    assert not is_excluded("onnx/", ArtifactGlobs())


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("requirements.txt", Role.REQUIREMENTS),
        ("requirements-gpu.txt", Role.REQUIREMENTS),
        ("requirements/base.in", Role.REQUIREMENTS),
        ("docs/requirements.txt", Role.OTHER),
        ("third_party/lib/weights.bin", Role.THIRD_PARTY),
        ("third_party/x.whl", Role.THIRD_PARTY),
        ("wheels/x-1.0-py3-none-any.whl", Role.WHEEL),
        ("modeling_minilm.py", Role.CODE),
        ("code/config.json", Role.CODE),
        ("model.safetensors", Role.WEIGHTS),
        ("MODEL.SAFETENSORS", Role.WEIGHTS),
        ("onnx/model.onnx_data", Role.WEIGHTS),
        ("pytorch_model-00001-of-00002.bin", Role.WEIGHTS),
        ("tokenizer.json", Role.TOKENIZER),
        ("tokenizer_config.json", Role.TOKENIZER),
        ("sub/vocab.txt", Role.TOKENIZER),
        ("spiece.model", Role.TOKENIZER),
        ("special_tokens_map.json", Role.TOKENIZER),
        ("config.json", Role.CONFIG),
        ("model.safetensors.index.json", Role.CONFIG),
        ("1_Pooling/config.json", Role.CONFIG),
        ("serving.yaml", Role.CONFIG),
        ("README.md", Role.OTHER),
        ("LICENSE", Role.OTHER),
    ],
)
def test_roles_follow_from_paths(path: str, role: Role) -> None:
    assert assign_role(path) is role


def test_media_types_are_given_where_the_ending_says_them() -> None:
    assert media_type("a/config.JSON") == "application/json"
    assert media_type("model.safetensors") is None
    assert media_type("LICENSE") is None
