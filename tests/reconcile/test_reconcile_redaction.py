"""What a record keeps of a failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tool.domain.records import ERROR_LIMIT
from registry_tool.reconcile.redaction import error_excerpt, redact


@pytest.mark.parametrize(
    "text, secret",
    [
        ("pull https://user:hunter2@registry.example/x failed", "hunter2"),
        ("DB_PASSWORD=hunter2 in the environment", "hunter2"),
        ('api_key: "hunter2 and more"', "hunter2"),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("bearer abc.def-123", "abc.def-123"),
        ("token is ghp_abcdefghijklmnopqrstuvwx", "ghp_abcdefghijklmnopqrstuvwx"),
        ("key AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("hf_abcdefghijklmnopqrstuvwxyz", "hf_abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_secrets_are_taken_out(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "[redacted]" in redact(text)


def test_colours_and_titles_are_taken_out() -> None:
    text = "\x1b[0;93mwarning\x1b[m: \x1b]0;title\x07password\x1b[1m=hunter2"
    assert redact(text) == "warning: password=[redacted]"


def test_what_is_no_secret_stays() -> None:
    text = "storage: /srv/models/minilm/tokenizer.json: expected sha256:00ff, seen sha256:ff00"
    assert redact(text) == text


@given(st.text(min_size=1, max_size=3 * ERROR_LIMIT))
def test_an_excerpt_is_printable_and_bounded(text: str) -> None:
    excerpt = error_excerpt(text)
    assert len(excerpt.encode()) <= ERROR_LIMIT
    assert all(char.isprintable() or char in "\n\t" for char in excerpt)


def test_an_excerpt_is_the_end() -> None:
    assert error_excerpt("x" * 10_000 + " the reason").endswith(" the reason")
