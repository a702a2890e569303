"""Values that look like secrets: manifests carry names of secrets, never the secrets.

A false alarm blocks a pull request, so only two things count: the fixed shapes that credentials of well-known
systems have, and random-looking literals under a key that says it is a password or a token.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from registry_tool.domain.diagnostics import Pointer

_SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("an AWS access key", re.compile(r"(?<![A-Z0-9])(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])")),
    ("a GitHub token", re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{50,}")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("a Slack token", re.compile(r"\bxox[abposr]-[A-Za-z0-9-]{10,}")),
    (
        "a Slack webhook",
        re.compile(r"hooks\.slack\.com/services/T[A-Z0-9]+/B[A-Z0-9]+/[A-Za-z0-9]+"),
    ),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{34,}")),
    ("a Google API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    (
        "an API key",
        re.compile(r"\bsk-(?:proj-|ant-|live-)?[A-Za-z0-9_-]{32,}|\b[rs]k_live_[A-Za-z0-9]{20,}"),
    ),
    (
        "a JSON web token",
        re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    ),
    (
        "a URL with a password",
        re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]*[^/\s:@{}$<>*]@[^/\s]"),
    ),
)
_TRACES = (
    *(
        "PRIVATE KEY",
        "AKIA",
        "ASIA",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
    ),
    *("xox", "hooks.slack", "hf_", "AIza", "sk-", "k_live_", "eyJ"),
)
"""What a text has that matches one of the shapes, other than a URL with a password."""

_WORD = re.compile(
    r"(?:^|[_.-])(?:password|passwd|passphrase|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|secret[_-]?key|auth[_-]?key)(?:[_-]?[0-9]*)$",
    re.IGNORECASE,
)
_WORD_TRACES = ("passw", "passp", "pwd", "secret", "token", "credential", "key")
_AS_KEY = re.compile(
    r"(?:password|passwd|passphrase|pwd|secret|token|credentials?|key)[_-]?[0-9]*[\"']?\s*:"
)
_LITERAL = re.compile(r"[A-Za-z0-9+/=_.~!@#$%^&*-]+")


def may_hold_secret(text: str) -> bool:
    """A quick look at a whole file, so that only few have to be walked through."""
    if _may_have_shape(text):
        return True
    lowered = text.lower()
    return any(trace in lowered for trace in _WORD_TRACES) and _AS_KEY.search(lowered) is not None


def _may_have_shape(text: str) -> bool:
    return any(trace in text for trace in _TRACES) or ("@" in text and "://" in text)


def find_secrets(value: Any) -> Iterator[tuple[Pointer, str]]:
    """The values that look like secrets, and what each looks like."""
    yield from _find(value, (), None)


def _find(value: Any, pointer: Pointer, key: str | None) -> Iterator[tuple[Pointer, str]]:
    if isinstance(value, str):
        found = _looks_like(value, key)
        if found:
            yield pointer, found
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _find(inner, (*pointer, name), name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _find(inner, (*pointer, index), key)


def _looks_like(value: str, key: str | None) -> str | None:
    if _may_have_shape(value):
        for name, shape in _SHAPES:
            if shape.search(value):
                return name
    if key is not None and _means_secret(key) and _is_random(value):
        return "a password or token"
    return None


@lru_cache(maxsize=4096)
def _means_secret(key: str) -> bool:
    return _WORD.search(key) is not None


def _is_random(text: str) -> bool:
    """Whether a literal looks made by a generator rather than by a person naming something."""
    if not 8 <= len(text) <= 4096 or not _LITERAL.fullmatch(text) or text.startswith(("/", "$")):
        return False
    classes = sum(
        any(test(character) for character in text)
        for test in (
            str.islower,
            str.isupper,
            str.isdigit,
            lambda character: not character.isalnum(),
        )
    )
    words = re.fullmatch(r"[A-Za-z]+(?:[-_./][A-Za-z]+)*(?:[-_.]?[0-9]{1,2})?", text)
    if words or classes < 2 or not any(map(str.isdigit, text)):
        return False
    return _entropy(text) >= (2.7 if classes >= 3 else 3.2)


def _entropy(text: str) -> float:
    """Bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
