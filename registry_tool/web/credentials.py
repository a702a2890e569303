"""API keys and sessions: what a request shows, and whether it is good."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers

from registry_tool.domain.api_key import ApiKey

SESSION_COOKIE = "registry_tool_session"
SESSION_LIFE = timedelta(hours=12)
_KEY = re.compile(r"rt_(?P<id>[A-Za-z0-9]{4,32})_(?P<secret>[A-Za-z0-9_-]{43})", re.ASCII)
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
    """The API keys of one revision."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self._by_id: Mapping[str, ApiKey] = {key.spec.key_id: key for key in keys}

    def holder(self, text: str, now: datetime) -> ApiKey | None:
        """The key that `text` is, when it may be used now.

        The comparison takes as long for unknown keys as for known ones.
        """
        match = _KEY.fullmatch(text)
        if match is None:
            return None
        found = self._by_id.get(match["id"])
        seen = hashlib.sha256(match["secret"].encode()).hexdigest()
        equal = hmac.compare_digest(seen, found.spec.sha256 if found else _NOBODY)
        return found if found and equal and _usable(found, now) else None

    def by_id(self, key_id: str, now: datetime) -> ApiKey | None:
        """The key with that public part, when it may be used now."""
        found = self._by_id.get(key_id)
        return found if found and _usable(found, now) else None


def _usable(key: ApiKey, now: datetime) -> bool:
    expires = key.spec.expires_at
    return not key.spec.revoked and (expires is None or now < expires)


class Sessions:
    """Session cookies: the public part of a key and a time, signed. A revoked key ends its sessions."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def issue(self, key: ApiKey, now: datetime) -> str:
        """A cookie's value for the holder of a key."""
        ends = int((now + SESSION_LIFE).timestamp())
        text = f"{key.spec.key_id}.{ends}"
        return f"{text}.{self._signature(text, key)}"

    def holder(self, value: str, keys: Keys, now: datetime) -> ApiKey | None:
        """Whose session a cookie's value is, when it still lasts."""
        text, _, signature = value.rpartition(".")
        key_id, _, ends = text.partition(".")
        if not (ends.isascii() and ends.isdigit() and len(ends) < 12) or not signature.isascii():
            return None
        key = keys.by_id(key_id, now)
        if key is None or not hmac.compare_digest(signature, self._signature(text, key)):
            return None
        return key if now.timestamp() < int(ends) else None

    def _signature(self, text: str, key: ApiKey) -> str:
        # With the hash of the secret, so that a key that replaces another does not inherit sessions.
        message = f"session:{text}:{key.spec.sha256}".encode()
        return hmac.new(self._secret, message, hashlib.sha256).hexdigest()
