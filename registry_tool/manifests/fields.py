"""The fields of manifest types, found by pointer: what is known where, for suggestions and canonical order."""

from __future__ import annotations

import types
import typing
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel

from registry_tool.domain.diagnostics import Pointer


def field_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields as they are written in YAML, in the order of their declaration; the envelope's comes first."""
    names = [info.alias or name for name, info in model.model_fields.items()]
    envelope = [name for name in ("apiVersion", "kind", "metadata", "spec") if name in names]
    if len(envelope) > 1:
        return (*envelope, *(name for name in names if name not in envelope))
    # metadata: the name first, then labels and annotations, which are inherited
    return (
        tuple(sorted(names, key=lambda name: name != "name")) if "labels" in names else tuple(names)
    )


def model_at(model: type[BaseModel], pointer: Pointer) -> type[BaseModel] | None:
    """The type of the mapping at a pointer, or None where keys are free or the pointer leads nowhere."""
    current: Any = model
    for step in pointer:
        current = _inner(current, step)
    return current if _is_model(current) else None


def _inner(annotation: Any, step: str | int) -> Any:
    if _is_model(annotation):
        annotation = _annotations(annotation).get(str(step))
        return _bare(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple and isinstance(step, int):
        return _bare(arguments[0])
    return None


@lru_cache(maxsize=256)
def _annotations(model: type[BaseModel]) -> dict[str, Any]:
    return {info.alias or name: info.annotation for name, info in model.model_fields.items()}


def _bare(annotation: Any) -> Any:
    """An annotation without Annotated and without None."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is Annotated:
            annotation = typing.get_args(annotation)[0]
        elif origin in {types.UnionType, typing.Union}:
            kept = [part for part in typing.get_args(annotation) if part is not types.NoneType]
            if len(kept) != 1:
                return None
            annotation = kept[0]
        else:
            return annotation


def _is_model(annotation: Any) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
