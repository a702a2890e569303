"""Manifests and records as YAML, deterministically, without what goes without saying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from registry_tool.domain.manifest import API_VERSION, Manifest, UnnamedMetadata
from registry_tool.domain.records import Build, DeploymentRecord, Request
from registry_tool.domain.release import ArtifactLock
from registry_tool.manifests.emitting import emit
from registry_tool.manifests.fields import field_names

Implied = Callable[[FieldInfo, Any], bool]
WRITTEN_BY_THE_TOOL = (ArtifactLock, Build, DeploymentRecord, Request)


def to_yaml(manifest: Manifest, *, comment: str | None = None) -> bytes:
    """The text of a manifest; loading it gives an equal one.

    Fields that have their default are left out of what people write. What the tool writes stays: a record must mean the
    same when a later version has other defaults, so only fields without a value are left out there.
    """
    head = {"apiVersion": API_VERSION, "kind": type(manifest).__name__}
    implied = _nothing if isinstance(manifest, WRITTEN_BY_THE_TOOL) else _default
    value = head | _sparse(manifest, manifest.model_dump(mode="json", by_alias=True), implied)
    lines = [f"# {line}".rstrip() + "\n" for line in comment.splitlines()] if comment else []
    return ("".join(lines) + emit(value)).encode()


def _default(info: FieldInfo, value: Any) -> bool:
    """Whether a value goes without saying."""
    if info.is_required():
        return False
    return bool(value == info.get_default(call_default_factory=True, validated_data={}))


def _nothing(info: FieldInfo, value: Any) -> bool:
    """Whether there is no value to say."""
    empty = value is None or value in ((), {}) or value == UnnamedMetadata()
    return empty and not info.is_required()


def _sparse(model: BaseModel, dumped: dict[str, Any], implied: Implied) -> dict[str, Any]:
    """The dump of a model without what is implied, in canonical order."""
    names = {info.alias or name: name for name, info in type(model).model_fields.items()}
    kept: dict[str, Any] = {}
    for field in field_names(type(model)):
        value = getattr(model, names[field])
        if not implied(type(model).model_fields[names[field]], value):
            kept[field] = _thinned(value, dumped[field], implied)
    return kept


def _thinned(value: Any, dumped: Any, implied: Implied) -> Any:
    if isinstance(value, BaseModel):
        return _sparse(value, dumped, implied)
    if isinstance(value, tuple):
        pairs = zip(value, dumped, strict=True)
        return [_thinned(item, other, implied) for item, other in pairs]
    return dumped
