"""The patterns of the domain in words, and what a person who missed one probably meant."""

from __future__ import annotations

import re

_WORDS = {
    r"^[a-z0-9]+([._-][a-z0-9]+)*$": 'lower-case letters and digits, joined by single ".", "_" or "-"',
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": "lower-case letters, digits and hyphens, not at the ends",
    r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$": 'letters and digits, joined by single ".", "_" or "-"',
    r"^sha256:[0-9a-f]{64}$": "sha256: and 64 lower-case hex digits",
    r"^[0-9a-f]{64}$": "64 lower-case hex digits",
    r"^[A-Za-z0-9]{4,32}$": "4 to 32 letters and digits",
    r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$": (
        'a label key: letters, digits, "-", "_" and ".", perhaps after a DNS name and "/"'
    ),
    r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$": (
        'a label value: letters, digits, "-", "_" and ".", beginning and ending with a letter or digit'
    ),
    r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$": "OS/ARCHITECTURE, for example linux/amd64",
    r"^[^/\\][^\\]*$": 'a glob relative to the storage path, without a leading "/" and without backslashes',
    r"^[^/\\\s][^\\\n]*$": "a path beside template.yaml, relative and without backslashes",
    r"^0[0-7]{3}$": 'four octal digits in quotes, for example "0755"',
    r"^[A-Za-z_][A-Za-z0-9_]*$": "the name of an environment variable: letters, digits and _",
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": 'letters, digits, ".", "_" and "-", beginning with a letter or digit',
    r"^(/[^\n:]*|[A-Za-z0-9][A-Za-z0-9._-]*)$": "the name of a volume, or an absolute path without colons",
    r"^/[^\s\"'\\]*$": "a path that begins with /, for example /health",
    r"^[1-9][0-9]*(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$": "an amount of memory, for example 512Mi or 2Gi",
    r"^[A-Za-z0-9.\[\]:-]+(:[0-9]+)?$": "HOST or HOST:PORT",
    r"^https?://[^\s]+$": "an http:// or https:// URL",
    r"^(\*|https?://[^\s/]+)$": "an origin such as https://example.org, or *",
    r"^[^\s,\"]+$": "a name without spaces, commas and quotes, usually an e-mail address",
    r"^(ssh-[a-z0-9-]+|ecdsa-[a-z0-9-]+|sk-[a-z0-9@.-]+|gpg) [A-Za-z0-9+/=]+$": (
        "a public key: its type and its value, as in a .pub file, or gpg and a fingerprint"
    ),
    r"^[^\s,](?:[^\n,]*[^\s,])?$": "words without commas and without spaces at the ends",
    r"^.+@sha(1:[0-9a-f]{40}|256:[0-9a-f]{64})$": "a revision such as main@sha1:<40 hex digits>",
}


def describe_pattern(pattern: str) -> str | None:
    """What a text that matches is, in words."""
    return _WORDS.get(pattern)


def corrected(pattern: str, text: str) -> str | None:
    """The text with the mistakes undone that people make most, when that follows the pattern."""
    joined = re.sub(r"[\s_./-]*[^A-Za-z0-9._-]+[\s_./-]*", "-", text.strip())
    lower = joined.lower()
    for candidate in (
        text.strip(),
        text.lower(),
        joined,
        lower,
        lower.replace(".", "-").replace("_", "-"),
    ):
        trimmed = candidate.strip("-._")
        for form in (candidate, trimmed):
            if form and form != text and re.search(pattern, form, re.ASCII):
                return form
    return None
