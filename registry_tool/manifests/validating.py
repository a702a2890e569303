"""One file's bytes to a manifest, or to everything that is wrong with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import ValidationError

from registry_tool.domain.diagnostics import Diagnostic
from registry_tool.domain.kinds import MANIFEST_KINDS
from registry_tool.domain.manifest import Manifest
from registry_tool.manifests.identity import Identity, identity_of
from registry_tool.manifests.parsing import Irregular, Json, parse
from registry_tool.manifests.secrets import find_secrets, may_hold_secret


class Valid(NamedTuple):
    """A good file: its identity, the JSON that gives its manifest, and the manifest if it is at hand."""

    identity: Identity
    body: bytes
    manifest: Manifest | None


@dataclass(frozen=True, slots=True)
class Invalid:
    """A bad file: its diagnostics, and its identity when that can be trusted all the same."""

    diagnostics: tuple[Diagnostic, ...]
    identity: Identity | None


def read_manifest(path: str, data: bytes) -> Valid | Invalid:
    """Check one manifest file."""
    value: Json
    try:
        value = parse(data)
        body = json.dumps(value).encode()
        manifest = MANIFEST_KINDS[value["kind"]].__pydantic_validator__.validate_json(
            body, by_alias=True, by_name=False
        )
    except (Irregular, ValidationError, KeyError, TypeError):
        return _examined(path, data)
    if may_hold_secret(data.decode()) and any(find_secrets(value)):
        return _examined(path, data)
    return Valid(identity_of(manifest), body, manifest)


def restore(kind: str, body: bytes) -> Manifest:
    """The manifest of a `Valid.body`."""
    manifest: Manifest = MANIFEST_KINDS[kind].__pydantic_validator__.validate_json(
        body, by_alias=True, by_name=False
    )
    return manifest


def _examined(path: str, data: bytes) -> Valid | Invalid:
    # Most runs find nothing wrong, and explaining what is takes many imports.
    from registry_tool.manifests.examining import examine

    return examine(path, data)
