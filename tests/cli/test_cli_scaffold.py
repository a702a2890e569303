from __future__ import annotations

import struct
from pathlib import Path

import pytest

from registry_tool.builders.locking import compute_lock
from registry_tool.cli.scaffold import field_examples
from registry_tool.cli.scaffold.commented import commented_manifest
from registry_tool.cli.scaffold.example_files import (
    EXAMPLE_FOLDER,
    EXAMPLE_STORAGE,
    example_files,
)
from registry_tool.cli.scaffold.template_files import dockerfile_template, native_template
from registry_tool.domain.deployment import Deployment
from registry_tool.domain.environment import Environment
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.model import Model
from registry_tool.domain.progress import Silent
from registry_tool.domain.release import Release
from registry_tool.manifests.loading import load
from registry_tool.manifests.schemas import docstrings
from registry_tool.manifests.source import DictSource
from registry_tool.planning.checking import check
from registry_tool.storage.storage import Storage

ROOT = Path(__file__).parents[2]
KINDS: list[tuple[type[Manifest], dict[str, object], dict[str, object]]] = [
    (Model, {"storage_path": "/srv/m"}, dict(field_examples.MODEL)),
    (
        Release,
        {"model": "m", "version": "1.0.0", "template": {"name": "t"}},
        dict(field_examples.RELEASE),
    ),
    (Environment, {}, dict(field_examples.ENVIRONMENT)),
    (Deployment, {"environment": "e", "model": "m"}, dict(field_examples.DEPLOYMENT)),
]


def uncommented(text: str, field: str) -> str:
    """The text with the example of one field taken out of its comment."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"  # {field}:"))
    end = start + 1
    while end < len(lines) and (lines[end].startswith("  #   ") or lines[end] == "  #"):
        end += 1
    lines[start:end] = [line.replace("  # ", "  ", 1).rstrip("#") for line in lines[start:end]]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("kind", "values", "examples", "field"),
    [(kind, values, examples, field) for kind, values, examples in KINDS for field in examples],
)
def test_every_commented_example_is_valid_when_uncommented(
    kind: type[Manifest], values: dict[str, object], examples: dict[str, object], field: str
) -> None:
    if kind is Deployment and field != "track":
        values = {**values, "version": "1.0.0"}
    names = {} if kind is Release else {"name": "n"}
    text = commented_manifest(kind, values, examples=examples, metadata=names)
    source = DictSource({"manifests/file.yaml": uncommented(text, field).encode()})
    found = [entry for entry in load(source).diagnostics if entry.path == "manifests/file.yaml"]
    # One file is no registry: only what is wrong with the file itself counts.
    assert [entry for entry in found if entry.code.startswith(("RT0", "RT1"))] == []
    assert field in uncommented(text, field)


def test_all_fields_are_explained() -> None:
    for kind, values, examples in KINDS:
        text = commented_manifest(kind, values, examples=examples, metadata={})
        spec = kind.model_fields["spec"].annotation
        for field, meaning in docstrings(spec).items():
            shown = field in values or field in examples
            assert shown or field in {"target", "stage", "quantization", "version"}, field
            assert " ".join(meaning.split())[:60] in text.replace("\n  #", "")
            assert (f"\n  {field}:" in text or f"\n  # {field}:" in text) == shown


def test_values_survive_whatever_they_are() -> None:
    odd = 'a: "b" # c\nd\n\ne'
    values = {"storage_path": "/srv/m", "description": odd, "tags": ["no", "1.0", "a: b"]}
    text = commented_manifest(Model, values, examples={}, metadata={"name": "m"})
    files = {"manifests/registry.yaml": REGISTRY, "manifests/m.yaml": text.encode()}
    loaded = load(DictSource(files))
    assert loaded.desired is not None
    spec = loaded.desired.models["m"].manifest.spec
    assert (spec.description, spec.tags) == (odd, ("no", "1.0", "a: b"))


REGISTRY = b"""\
apiVersion: registry-tool/v1
kind: Registry
metadata: {name: r}
spec: {storage: {allowed: [/srv]}}
"""


@pytest.mark.parametrize("make", [native_template, dockerfile_template])
def test_new_templates_render_for_a_release(make) -> None:
    files = {
        "manifests/registry.yaml": REGISTRY,
        "manifests/m.yaml": commented_manifest(
            Model, {"storage_path": "/srv/m"}, examples={}, metadata={"name": "m"}
        ).encode(),
        "manifests/r.yaml": commented_manifest(
            Release,
            {"model": "m", "version": "1.0.0", "template": {"name": "mine"}},
            examples={},
        ).encode(),
        **{f"build_templates/mine/{path}": text.encode() for path, text in make("mine").items()},
    }
    loaded = load(DictSource(files))
    errors = [entry for entry in loaded.diagnostics if entry.severity == "error"]
    assert errors == []
    assert loaded.desired is not None
    assert [
        entry for entry in check(loaded.desired, None, loaded.paths) if entry.severity == "error"
    ] == []


def test_example_weights_are_readable_safetensors() -> None:
    data = example_files()["model.safetensors"]
    (length,) = struct.unpack("<Q", data[:8])
    assert data[8:9] == b"{"
    assert length % 8 == 0
    assert data[8 + length - 1 : 8 + length] in {b"}", b" "}


def test_the_locks_of_the_example_are_those_of_its_files(tmp_path: Path) -> None:
    for path, data in example_files().items():
        (tmp_path / path).write_bytes(data)
    manifests = {
        str(file.relative_to(ROOT)): file.read_bytes()
        for folder in ("manifests", "build_templates")
        for file in (ROOT / folder).rglob("*")
        if file.is_file()
    }
    desired = load(DictSource(manifests)).desired
    assert desired is not None
    assert set(desired.locks) == set(desired.releases)
    for release, located in desired.locks.items():
        manifest = desired.releases[release].manifest
        assert manifest.spec.storage_path == f"{EXAMPLE_STORAGE}/{EXAMPLE_FOLDER}"
        lock = located.manifest
        storage = Storage([str(tmp_path)])
        target = lock.spec.target
        assert compute_lock(manifest, target, storage, str(tmp_path), Silent(), jobs=1) == lock


def test_the_example_of_this_repository_is_valid(anywhere) -> None:
    ran = anywhere("--repo", ROOT, "validate")
    assert ran.code == 0, ran.out
