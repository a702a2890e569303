"""Keys and sessions without a server."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from starlette.datastructures import Headers

from registry_tool.catalog.queries import KeyRecord
from registry_tool.domain.api_key import KeyText
from registry_tool.web.credentials import (
    SESSION_COOKIE,
    SESSION_LIFE,
    Keys,
    Sessions,
    Shown,
    shown_by,
)
from registry_tool.web.failures import ALLOWED, WINDOW, Failures

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
KEY = KeyText("abcd1234", "kwUqo_Notz7fpmg0wtoPsnzHOvpJVwqkSpBVi2_bYM8")


def record(**changes: object) -> KeyRecord:
    known = KeyRecord("ci", KEY.key_id, "Ops", KEY.sha256, None, False)
    return known._replace(**changes)  # type: ignore[arg-type]


def keys_of(*known: KeyRecord) -> Keys:
    return Keys({entry.key_id: entry for entry in known}.get)


def test_a_key_survives_being_written_and_read() -> None:
    assert KeyText.parse(str(KEY)) == KEY


@pytest.mark.parametrize(
    "text", ["", "rt_", str(KEY)[:-1], str(KEY) + "x", "rt_abcd1234_", str(KEY).replace("rt", "sk")]
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert KeyText.parse(text) is None
    assert keys_of(record()).holder(text, NOW) is None


def test_a_good_key_has_a_holder() -> None:
    holder = keys_of(record()).holder(str(KEY), NOW)
    assert holder is not None
    assert holder.name == "ci"


@pytest.mark.parametrize(
    "known",
    [
        record(revoked=True),
        record(expires_at=NOW),
        record(expires_at=NOW - timedelta(days=1)),
        record(sha256="0" * 64),
        record(key_id="other123"),
    ],
)
def test_revoked_expired_and_foreign_keys_have_none(known: KeyRecord) -> None:
    assert keys_of(known).holder(str(KEY), NOW) is None


def test_a_key_works_until_it_expires() -> None:
    keys = keys_of(record(expires_at=NOW + timedelta(seconds=1)))
    assert keys.holder(str(KEY), NOW)
    assert keys.holder(str(KEY), NOW + timedelta(seconds=1)) is None


def headers(**named: str) -> Headers:
    return Headers({name.replace("_", "-"): value for name, value in named.items()})


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "given, shown",
    [
        (headers(), None),
        (headers(x_api_key="k"), Shown(key="k")),
        (headers(authorization="Bearer k"), Shown(key="k")),
        (headers(authorization=basic("anyone", "k:1")), Shown(key="k:1")),
        (headers(authorization="Basic !!!"), Shown(key="")),
        (headers(authorization="Digest k"), None),
        (headers(cookie=f"a=b; {SESSION_COOKIE}=s"), Shown(session="s")),
        (headers(cookie=f"{SESSION_COOKIE}="), None),
        (headers(cookie="a=b"), None),
        (headers(x_api_key="k", cookie=f"{SESSION_COOKIE}=s"), Shown(key="k")),
    ],
)
def test_credentials_are_found_where_clients_put_them(given: Headers, shown: Shown | None) -> None:
    assert shown_by(given) == shown


def test_a_session_belongs_to_its_key_and_ends() -> None:
    sessions, keys = Sessions(b"secret"), keys_of(record())
    cookie = sessions.issue(record(), NOW)
    assert sessions.holder(cookie, keys, NOW) == record()
    assert sessions.holder(cookie, keys, NOW + SESSION_LIFE) is None
    assert sessions.holder(cookie, keys_of(record(revoked=True)), NOW) is None
    assert sessions.holder(cookie, keys_of(record(sha256="1" * 64)), NOW) is None
    assert Sessions(b"other").holder(cookie, keys, NOW) is None


@pytest.mark.parametrize(
    "cookie", ["", ".", "..", "abcd1234.99999999999.", "abcd1234.x.y", "é.1.é"]
)
def test_made_up_sessions_have_no_holder(cookie: str) -> None:
    assert Sessions(b"secret").holder(cookie, keys_of(record()), NOW) is None


def test_a_session_cannot_be_prolonged_by_its_holder() -> None:
    sessions = Sessions(b"secret")
    key_id, ends, signature = sessions.issue(record(), NOW).split(".")
    later = f"{key_id}.{int(ends) + 60}.{signature}"
    assert sessions.holder(later, keys_of(record()), NOW) is None


def test_too_many_failures_block_one_client_for_a_while() -> None:
    failures = Failures()
    for _ in range(ALLOWED):
        assert failures.blocked_for("10.0.0.1", NOW) == 0
        failures.note("10.0.0.1", NOW)
    assert failures.blocked_for("10.0.0.1", NOW) == WINDOW.total_seconds()
    assert failures.blocked_for("10.0.0.2", NOW) == 0
    assert failures.blocked_for("10.0.0.1", NOW + WINDOW) == 0
