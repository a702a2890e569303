"""YAML for other programs: every text in double quotes, because YAML 1.1 and 1.2 disagree on too many plain ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

HEADER = "# Written by registry-tool; do not edit. The manifests decide what is here.\n"
"""The first line of a rendered file."""

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def dump(document: Mapping[str, Any]) -> str:
    """The document, its keys in the given order."""
    return yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**16
    )


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


def _mapping(dumper: yaml.SafeDumper, mapping: Mapping[str, Any]) -> yaml.MappingNode:
    node = dumper.represent_mapping(
        "tag:yaml.org,2002:map", mapping.items(), flow_style=not mapping
    )
    for key, _ in node.value:
        if _PLAIN_KEY.fullmatch(key.value) and key.value.lower() not in _NOT_PLAIN:
            key.style = None
    return node


_Dumper.add_representer(str, _text)
_Dumper.add_representer(dict, _mapping)
