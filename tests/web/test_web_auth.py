"""Who may read: keys, sessions, and what a client without them sees."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from registries import RegistryFolder
from web_index import API, Index, add_key, open_index

from registry_tool.domain.api_key import KeyText
from registry_tool.web.credentials import SESSION_COOKIE
from registry_tool.web.failures import ALLOWED

Closed = tuple[Index, KeyText]


def status(index: Index, path: str = f"{API}/models", **headers: str) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return index.client.get(path, headers=named).status_code


def test_without_a_key_the_api_says_so(closed_index: Closed) -> None:
    index, _ = closed_index
    for path in ("/models", "/openapi.json", "/events", "/nothing"):
        response = index.client.get(API + path)
        assert response.status_code == 401
        assert response.json() == {"detail": "Missing API key"}
        assert "WWW-Authenticate" in response.headers
    assert index.client.get("/metrics").status_code == 401


def test_with_a_wrong_key_it_says_that(closed_index: Closed) -> None:
    index, key = closed_index
    for wrong in ("", "x", str(KeyText(key.key_id, "A" * 43)), str(key) + "\u00e9"):
        response = index.client.get(f"{API}/models", headers={"X-API-Key": wrong.encode()})
        assert response.status_code == 401
        assert response.json() == {"detail": "Invalid API key"}


def test_a_good_key_opens_everything(closed_index: Closed) -> None:
    index, key = closed_index
    assert status(index, X_API_Key=str(key)) == 200
    assert status(index, Authorization=f"Bearer {key}") == 200
    assert status(index, "/v2/", X_API_Key=str(key)) == 200
    assert status(index, "/", X_API_Key=str(key)) == 200


def test_a_remembered_answer_is_not_given_to_strangers(closed_index: Closed) -> None:
    index, key = closed_index
    first = index.client.get(f"{API}/models", headers={"X-API-Key": str(key)})
    assert "private" in first.headers["Cache-Control"]
    assert status(index) == 401
    assert status(index, If_None_Match=first.headers["ETag"]) == 401


@pytest.mark.parametrize("path", ["/health", "/login", "/static/app.js"])
def test_what_must_work_without_a_key_does(closed_index: Closed, path: str) -> None:
    assert status(closed_index[0], path) == 200


@pytest.mark.parametrize("path", ["/healthy", "/loginx", "/static", "/health/../api/v1/models"])
def test_what_only_begins_like_that_does_not(closed_index: Closed, path: str) -> None:
    assert status(closed_index[0], path.replace("..", "%2e%2e")) in {303, 401}


def test_nobody_is_asked_for_a_key_that_is_not_needed(shared: Index) -> None:
    response = shared.client.get("/login?next=/models")
    assert response.status_code == 303
    assert response.headers["location"] == "/models"


def test_a_registry_without_that_setting_is_open(index: Index) -> None:
    assert status(index) == 200
    assert status(index, X_API_Key="whatever") == 200


def test_revoking_takes_effect_with_the_commit(
    closed: tuple[RegistryFolder, KeyText], closed_index: Closed
) -> None:
    folder, key = closed
    index, _ = closed_index
    cookie = log_in(index, key)
    assert status(index, X_API_Key=str(key)) == 200
    path = "manifests/api-keys/ci.yaml"
    folder.write(path, (folder.path / path).read_text() + "  revoked: true\n")
    folder.commit("Revoke ci")
    index.refresh()
    assert status(index, X_API_Key=str(key)) == 401
    assert status(index, Cookie=f"{SESSION_COOKIE}={cookie}") == 401


def test_keys_of_the_tip_count_whatever_is_looked_at(
    closed: tuple[RegistryFolder, KeyText], closed_index: Closed
) -> None:
    folder, key = closed
    index, _ = closed_index
    old = folder.git("rev-parse", "HEAD")
    folder.git("rm", "--quiet", "manifests/api-keys/ci.yaml")
    new = add_key(folder, "other")
    index.refresh()
    assert status(index, f"{API}/models?at={old}", X_API_Key=str(key)) == 401
    assert status(index, f"{API}/models?at={old}", X_API_Key=str(new)) == 200


def test_a_key_stops_working_when_it_expires(closed: tuple[RegistryFolder, KeyText]) -> None:
    folder, _ = closed
    ends = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    key = add_key(folder, "brief", f'expires_at: "{ends.isoformat()}"')
    now = [ends - timedelta(seconds=1)]
    with open_index(folder.path, clock=lambda: now[0]) as index:
        assert status(index, X_API_Key=str(key)) == 200
        now[0] = ends
        assert status(index, X_API_Key=str(key)) == 401


def test_guessing_is_slowed_down(closed_index: Closed) -> None:
    index, key = closed_index
    seen = [status(index, X_API_Key="wrong") for _ in range(ALLOWED + 2)]
    assert seen == [401] * ALLOWED + [429] * 2
    response = index.client.get(f"{API}/models", headers={"X-API-Key": "wrong"})
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert "try again" in response.json()["detail"]
    assert status(index, X_API_Key=str(key)) == 200


def log_in(index: Index, key: object, following: str = "/") -> str:
    response = index.client.post("/login", data={"key": str(key), "next": following})
    assert response.status_code == 303
    value: str = response.cookies[SESSION_COOKIE]
    index.client.cookies.clear()
    return value


def test_a_page_leads_to_the_form_and_back(closed_index: Closed) -> None:
    index, key = closed_index
    turned_away = index.client.get("/models?q=a b")
    assert turned_away.status_code == 303
    assert turned_away.headers["Location"] == "/login?next=/models%3Fq%3Da%2520b"
    form = index.client.get(turned_away.headers["Location"])
    assert form.status_code == 200
    response = index.client.post("/login", data={"key": f" {key}\n", "next": "/models?q=a%20b"})
    assert response.headers["Location"] == "/models?q=a%20b"
    assert index.client.get("/models").status_code == 200
    assert index.client.get(f"{API}/models").status_code == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(closed_index: Closed) -> None:
    index, key = closed_index
    response = index.client.post("/login", data={"key": str(key)})
    cookie = response.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert str(key).lower() not in cookie


def test_strangers_are_shown_no_way_in(closed_index: Closed) -> None:
    index, key = closed_index
    assert '<nav class="nav"' not in index.client.get("/login").text
    known = index.client.get("/nowhere", headers={"X-API-Key": str(key)})
    assert known.status_code == 404
    assert '<nav class="nav"' in known.text


def test_a_wrong_key_in_the_form_is_said_there(closed_index: Closed) -> None:
    index, _ = closed_index
    response = index.client.post("/login", data={"key": "wrong", "next": "/models"})
    assert response.status_code == 401
    assert "Invalid API key" in response.text
    assert "Set-Cookie" not in response.headers
    for _ in range(ALLOWED):
        response = index.client.post("/login", data={"key": "wrong"})
    assert response.status_code == 429


@pytest.mark.parametrize(
    "following",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", ""],
)
def test_nobody_is_sent_elsewhere(closed_index: Closed, following: str) -> None:
    index, key = closed_index
    response = index.client.post("/login", data={"key": str(key), "next": following})
    assert response.headers["Location"] == "/"


def test_forms_of_other_sites_are_refused(closed_index: Closed) -> None:
    index, key = closed_index
    headers = {"Sec-Fetch-Site": "cross-site"}
    response = index.client.post("/login", data={"key": str(key)}, headers=headers)
    assert response.status_code == 403
    assert index.client.post("/logout", headers=headers).status_code == 403


def test_logging_out_forgets_the_cookie(closed_index: Closed) -> None:
    index, key = closed_index
    index.client.post("/login", data={"key": str(key)})
    assert status(index) == 200
    response = index.client.post("/logout")
    assert response.headers["Location"] == "/login"
    assert status(index) == 401


@pytest.mark.parametrize(
    "body, expected",
    [(b"x" * 10_000, 413), (b"a=1&" * 50, 422), (b"\xff\xfe=%00", 401), (b"", 401)],
)
def test_odd_forms_are_refused(closed_index: Closed, body: bytes, expected: int) -> None:
    response = closed_index[0].client.post("/login", content=body)
    assert response.status_code == expected


def test_a_part_of_a_page_makes_the_whole_page_go_to_the_form(closed_index: Closed) -> None:
    response = closed_index[0].client.get("/models", headers={"HX-Request": "true"})
    assert response.status_code == 401
    assert response.headers["HX-Redirect"].startswith("/login?next=")


def routes(router: Any) -> Iterator[Any]:
    for route in router.routes:
        included = getattr(route, "original_router", None)
        yield from routes(included) if included is not None else (route,)


def test_everything_is_read_only(shared: Index) -> None:
    changing = {
        (method, route.path)
        for route in routes(shared.client.app)
        for method in getattr(route, "methods", None) or ()
        if method not in {"GET", "HEAD"}
    }
    # The last one answers that nothing can be pushed.
    refused = {(method, "/v2/{rest:path}") for method in ("POST", "PUT", "PATCH", "DELETE")}
    assert changing == {("POST", "/login"), ("POST", "/logout"), *refused}
