"""Manifests and records as YAML, deterministically, without what goes without saying."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from registry_tool.domain.manifest import API_VERSION, Manifest
from registry_tool.manifests.emitting import emit
from registry_tool.manifests.fields import field_names


def to_yaml(manifest: Manifest, *, comment: str | None = None) -> bytes:
    """The text of a manifest; loading it gives an equal one. Fields that have their default are left out."""
    head = {"apiVersion": API_VERSION, "kind": type(manifest).__name__}
    value = head | _sparse(manifest, manifest.model_dump(mode="json", by_alias=True))
    lines = [f"# {line}".rstrip() + "\n" for line in comment.splitlines()] if comment else []
    return ("".join(lines) + emit(value)).encode()


def _sparse(model: BaseModel, dumped: dict[str, Any]) -> dict[str, Any]:
    """The dump of a model without defaults, in canonical order."""
    names = {info.alias or name: name for name, info in type(model).model_fields.items()}
    kept: dict[str, Any] = {}
    for field in field_names(type(model)):
        value = getattr(model, names[field])
        info = type(model).model_fields[names[field]]
        if info.is_required() or value != info.get_default(
            call_default_factory=True, validated_data={}
        ):
            kept[field] = _thinned(value, dumped[field])
    return kept


def _thinned(value: Any, dumped: Any) -> Any:
    if isinstance(value, BaseModel):
        return _sparse(value, dumped)
    if isinstance(value, tuple):
        return [_thinned(item, other) for item, other in zip(value, dumped, strict=True)]
    return dumped
