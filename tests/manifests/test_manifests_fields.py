"""Every declared field survives loading, the JSON dump, YAML and the schema."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from manifests_samples import ALTERNATIVES, FULL
from pydantic import BaseModel

from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS
from registry_tool.domain.manifest import Manifest
from registry_tool.manifests.records import parse_record
from registry_tool.manifests.schemas import generate
from registry_tool.manifests.validating import Valid, read_manifest
from registry_tool.manifests.writing import to_yaml

KINDS = MANIFEST_KINDS | RECORD_KINDS
SAMPLES = [*FULL.items(), *ALTERNATIVES]


def loaded(kind: str, data: bytes) -> Manifest:
    if kind in RECORD_KINDS:
        return parse_record(f"{kind}.yaml", data)
    result = read_manifest(f"{kind}.yaml", data)
    assert isinstance(result, Valid), result
    assert result.manifest is not None
    return result.manifest


def fields_set(model: BaseModel, prefix: str = "") -> set[str]:
    """Paths of the fields whose value is not the default (or which have none)."""
    found = set()
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        path = f"{prefix}{type(model).__name__}.{info.alias or name}"
        default = info.get_default(call_default_factory=True, validated_data={})
        if info.is_required() or name == "kind" or value != default:
            found.add(path)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, BaseModel):
                found |= fields_set(part)
    return found


def fields_declared(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[str]:
    if model in seen:
        return set()
    seen.add(model)
    found = set()
    for name, info in model.model_fields.items():
        found.add(f"{model.__name__}.{info.alias or name}")
        for part in models_in(info.annotation):
            found |= fields_declared(part, seen)
    return found


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in getattr(annotation, "__args__", ()) for part in models_in(inner)]


@pytest.mark.parametrize("kind", KINDS)
def test_samples_set_every_declared_field(kind: str) -> None:
    declared = fields_declared(KINDS[kind], set())
    found: set[str] = set()
    for name, data in SAMPLES:
        if name == kind:
            found |= fields_set(loaded(kind, data))
    # api_version has one value only
    assert declared - found - {f"{kind}.apiVersion"} == set()


@pytest.mark.parametrize(("kind", "data"), SAMPLES)
def test_every_field_is_in_the_json_dump_and_loads_from_it_equal(kind: str, data: bytes) -> None:
    manifest = loaded(kind, data)
    dumped = manifest.model_dump_json(by_alias=True)
    assert KINDS[kind].model_validate_json(dumped) == manifest
    assert leaves_of(manifest) <= leaves_in(json.loads(dumped))


def leaves_of(model: BaseModel) -> set[str]:
    return {path.rpartition(".")[2] for path in fields_set(model)}


def leaves_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {leaf for inner in value.values() for leaf in leaves_in(inner)}
    if isinstance(value, list):
        return {leaf for inner in value for leaf in leaves_in(inner)}
    return set()


@pytest.mark.parametrize(("kind", "data"), SAMPLES)
def test_yaml_of_a_manifest_loads_equal(kind: str, data: bytes) -> None:
    manifest = loaded(kind, data)
    text = to_yaml(manifest, comment="Written by a test\n\n# twice")
    assert loaded(kind, text) == manifest
    assert to_yaml(loaded(kind, text), comment="Written by a test\n\n# twice") == text


@pytest.mark.parametrize(("kind", "data"), SAMPLES)
def test_schema_accepts_the_sample_and_knows_each_field(kind: str, data: bytes) -> None:
    schema = json.loads(generate()[f"{kind.lower()}.json"])
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(parsed(data))
    definitions = {kind: schema, **schema["$defs"]}
    for path in fields_declared(KINDS[kind], set()):
        owner, _, field = path.partition(".")
        assert field in definitions[owner]["properties"], path


def parsed(data: bytes) -> Any:
    from registry_tool.manifests.parsing import parse

    return parse(data)


@pytest.mark.parametrize("kind", KINDS)
def test_schema_refuses_unknown_fields_everywhere(kind: str) -> None:
    schema = json.loads(generate()[f"{kind.lower()}.json"])
    for name, part in {kind: schema, **schema["$defs"]}.items():
        if "properties" in part:
            assert part["additionalProperties"] is False, name
