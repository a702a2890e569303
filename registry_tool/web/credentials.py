"""API keys and sessions: what a request shows, and whether it is good."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from registry_tool.catalog.queries import KeyRecord
from registry_tool.domain.api_key import KeyText

SESSION_COOKIE = "registry_tool_session"
SESSION_LIFE = timedelta(hours=12)
_NOBODY = "0" * 64


@dataclass(frozen=True)
class Shown:
    """Credentials of a request: a key as it was written, or a session cookie."""

    key: str | None = None
    session: str | None = None


def shown_by(headers: Headers) -> Shown | None:
    """The credentials of a request, or None. A key is taken before a cookie.

    A key comes as X-API-Key, as a bearer token, or as the password of Basic authentication with any
    user name, which is what `docker login` sends.
    """
    key = headers.get("x-api-key")
    if key is not None:
        return Shown(key=key)
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return Shown(key=value.strip())
    if scheme.lower() == "basic":
        return Shown(key=_password(value.strip()))
    session = _cookie(headers.get("cookie", ""))
    return Shown(session=session) if session else None


def _password(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _cookie(header: str) -> str | None:
    try:
        found = SimpleCookie(header).get(SESSION_COOKIE)
    except CookieError:
        return None
    return found.value if found else None


class Keys:
    """The API keys of one revision; `lookup` finds one by its public part."""

    def __init__(self, lookup: Callable[[str], KeyRecord | None]) -> None:
        self._lookup = lookup
        self._known: dict[str, KeyRecord] = {}

    def holder(self, text: str, now: datetime) -> KeyRecord | None:
        """The key that `text` is, when it may be used now.

        The comparison takes as long for unknown keys as for known ones.
        """
        key = KeyText.parse(text)
        if key is None:
            return None
        found = self._find(key.key_id)
        equal = hmac.compare_digest(key.sha256, found.sha256 if found else _NOBODY)
        return found if found and equal and _usable(found, now) else None

    def by_id(self, key_id: str, now: datetime) -> KeyRecord | None:
        """The key with that public part, when it may be used now."""
        found = self._find(key_id)
        return found if found and _usable(found, now) else None

    def _find(self, key_id: str) -> KeyRecord | None:
        found = self._known.get(key_id) or self._lookup(key_id)
        if found is not None:
            # Only what exists is remembered, so that guessing does not fill the memory.
            self._known[key_id] = found
        return found


def _usable(key: KeyRecord, now: datetime) -> bool:
    expires = key.expires_at
    return not key.revoked and (expires is None or now < expires)


class Sessions:
    """Session cookies: the public part of a key and a time, signed. A revoked key ends its sessions."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, key: KeyRecord, now: datetime) -> str:
        """A cookie's value for the holder of a key."""
        ends = int((now + SESSION_LIFE).timestamp())
        text = f"{key.key_id}.{ends}"
        return f"{text}.{self._signature(text, key)}"

    def holder(self, value: str, keys: Keys, now: datetime) -> KeyRecord | None:
        """Whose session a cookie's value is, when it still lasts."""
        text, _, signature = value.rpartition(".")
        key_id, _, ends = text.partition(".")
        if not (ends.isascii() and ends.isdigit() and len(ends) < 12) or not signature.isascii():
            return None
        key = keys.by_id(key_id, now)
        if key is None or not hmac.compare_digest(signature, self._signature(text, key)):
            return None
        return key if now.timestamp() < int(ends) else None

    def _signature(self, text: str, key: KeyRecord) -> str:
        # With the hash of the secret, so that a key that replaces another does not inherit sessions.
        message = f"session:{text}:{key.sha256}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
