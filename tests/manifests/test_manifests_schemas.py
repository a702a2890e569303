"""The schema files in the repository are those that the types give, and their patterns are explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from manifests_samples import FULL

from registry_tool.manifests.grammars import corrected, describe_pattern
from registry_tool.manifests.parsing import parse
from registry_tool.manifests.schemas import generate
from registry_tool.manifests.validating import Invalid, read_manifest

FOLDER = Path(__file__).parents[2] / "schemas"
GENERATED = generate()


def test_schema_files_are_up_to_date() -> None:
    assert {path.name: path.read_bytes() for path in FOLDER.glob("*.json")} == GENERATED


@pytest.mark.parametrize("name", GENERATED)
def test_schemas_have_a_title_a_description_and_a_name(name: str) -> None:
    schema = json.loads(GENERATED[name])
    assert schema["title"].lower() == name.removesuffix(".json")
    assert schema["description"]
    assert schema["$id"] == f"urn:registry-tool:v1:{schema['title']}"
    assert schema["properties"]["kind"]["const"] == schema["title"]
    assert {"apiVersion", "kind", "spec"} <= set(schema["required"])


@pytest.mark.parametrize("name", GENERATED)
def test_every_pattern_is_a_regular_expression(name: str) -> None:
    for pattern in patterns(json.loads(GENERATED[name])):
        re.compile(pattern)


def patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("pattern"), str):
            yield schema["pattern"]
        for inner in schema.values():
            yield from patterns(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from patterns(inner)


def test_every_pattern_of_the_types_is_described_in_words() -> None:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from registry_tool.domain.kinds import MANIFEST_KINDS

    seen: set[type] = set()
    found: set[str] = set()

    def visit(annotation: Any, metadata: Any = ()) -> None:
        for part in metadata:
            for inner in getattr(part, "metadata", ()) if isinstance(part, FieldInfo) else (part,):
                pattern = getattr(inner, "pattern", None)
                if isinstance(pattern, str):
                    found.add(pattern)
        if hasattr(annotation, "__metadata__"):
            visit(annotation.__origin__, annotation.__metadata__)
        if (
            isinstance(annotation, type)
            and issubclass(annotation, BaseModel)
            and annotation not in seen
        ):
            seen.add(annotation)
            for info in annotation.model_fields.values():
                visit(info.annotation, info.metadata)
        for argument in getattr(annotation, "__args__", ()):
            visit(argument)

    for model in MANIFEST_KINDS.values():
        visit(model)
    assert len(found) > 15
    assert {pattern for pattern in found if describe_pattern(pattern) is None} == set()


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("Release", b"version: v1.10", b"version: one"),
        ("Release", b"stage: released", b"stage: done"),
        ("Release", b"linux/amd64", b"amd64"),
        ("Model", b"storage_path: s3:", b"storage_path: s3;"),
        ("Model", b"parameter_count: 22M", b"parameter_count: 22 million"),
        ("Model", b"team: search", b"'te am': search"),
        ("Environment", b"soak: 1d12h", b"soak: two days"),
        ("Deployment", b"memory: 2Gi", b"memory: 2GB"),
        ("Deployment", b"  version: 1.10.0\n", b""),
        ("ArtifactLock", b"target: /models", b"target: models"),
        ("BuildTemplate", b"  image:", b"  picture:"),
    ],
)
def test_editors_see_what_the_tool_sees(kind: str, old: bytes, new: bytes) -> None:
    data = FULL[kind].replace(old, new)
    assert data != FULL[kind]
    assert isinstance(read_manifest("x.yaml", data), Invalid)
    schema = json.loads(GENERATED[f"{kind.lower()}.json"])
    assert not jsonschema.Draft202012Validator(schema).is_valid(parse(data))


def test_near_misses_of_names_are_corrected() -> None:
    name = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
    assert corrected(name, "Mini LM") == "mini-lm"
    assert corrected(name, "minilm/") == "minilm"
    assert corrected(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "gpu_1.a") == "gpu-1-a"
    assert corrected(name, "ü") is None
