"""The shapes of items for the OpenAPI document, taken from the types of manifests and records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from registry_tool.domain.api_key import ApiKeySpec
from registry_tool.domain.build_template import BuildTemplateSpec
from registry_tool.domain.deployment import DeploymentSpec
from registry_tool.domain.environment import EnvironmentSpec
from registry_tool.domain.model import ModelSpec
from registry_tool.domain.records import BuildSpec, DeploymentRecordSpec, RequestSpec
from registry_tool.domain.registry import RegistrySpec
from registry_tool.domain.release import LockedFile, ReleaseSpec

Schema = dict[str, Any]

_SPECS: Mapping[str, type[BaseModel] | None] = {
    "models": ModelSpec,
    "releases": ReleaseSpec,
    "deployments": DeploymentSpec,
    "environments": EnvironmentSpec,
    "templates": BuildTemplateSpec,
    "api-keys": ApiKeySpec,
    "artifacts": LockedFile,
    "builds": BuildSpec,
    "deployment-records": DeploymentRecordSpec,
    "requests": RequestSpec,
    "audit": None,
    "registry": RegistrySpec,
}
_HIDDEN = {"api-keys": {"sha256"}}
_PREFIX = "#/components/schemas/"
_TEXT: Schema = {"type": "string"}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}


def item_reference(kind: str) -> Schema:
    """Refers to the schema of a kind's items."""
    return {"$ref": f"{_PREFIX}{_name(kind)}"}


def _name(kind: str) -> str:
    return "".join(word.capitalize() for word in kind.split("-")) + "Item"


def component_schemas() -> dict[str, Schema]:
    """Schemas of all items and of the types in them, for the document's components."""
    specs = [spec for spec in _SPECS.values() if spec is not None]
    found, document = models_json_schema(
        [(spec, "serialization") for spec in specs], ref_template=_PREFIX + "{model}"
    )
    known: dict[str, Schema] = document["$defs"]
    names = {spec: found[spec, "serialization"]["$ref"].removeprefix(_PREFIX) for spec in specs}
    items = {
        _name(kind): _item(known[names[spec]] if spec else {}, _HIDDEN.get(kind, set()))
        for kind, spec in _SPECS.items()
    }
    # Items take the place of the specs, which allow no other fields.
    parts = {name: schema for name, schema in known.items() if name not in names.values()}
    return {**parts, **items}


def _item(spec: Schema, hidden: set[str]) -> Schema:
    """The fields of a spec beside those that every item has; others may be added."""
    fields = {
        name: field for name, field in spec.get("properties", {}).items() if name not in hidden
    }
    return {
        "type": "object",
        "description": spec.get("description", "An item"),
        "required": ["id"],
        "properties": {
            **fields,
            "id": {**_TEXT, "description": "What tells it apart within its kind"},
            "subject": {**_TEXT, "description": "As commands and records name it"},
            "name": _TEXT,
            "labels": _TEXTS,
            "annotations": _TEXTS,
        },
        "additionalProperties": True,
    }
