"""Whatever a manifest or record says is on its page."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from everything import RECORDS, leaves
from web_index import Index

from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS

PAGES = {
    "manifests/registry.yaml": "/registry",
    "manifests/models/everything.yaml": "/models/everything",
    "manifests/releases/everything/3.1.4/Q4_K_M.yaml": "/releases/everything/3.1.4/Q4_K_M",
    "manifests/releases/everything/3.1.4/Q4_K_M.lock.yaml": "/releases/everything/3.1.4/Q4_K_M",
    "manifests/environments/everywhere.yaml": "/environments/everywhere",
    "manifests/deployments/everywhere/tracking.yaml": "/deployments/everywhere/tracking",
    "manifests/deployments/everywhere/service.yaml": "/deployments/everywhere/service",
    "manifests/api-keys/everybody.yaml": "/api-keys/everybody",
    "build_templates/full-template/template.yaml": "/templates/full-template",
    "build_templates/docker-template/template.yaml": "/templates/docker-template",
    **{path: f"/{path.removesuffix('.yaml')}" for path in RECORDS if not path.startswith("req")},
    **{path: "/registry" for path in RECORDS if path.startswith("requests/")},
}
HIDDEN = {("manifests/api-keys/everybody.yaml", "sha256")}
"""What no page shows."""
EXPECTED = {
    True: "yes",
    False: "no",
    "2031-02-03T04:05:06Z": "2031-02-03T04:05:06",
    **{text: text.removesuffix("Z") for text in ("2030-01-02T03:04:05Z", "2030-01-02T03:06:07Z")},
    "2030-01-01T01:02:03Z": "2030-01-01T01:02:03",
    "2030-03-04T05:06:07Z": "2030-03-04T05:06:07",
    "Notes with a [link](https://notes.example.org/).\n": "Notes with a [link](https://notes.example.org/).",
}
"""How a value is written, where that is not as in the manifest."""


class Text(HTMLParser):
    """The text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def __str__(self) -> str:
        return " ".join(self.parts)


def field_names(kind: str) -> set[str]:
    """All fields that a kind has in its spec."""
    spec = {**MANIFEST_KINDS, **RECORD_KINDS}[kind].model_fields["spec"].annotation
    fields = getattr(spec, "model_fields")  # noqa: B009
    return {field.alias or name for name, field in fields.items()}


def test_every_field_of_every_kind_is_set(documents: dict[str, dict[str, Any]]) -> None:
    """A new field has to be set here, and so has to be shown."""
    found: dict[str, set[str]] = {}
    for document in documents.values():
        found.setdefault(document["kind"], set()).update(document["spec"])
    assert found.keys() == MANIFEST_KINDS.keys() | RECORD_KINDS.keys()
    for kind, names in found.items():
        assert names == field_names(kind), kind


@pytest.mark.parametrize("path", PAGES)
def test_every_field_is_on_its_page(
    everything: Index, documents: dict[str, dict[str, Any]], path: str
) -> None:
    response = everything.client.get(PAGES[path])
    assert response.status_code == 200
    text = str(Text(response.text))
    document = documents[path]
    for part in ("metadata", "spec"):
        for name, value in leaves(document[part]):
            if (path, name) in HIDDEN:
                assert str(value) not in text
                continue
            assert EXPECTED.get(value, str(value)) in text, f"{name}: {value}"
    for name in document["spec"]:
        if (path, name) not in HIDDEN:
            assert f"<dt>{name}</dt>" in response.text


def test_all_documents_have_a_page(documents: dict[str, dict[str, Any]]) -> None:
    assert set(documents) - set(PAGES) == {"manifests/environments/elsewhere.yaml"}
