"""Which files belong to a release, and what each is for; docs/images.md has the same table."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

from registry_tool.domain.globs import matches
from registry_tool.domain.release import ArtifactGlobs, Role
from registry_tool.storage.stored_file import StoredFile

# The first row that matches decides. A pattern that ends in "/" is a directory at the top of the
# storage path, one that starts with "/" a file there, any other a file name in any directory.
ROLES: dict[Role, str] = {
    Role.REQUIREMENTS: "requirements/ /requirements*.txt",
    Role.THIRD_PARTY: "third_party/",
    Role.WHEEL: "*.whl",
    Role.CODE: "code/ *.py",
    Role.WEIGHTS: """
        *.bin *.ckpt *.distcp *.engine *.gguf *.ggml *.h5 *.hdf5 *.joblib *.keras *.llamafile
        *.mlmodel *.msgpack *.nemo *.npy *.npz *.onnx *.onnx.data *.onnx_data *.ot *.pb *.pdparams
        *.pickle *.pkl *.plan *.pt *.pth *.safetensors *.tflite""",
    Role.TOKENIZER: """
        added_tokens.json chat_template* merges.txt *.bpe *.model sentencepiece*
        special_tokens_map.json *.spm *.tiktoken tokenizer* vocab*""",
    Role.CONFIG: "*.cfg *.ini *.json *.pbtxt *.toml *.yaml *.yml",
}

_MEDIA_TYPES = {
    "cfg": "text/plain",
    "ini": "text/plain",
    "jinja": "text/plain",
    "json": "application/json",
    "md": "text/markdown",
    "py": "text/x-python",
    "toml": "application/toml",
    "txt": "text/plain",
    "whl": "application/zip",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}


def select(files: Iterable[StoredFile], globs: ArtifactGlobs) -> list[StoredFile]:
    """The files that belong to a release, in the given order."""
    return [file for file in files if matches(file.path, globs.include, globs.exclude)]


def is_excluded(path: str, globs: ArtifactGlobs) -> bool:
    """Whether a file, or with a trailing slash all of a directory, is excluded explicitly."""
    return bool(globs.exclude) and matches(path, globs.exclude)


def assign_role(path: str) -> Role:
    """What a file is for, by its path alone."""
    for role, patterns in ROLES.items():
        if any(_matches(path, pattern) for pattern in patterns.split()):
            return role
    return Role.OTHER


def media_type(path: str) -> str | None:
    """The media type, where the ending says it; weights have no registered types."""
    return _MEDIA_TYPES.get(path.rpartition(".")[2].lower())


def _matches(path: str, pattern: str) -> bool:
    if pattern.endswith("/"):
        return path.startswith(pattern)
    if pattern.startswith("/"):
        return "/" not in path and fnmatch.fnmatchcase(path.lower(), pattern[1:])
    return fnmatch.fnmatchcase(path.rpartition("/")[2].lower(), pattern)
