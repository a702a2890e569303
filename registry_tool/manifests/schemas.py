"""JSON Schemas of all kinds, generated from the types, for editors and other tools."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from functools import lru_cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS
from registry_tool.manifests.fields import field_names

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_RULES: dict[str, dict[str, Any]] = {
    "DeploymentSpec": {"oneOf": [{"required": ["version"]}, {"required": ["track"]}]},
    "BuildTemplateSpec": {"oneOf": [{"required": ["image"]}, {"required": ["dockerfile"]}]},
    "Healthcheck": {"not": {"required": ["http", "command"]}},
}
"""What the validators of whole types check."""


def generate() -> dict[str, bytes]:
    """File name to JSON Schema text, for every manifest and record kind."""
    kinds = MANIFEST_KINDS | RECORD_KINDS
    return {f"{name.lower()}.json": _text(schema_of(model)) for name, model in kinds.items()}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of one kind."""
    name = model.__name__
    schema = model.model_json_schema(by_alias=True, mode="validation")
    described = {part.__name__: part for part in _models(model)}
    definitions = schema.pop("$defs", {})
    for part, definition in definitions.items():
        _describe(definition, described.get(part))
        definition.update(_RULES.get(part, {}))
    _describe(schema, model)
    schema["properties"]["kind"] = {"const": name, "description": f"Always {name}."}
    required = [
        field
        for field in field_names(model)
        if field in {"apiVersion", "kind", *schema.get("required", ())}
    ]
    head = {"$schema": _DIALECT, "$id": f"urn:registry-tool:v1:{name}", "title": name}
    result = head | {"description": schema.pop("description", "")} | schema | {"required": required}
    return result | ({"$defs": dict(sorted(definitions.items()))} if definitions else {})


def _describe(schema: dict[str, Any], model: type[BaseModel] | None) -> None:
    """Add the docstrings of fields, and put the fields in the order in which people write them."""
    if model is None or "properties" not in schema:
        return
    texts = docstrings(model)
    names = {info.alias or name: name for name, info in model.model_fields.items()}
    properties = schema["properties"]
    schema["properties"] = {field: properties[field] for field in field_names(model)}
    for field, definition in schema["properties"].items():
        text = texts.get(names[field])
        definition.pop("title", None)
        if "patternProperties" in definition:
            definition["additionalProperties"] = False
        if text:
            definition["description"] = text


@lru_cache(maxsize=256)
def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The string below each field in the source of a type and of its bases.

    pydantic can collect them when a class is made, which would slow down every start of the command line.
    """
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not (issubclass(base, BaseModel) and base.__module__.startswith("registry_tool.")):
            continue
        body = _class_bodies(base.__module__).get(base.__name__, [])
        for field, following in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = _string(following)
                if text:
                    texts[field.target.id] = text
    return texts


def _string(statement: ast.stmt) -> str | None:
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Constant):
        return None
    value = statement.value.value
    return inspect.cleandoc(value).replace("``", "`") if isinstance(value, str) else None


@lru_cache(maxsize=64)
def _class_bodies(module: str) -> dict[str, list[ast.stmt]]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {part.name: part.body for part in tree.body if isinstance(part, ast.ClassDef)}


def _models(
    model: type[BaseModel], found: set[type[BaseModel]] | None = None
) -> set[type[BaseModel]]:
    """A type and all types of its fields."""
    found = set() if found is None else found
    if model not in found:
        found.add(model)
        for info in model.model_fields.values():
            for part in _mentioned(info.annotation):
                _models(part, found)
    return found


def _mentioned(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [
        part for argument in getattr(annotation, "__args__", ()) for part in _mentioned(argument)
    ]


def _text(schema: dict[str, Any]) -> bytes:
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()
