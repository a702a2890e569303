"""Whatever a manifest or record says is in the API."""

from __future__ import annotations

from typing import Any

import pytest
from everything import RECORDS, leaves
from web_index import Index

RELEASE = "/releases/everything/3.1.4/Q4_K_M"
PLACES = {
    "manifests/registry.yaml": "/registry",
    "manifests/models/everything.yaml": "/models/everything",
    "manifests/releases/everything/3.1.4/Q4_K_M.yaml": RELEASE,
    "manifests/releases/everything/3.1.4/Q4_K_M.lock.yaml": RELEASE,
    "manifests/environments/everywhere.yaml": "/environments/everywhere",
    "manifests/environments/elsewhere.yaml": "/environments/elsewhere",
    "manifests/deployments/everywhere/tracking.yaml": "/deployments/everywhere/tracking",
    "manifests/deployments/everywhere/service.yaml": "/deployments/everywhere/service",
    "manifests/api-keys/everybody.yaml": "/api-keys/everybody",
    "build_templates/full-template/template.yaml": "/templates/full-template",
    "build_templates/docker-template/template.yaml": "/templates/docker-template",
    **{path: f"/{path.removesuffix('.yaml')}" for path in RECORDS},
}
NAMES = {"deployments/": "/deployment-records/"}
"""Folders of records whose items have another name."""
HIDDEN = {("manifests/api-keys/everybody.yaml", "sha256")}


def item_of(index: Index, path: str) -> Any:
    place = PLACES[path]
    if path in RECORDS:
        for folder, name in NAMES.items():
            place = place.replace(f"/{folder}", name)
    item = index.get(place)
    if path.endswith(".lock.yaml"):
        # It is a part of its release, and has the identity of it.
        return {name: item[name] for name in ("model", "version", "quantization")} | item["lock"]
    return item


def plain(value: Any) -> Any:
    """Times as one and the same text."""
    return value.replace("+00:00", "Z") if isinstance(value, str) else value


@pytest.mark.parametrize("path", PLACES)
def test_every_field_is_in_the_api(
    everything: Index, documents: dict[str, dict[str, Any]], path: str
) -> None:
    item = item_of(everything, path)
    known = {(name, plain(value)) for name, value in leaves(item)}
    for part in ("metadata", "spec"):
        for name, value in leaves(documents[path][part]):
            if (path, name) in HIDDEN:
                assert name not in item
            else:
                assert (name, plain(value)) in known, f"{name}: {value}"


def test_all_documents_are_looked_up(documents: dict[str, dict[str, Any]]) -> None:
    assert documents.keys() == PLACES.keys()
