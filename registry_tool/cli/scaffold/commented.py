"""Manifests with comments, made from the types: every field is there, explained, and unused ones are commented out.

The text is made from the field descriptions, so that a new field of a kind appears here without being written twice.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from enum import Enum
from typing import cast

from pydantic import BaseModel, JsonValue

from registry_tool.domain.manifest import API_VERSION, Manifest
from registry_tool.manifests.emitting import entry
from registry_tool.manifests.fields import field_names
from registry_tool.manifests.schemas import docstrings

WIDTH = 100


def commented_manifest(
    kind: type[Manifest],
    values: Mapping[str, JsonValue],
    *,
    examples: Mapping[str, JsonValue],
    metadata: Mapping[str, JsonValue] | None = None,
    schema: str | None = None,
) -> str:
    """A manifest of `kind` whose spec has `values`; the other fields are comments that show `examples`.

    `metadata` is left out when empty (kinds whose identity is in spec). `schema` is the path of the JSON Schema,
    relative to the manifest, for editors.
    """
    lines = [f"# yaml-language-server: $schema={schema}"] if schema else []
    lines += _comment(_first_line(kind), "")
    lines += [f"apiVersion: {API_VERSION}", f"kind: {kind.__name__}"]
    if metadata:
        lines += _lines("metadata", dict(metadata))
    lines.append("spec:")
    for name, text in _fields(kind):
        lines += _comment(text, "  ")
        if name in values:
            lines += _lines(name, values[name], "  ")
        elif name in examples:
            lines += [f"  # {line}".rstrip() for line in _lines(name, examples[name])]
    return "\n".join(lines) + "\n"


def _lines(key: str, value: JsonValue, indent: str = "") -> list[str]:
    return entry(key, value, indent).splitlines()


def _first_line(kind: type[Manifest]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


def _fields(kind: type[Manifest]) -> list[tuple[str, str]]:
    """Name and description of each field of the kind's spec, in the order in which people write them."""
    spec = cast("type[BaseModel]", kind.model_fields["spec"].annotation)
    texts = docstrings(spec)
    names = {field.alias or name: name for name, field in spec.model_fields.items()}
    return [
        (
            shown,
            texts.get(names[shown], "") + _choices(spec.model_fields[names[shown]].annotation),
        )
        for shown in field_names(spec)
    ]


def _choices(annotation: object) -> str:
    if not (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return ""
    return f" One of: {', '.join(str(member.value) for member in annotation)}."


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )
