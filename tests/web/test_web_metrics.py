"""What Prometheus is told."""

from __future__ import annotations

import sys

import pytest
from registries import RegistryFolder
from web_index import API, Index, open_index


def test_requests_are_counted_by_route_and_never_by_path(index: Index) -> None:
    index.get("/models/minilm")
    index.get("/models/minilm")
    index.get("/models/unknown", 404)
    index.client.get("/no/such/page")
    text = index.client.get("/metrics").text
    route = f'route="{API}/models/{{model}}"'
    assert f'registry_tool_http_requests_total{{method="GET",{route},status="200"}} 2.0' in text
    assert f'registry_tool_http_requests_total{{method="GET",{route},status="404"}} 1.0' in text
    assert "unknown" not in text
    assert "/no/such/page" not in text


def test_what_is_served_is_told(index: Index, applied: RegistryFolder) -> None:
    text = index.client.get("/metrics").text
    assert applied.git("rev-parse", "HEAD") in text
    assert 'registry_tool_items{kind="models"} 1.0' in text
    assert "registry_tool_serving_problem 0.0" in text


def test_without_the_extra_a_hint_is_given(
    applied: RegistryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with open_index(applied.path) as index:
        response = index.client.get("/metrics")
    assert response.status_code == 404
    assert "registry-tool[metrics]" in response.json()["detail"]
