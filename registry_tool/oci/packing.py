"""Which files share a layer.

The rules serve two wishes: bytes that did not change never move again, and an image has few
layers. Files that a build consumes (code, wheels, requirements) never share a layer with those
that a model is made of, so that an edit of the one leaves the layers of the other alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from registry_tool.domain.release import Role

MAX_LAYERS = 64
ALONE_SIZE = 64 << 20
"""A file of this size gets a layer alone; smaller ones share layers up to it."""
MAX_SHARED = 16
"""Layers of small files that stay when there are too many layers."""

CONTEXT_ROLES = frozenset({Role.REQUIREMENTS, Role.THIRD_PARTY, Role.WHEEL, Role.CODE})
"""Roles of files that a build consumes; the rest is the payload."""


class PackedFile(NamedTuple):
    """What packing needs to know of a file."""

    path: str
    size: int
    role: Role


def is_context(role: Role) -> bool:
    """Whether files of this role are there for a build rather than for the model at run time."""
    return role in CONTEXT_ROLES


def pack(files: Sequence[tuple[str, int, Role]]) -> list[list[str]]:
    """Paths by layer: payload first, then context, each ordered by the first path of a layer.

    At most 64 layers; every file is in exactly one; the paths of a layer are sorted. The order of
    `files` is irrelevant.
    """
    ordered = sorted(PackedFile(*file) for file in files)
    parts = [
        [file for file in ordered if is_context(file.role) is context] for context in (False, True)
    ]
    alone = [[[file.path] for file in part if file.size >= ALONE_SIZE] for part in parts]
    small = [[file for file in part if file.size < ALONE_SIZE] for part in parts]
    shared = _shared(small, max(MAX_SHARED, MAX_LAYERS - sum(map(len, alone))))
    alone = _merged(alone, MAX_LAYERS - sum(map(len, shared)))
    return [layer for index in (0, 1) for layer in sorted(alone[index] + shared[index])]


def _shared(parts: Sequence[Sequence[PackedFile]], limit: int) -> list[list[list[str]]]:
    """Small files of each part, bundled; the bundles grow until there are at most `limit`."""
    size = ALONE_SIZE
    while sum(map(len, bundles := [_bundles(part, size) for part in parts])) > limit:
        size *= 2
    return bundles


def _bundles(files: Sequence[PackedFile], limit: int) -> list[list[str]]:
    bundles: list[list[str]] = []
    size = limit
    for file in files:
        if not bundles or size + file.size > limit:
            bundles.append([])
            size = 0
        bundles[-1].append(file.path)
        size += file.size
    return bundles


def _merged(parts: Sequence[list[list[str]]], limit: int) -> list[list[list[str]]]:
    """Neighbours merged evenly where the parts have more than `limit` layers together."""
    payload, context = (len(part) for part in parts)
    if payload + context <= limit:
        return list(parts)
    share = min(context, max(1, limit * context // (payload + context))) if context else 0
    share = max(share, limit - payload)
    return [_evenly(parts[0], limit - share), _evenly(parts[1], share)]


def _evenly(layers: list[list[str]], count: int) -> list[list[str]]:
    edges = [index * len(layers) // count for index in range(count + 1)] if count else []
    return [
        [path for layer in layers[start:end] for path in layer] for start, end in pairwise(edges)
    ]
