"""Headers, other origins, and failures that tell nothing of the inside."""

from __future__ import annotations

import pytest
from registries import RegistryFolder
from web_index import API, Index

PATHS = ("/", "/health", f"{API}/models", f"{API}/nothing", "/v2/", "/nothing", "/static/app.js")


@pytest.mark.parametrize("path", PATHS)
def test_every_response_has_the_headers(index: Index, path: str) -> None:
    headers = index.client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"


def allow(applied: RegistryFolder, index: Index, origins: str) -> None:
    applied.replace(
        "manifests/registry.yaml", "spec:", f"spec:\n  web:\n    cors_origins: {origins}"
    )
    applied.commit("Allow origins")
    index.refresh()


def test_other_origins_may_not_read_by_default(index: Index) -> None:
    response = index.client.get(f"{API}/models", headers={"Origin": "https://a.example"})
    assert "Access-Control-Allow-Origin" not in response.headers


def test_allowed_origins_may(index: Index, applied: RegistryFolder) -> None:
    allow(applied, index, "[https://a.example]")
    for origin, answer in (("https://a.example", "https://a.example"), ("https://b.example", None)):
        response = index.client.get(f"{API}/models", headers={"Origin": origin})
        assert response.headers.get("Access-Control-Allow-Origin") == answer
        assert "Origin" in response.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_browser_may_ask_before_it_sends_a_key(index: Index, applied: RegistryFolder) -> None:
    allow(applied, index, '["*"]')
    headers = {"Origin": "https://a.example", "Access-Control-Request-Headers": "x-api-key"}
    response = index.client.options(f"{API}/models", headers=headers)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "X-API-Key" in response.headers["Access-Control-Allow-Headers"]


def test_a_defect_is_500_without_details(
    index: Index, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_arguments: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("registry_tool.web.api.system.mounts", broken)
    response = index.client.get(f"{API}/system/storage")
    assert response.status_code == 500
    assert response.json() == {"detail": "Internal Server Error"}
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "secret detail" in caplog.text
