"""Authorization: what a registry asks for, and the tokens that were got for it.

A registry says with its first refusal how it wants to be spoken to: with the login itself (Basic),
or with a token from somewhere else (Bearer), which is good for some repositories and some minutes.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from registry_tool.errors import StoreProblem
from registry_tool.oci.registry_answers import Answer, Place, problem_of
from registry_tool.oci.registry_credentials import DockerCredentials, Login

_DEFAULT_SECONDS = 60
"""How long a token lives when its server does not say."""
_MARGIN = 10
_PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_SCHEME = re.compile(r"(?:^|,)\s*(Basic|Bearer)(?=\s|$)", re.IGNORECASE)
_OK = 200
CLIENT = "registry-tool"

Scopes = tuple[str, ...]
"""What a request needs, as in ``repository:team/minilm:pull,push``."""
Fetch = Callable[[str, str, Mapping[str, str], bytes | None], Answer]
"""Asks a token server: method, URL, headers, body."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """How a registry wants to be spoken to."""

    scheme: str
    realm: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    expires: float


class Authorizer:
    """Authorization headers of one registry; used from many threads."""

    def __init__(
        self,
        host: str,
        credentials: DockerCredentials,
        fetch: Fetch,
        *,
        insecure: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._credentials = credentials
        self._fetch = fetch
        self._insecure = insecure
        self._clock = clock
        self._lock = threading.Lock()
        self._challenge: Challenge | None = None
        self._login: Login | None = None
        self._tokens: dict[Scopes, _Token] = {}

    @property
    def user(self) -> str | None:
        """Whose login is used; None for nobody's."""
        return (self._login.user or "the identity token") if self._login else None

    def header(self, scopes: Scopes) -> str | None:
        """The Authorization header for a request; None while the registry asked for none.

        Raises StoreProblem when there is no token to be had.
        """
        with self._lock:
            return self._header(scopes)

    def challenged(self, answer: Answer, scopes: Scopes, sent: str | None) -> bool:
        """Learn from a refusal (401); whether another try with a new header makes sense."""
        challenge = parse_challenge(answer.headers.get("www-authenticate", ""))
        if challenge is None:
            return False
        with self._lock:
            known = self._challenge == challenge
            if known and sent != self._current(scopes):
                return True  # another thread was refused too, and has a new one by now
            if known and sent is not None:
                # Refused although it should be good: it has expired or was revoked. Once.
                self._tokens.pop(scopes, None)
            before = self._login
            self._challenge = challenge
            self._login = self._credentials.login(self._host)
            if not known:
                self._tokens.clear()
            if challenge.scheme == "basic":
                return self._login is not None and (sent is None or self._login != before)
            return self._header(scopes) != sent

    def _current(self, scopes: Scopes) -> str | None:
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            return self._login.basic if self._login else None
        token = self._tokens.get(scopes)
        return token.header if token else None

    def _header(self, scopes: Scopes) -> str | None:
        challenge = self._challenge
        if challenge is None:
            return None
        if challenge.scheme == "basic":
            return self._login.basic if self._login else None
        token = self._tokens.get(scopes)
        if token is None or token.expires <= self._clock():
            token = self._tokens[scopes] = self._new_token(challenge, scopes)
        return token.header

    def _new_token(self, challenge: Challenge, scopes: Scopes) -> _Token:
        self._require_safe(challenge.realm)
        # Helpers give short-lived passwords: asked again for every token.
        self._login = self._credentials.login(self._host)
        asked = self._clock()
        if self._login is not None and self._login.is_identity_token:
            answer = self._exchange(challenge, scopes, self._login)
        else:
            answer = self._ask(challenge, scopes, self._login)
        if answer.status != _OK:
            place = Place(self._host, f"give a token for {', '.join(scopes)}", self.user)
            raise problem_of(answer, place)
        return self._parsed(answer, asked)

    def _ask(self, challenge: Challenge, scopes: Scopes, login: Login | None) -> Answer:
        query = [("service", challenge.service)] if challenge.service else []
        query += [("scope", scope) for scope in scopes]
        joint = "&" if urlsplit(challenge.realm).query else "?"
        headers = {"Authorization": login.basic} if login else {}
        if login:
            query.append(("account", login.user))
        return self._fetch("GET", f"{challenge.realm}{joint}{urlencode(query)}", headers, None)

    def _exchange(self, challenge: Challenge, scopes: Scopes, login: Login) -> Answer:
        form = {
            "grant_type": "refresh_token",
            "service": challenge.service,
            "client_id": CLIENT,
            "scope": " ".join(scopes),
            "refresh_token": login.secret,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._fetch("POST", challenge.realm, headers, urlencode(form).encode())

    def _parsed(self, answer: Answer, asked: float) -> _Token:
        try:
            document: Any = json.loads(answer.body)
        except ValueError:
            document = None
        found = document if isinstance(document, dict) else {}
        token = found.get("token") or found.get("access_token")
        seconds = found.get("expires_in")
        if not isinstance(token, str):
            raise StoreProblem(
                f"the token server {urlsplit(answer.url).netloc} of {self._host} answered without"
                " a token",
                code="RT608",
                help="see the log of the token server",
                transient=True,
            )
        lifetime = seconds if isinstance(seconds, int) and seconds > 0 else _DEFAULT_SECONDS
        return _Token(f"Bearer {token}", asked + max(lifetime - _MARGIN, lifetime / 2))

    def _require_safe(self, realm: str) -> None:
        parts = urlsplit(realm)
        if parts.scheme == "https" or (parts.scheme == "http" and self._insecure):
            return
        raise StoreProblem(
            f"the registry {self._host} asks for a token from {realm!r}, and a login is not sent"
            " there in the open",
            code="RT608",
            help="correct the token server's address in the registry's configuration (realm)",
        )


def parse_challenge(header: str) -> Challenge | None:
    """The challenge of a WWW-Authenticate header that can be met; Bearer before Basic."""
    found: dict[str, Challenge] = {}
    starts = list(_SCHEME.finditer(header))
    ends = [*(start.start() for start in starts[1:]), len(header)]
    for start, end in zip(starts, ends, strict=False):
        text = header[start.end() : end]
        values = {
            name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
            for name, quoted, plain in _PARAMETER.findall(text)
        }
        scheme = start[1].lower()
        if scheme == "basic" or values.get("realm"):
            realm = values.get("realm", "") if scheme == "bearer" else ""
            found[scheme] = Challenge(scheme, realm, values.get("service", ""))
    return found.get("bearer") or found.get("basic")
