"""What may be written down of a failure: its end, without secrets."""

from __future__ import annotations

import re

from registry_tool.domain.records import ERROR_LIMIT

_URL_PASSWORD = re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)")
_ASSIGNMENT = re.compile(
    r"(?i)\b([\w-]*(?:password|passwd|secret|token|api[_-]?key|credentials?))(\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;]+)"
)
_AUTHORIZATION = re.compile(r"(?i)\b(authorization:\s*\w+|bearer)\s+[A-Za-z0-9._~+/=-]+")
_TOKENS = re.compile(
    r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|xox[abpr]-[\w-]{10,})"
)
_COLOURS = re.compile(r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
HIDDEN = "[redacted]"


def redact(text: str) -> str:
    """`text` without passwords in URLs, assignments to secret-looking names, and well-known token forms.

    Sequences for terminals (colours, titles) go too: they make a text unreadable, and could hide a secret.
    """
    text = _URL_PASSWORD.sub(HIDDEN, _COLOURS.sub("", text))
    text = _AUTHORIZATION.sub(rf"\1 {HIDDEN}", text)
    text = _ASSIGNMENT.sub(rf"\1\2{HIDDEN}", text)
    return _TOKENS.sub(HIDDEN, text)


def error_excerpt(text: str) -> str:
    """The redacted end of a failed step's output, at most `ERROR_LIMIT` bytes of UTF-8 and printable."""
    clean = "".join(char if char.isprintable() or char in "\n\t" else "�" for char in redact(text))
    data = clean.strip().encode()
    return data[-ERROR_LIMIT:].decode(errors="ignore")
