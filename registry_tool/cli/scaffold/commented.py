"""Manifests with comments, made from the types: every field is there, explained, and unused ones are commented out.

The text is made from the field descriptions, so that a new field of a kind appears here without being written twice.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from enum import Enum
from typing import cast

from pydantic import BaseModel, JsonValue

from registry_tool.domain.manifest import API_VERSION, Manifest
from registry_tool.manifests.scalars import reads_as_string

WIDTH = 100
_PLAIN = re.compile(
    r"[A-Za-z0-9_./^~*][A-Za-z0-9_./:@+^~*=-]*(?: [A-Za-z0-9_./@+(),=-]+)*", re.ASCII
)


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
        lines += yaml_lines("metadata", dict(metadata))
    lines.append("spec:")
    for name, text in _fields(kind):
        lines += _comment(text, "  ")
        if name in values:
            lines += yaml_lines(name, values[name], "  ")
        elif name in examples:
            lines += [f"  # {line}".rstrip() for line in yaml_lines(name, examples[name])]
    return "\n".join(lines) + "\n"


def _first_line(kind: type[Manifest]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


def _fields(kind: type[Manifest]) -> list[tuple[str, str]]:
    """Name and description of each field of the kind's spec, in the order of the type."""
    spec: type[BaseModel] = cast("type[BaseModel]", kind.model_fields["spec"].annotation)
    return [
        (
            field.alias or name,
            (field.description or "").replace("``", "`") + _choices(field.annotation),
        )
        for name, field in spec.model_fields.items()
    ]


def _choices(annotation: object) -> str:
    if not (isinstance(annotation, type) and issubclass(annotation, Enum)):
        return ""
    return f" One of: {', '.join(str(member.value) for member in annotation)}."


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )


def yaml_lines(key: str, value: JsonValue, indent: str = "") -> list[str]:
    """``key: value`` as block YAML."""
    head = f"{indent}{scalar(key)}:"
    if isinstance(value, str) and "\n" in value.rstrip("\n"):
        return [f"{head} |", *textwrap.indent(value.rstrip("\n"), indent + "  ").splitlines()]
    if isinstance(value, dict) and value:
        return [head, *(line for k, v in value.items() for line in yaml_lines(k, v, indent + "  "))]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [head, *(line for item in value for line in _item(item, indent + "  "))]
    if isinstance(value, list):
        return [f"{head} [{', '.join(_flow_scalar(item) for item in value)}]"]
    return [f"{head} {'{}' if isinstance(value, dict) else scalar(value)}"]


def _item(value: JsonValue, indent: str) -> list[str]:
    """A list item; a mapping's first key stands beside the dash."""
    if not isinstance(value, dict) or not value:
        return [f"{indent}- {scalar(value)}"]
    inner = [line for k, v in value.items() for line in yaml_lines(k, v, indent + "  ")]
    return [f"{indent}- {inner[0].lstrip()}", *inner[1:]]


def _flow_scalar(value: JsonValue) -> str:
    text = scalar(value)
    return (
        json.dumps(value, ensure_ascii=False)
        if text[0] != '"' and set(text) & set(",[]{}")
        else text
    )


def scalar(value: JsonValue) -> str:
    """A value on one line: plain where it reads back as the same value, else in JSON's quotes."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and reads_as_string(value)
        ambiguous = value.startswith("*") or value.endswith(":") or ": " in value
        return value if plain and not ambiguous else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
