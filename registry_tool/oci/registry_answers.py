"""What a registry answered, and what to tell people when that was no."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from registry_tool.errors import ContentMismatch, RegistryToolError, StoreProblem

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which trying again may help."""
_REFUSED = frozenset({401, 403})
_WORDS = 200
_DISK_FULL = re.compile(rb'no space left on device|"Err": ?(?:28|122)\b')
"""In words, or as the error numbers ENOSPC and EDQUOT of Linux."""
_TAG = re.compile(r"<[^<>]*>")


class AccessRefused(StoreProblem):
    """A login or its rights are not enough. Told apart inside the client only."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (names in lower case) and body of a response."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    url: str = ""
    """Where it came from, after redirects."""
    errors: tuple[tuple[str, str], ...] = field(init=False)
    """Code and text of the errors that an OCI registry lists."""

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "errors", _errors(self.body) if self.status >= _FIRST_ERROR else ()
        )

    @property
    def codes(self) -> frozenset[str]:
        """The OCI error codes."""
        return frozenset(code for code, _ in self.errors)

    @property
    def words(self) -> str:
        """What the registry says, on one line, for people."""
        told = "; ".join(f"{code} {text}".strip() for code, text in self.errors)
        if not told:
            told = _TAG.sub(" ", self.body[:4096].decode(errors="replace"))
        plain = " ".join("".join(c if c.isprintable() else " " for c in told).split())
        return plain if len(plain) <= _WORDS else plain[:_WORDS] + "…"


_FIRST_ERROR = 400


def _errors(body: bytes) -> tuple[tuple[str, str], ...]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    listed = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        return ()
    return tuple(_error(entry) for entry in listed if isinstance(entry, dict))


def _error(entry: Mapping[str, object]) -> tuple[str, str]:
    detail = entry.get("detail")
    told = detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False)
    extra = f" ({told})" if detail else ""
    return str(entry.get("code", "")), f"{entry.get('message', '')}{extra}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request went and as whom, for messages."""

    host: str
    what: str
    """What was tried, as in ``upload sha256:… to team/minilm``."""
    user: str | None = None
    """None for an anonymous request."""
    create_help: str | None = None


def problem_of(answer: Answer, place: Place) -> RegistryToolError:
    """The failure that an unexpected answer means."""
    special = _special(answer, place)
    if special is not None:
        return special
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "an unknown status"
    return _problem(
        place,
        f"it answered {answer.status} {phrase}",
        answer,
        help="see the log of the registry, or try again later"
        if answer.status in TRANSIENT
        else "is this an OCI registry? spec.images.repository of the Registry names it",
        transient=answer.status in TRANSIENT,
    )


def _special(answer: Answer, place: Place) -> RegistryToolError | None:
    return _by_words(answer, place) or _by_status(answer, place)


def _by_words(answer: Answer, place: Place) -> RegistryToolError | None:
    told = answer.words.lower()
    if answer.codes & {"DIGEST_INVALID", "SIZE_INVALID"}:
        return ContentMismatch(
            f"{place.host} did not get the bytes that were promised: cannot {place.what}"
            f" ({answer.words})",
            help="the source was changed, or the connection damages data; build again, and if it"
            " stays, lock the release again",
        )
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _problem(place, "too many requests", answer, help="try again later", transient=True)
    if "quota" in told or answer.status == HTTPStatus.INSUFFICIENT_STORAGE:
        return _problem(
            place, "its quota is used up", answer, help="raise the quota, or delete old images"
        )
    if _DISK_FULL.search(answer.body):
        return _problem(place, "its disk is full", answer, help="free space there, and run again")
    if "immutable" in told:
        return _problem(
            place,
            "the tag exists and cannot be moved",
            answer,
            help="allow tags to be overwritten in this repository, or publish a new version",
        )
    return None


def _by_status(answer: Answer, place: Place) -> RegistryToolError | None:
    match answer.status:
        case HTTPStatus.UNAUTHORIZED:
            return _unauthorized(answer, place)
        case HTTPStatus.FORBIDDEN:
            return _denied(answer, place)
        case HTTPStatus.NOT_FOUND if "NAME_UNKNOWN" in answer.codes:
            help_text = place.create_help or "create it, or correct spec.images.repository"
            return _problem(place, "the repository does not exist", answer, help=help_text)
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return _problem(
                place,
                "it is too large for the registry, or for a proxy before it",
                answer,
                help="raise the limit there (nginx: client_max_body_size), or send it in smaller"
                " requests: git config registry-tool.registry-profile chunked",
            )
        case HTTPStatus.BAD_REQUEST if b"HTTP request to an HTTPS server" in answer.body:
            return _problem(
                place,
                "it speaks HTTPS, and was spoken to in plain HTTP",
                answer,
                help="remove spec.images.insecure from the Registry manifest",
            )
    return None


def _unauthorized(answer: Answer, place: Place) -> StoreProblem:
    if place.user is None:
        return _problem(
            place,
            "it wants a login, and the Docker configuration has none for it",
            answer,
            help=f"log in as the user that runs registry-tool: docker login {place.host}",
        )
    return _problem(
        place,
        f"it does not accept the login of {place.user}",
        answer,
        help=f"log in again: docker login {place.host}",
    )


def _denied(answer: Answer, place: Place) -> StoreProblem:
    who = f"{place.user} may not do this" if place.user else "this needs a login"
    return _problem(
        place,
        who,
        answer,
        help="ask its administrator for the right to push and pull there"
        if place.user
        else f"log in as the user that runs registry-tool: docker login {place.host}",
    )


def _problem(
    place: Place, why: str, answer: Answer, *, help: str, transient: bool = False
) -> StoreProblem:
    told = f' (it says "{answer.words}")' if answer.words else ""
    kind = AccessRefused if answer.status in _REFUSED else StoreProblem
    return kind(
        f"the registry {place.host} refused to {place.what}: {why}{told}",
        code="RT608",
        help=help,
        transient=transient,
    )
