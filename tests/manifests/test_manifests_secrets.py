"""What looks like a secret is found; what only talks about secrets is not."""

from __future__ import annotations

from typing import Any

import pytest

from registry_tool.manifests.emitting import emit
from registry_tool.manifests.secrets import find_secrets, may_hold_secret

SECRETS: list[dict[str, Any]] = [
    {"k": "-----BEGIN PRIVATE KEY-----\nMIIE\n"},
    {"k": "text -----BEGIN OPENSSH PRIVATE KEY----- text"},
    {"k": "AKIAIOSFODNN7EXAMPLE"},
    {"k": "ghp_" + "a1B2" * 9},
    {"k": "github_pat_" + "a1B2_" * 12},
    {"k": "glpat-" + "a1B2" * 5},
    {"k": "xoxb-1234567890-abcdefghij"},
    {"k": "https://hooks.slack.com/services/T0001/B0001/abcDEF123"},
    {"k": "hf_" + "aB3d" * 9},
    {"k": "AIza" + "aB3_-" * 7},
    {"k": "sk-proj-" + "aB3d" * 10},
    {"k": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0aaa.c2lnbmF0dXJl"},
    {"k": "postgres://app:s3cret@db.example/x"},
    {"list": [{"deep": "AKIAIOSFODNN7EXAMPLE"}]},
    {"DB_PASSWORD": "hT7kQ2vB9x"},
    {"password": "Tr0ub4dor&3x"},
    {"API_KEY": "4f2a9c81be07d365"},
    {"hub-token": "s9dK3mQzP0rT"},
    {"TOKENS_SECRET": "9xk2-33kd-k2kd-Q"},
]

HARMLESS: list[dict[str, Any]] = [
    {"MAX_TOKENS": "4096"},
    {"PAD_TOKEN": "<pad>"},
    {"EOS_TOKEN": "<|endoftext|>"},
    {"token": "cls_token"},
    {"DB_PASSWORD_FILE": "/run/secrets/db"},
    {"PASSWORD": "/run/secrets/db-1"},
    {"PASSWORD": "${DB_PASSWORD}"},
    {"PASSWORD": ""},
    {"PASSWORD": "changeme"},
    {"SECRET": "api-token"},
    {"SECRET": "db-password-2"},
    {"secrets": ["api-token", "hub-token"]},
    {"tokenizer": "bert-base-uncased-v2"},
    {"KEY": "sort-by-name"},
    {"PRIMARY_KEY": "a1b2c3d4e5f6a7b8"},
    {"description": "set the password with DB_PASSWORD=..."},
    {"sha256": "0123456789abcdef" * 4},
    {"key_id": "AbCd1234"},
    {"url": "https://example.org/a@b:c"},
    {"url": "https://user@example.org/"},
    {"url": "https://user:{{ password }}@example.org/"},
    {"path": "s3://bucket/ghp_readme.md"},
    {"text": "ASIA and AKIA are prefixes"},
    {"key": "-----BEGIN PUBLIC KEY-----"},
    {"password": 12345678},
    {"password": None},
]


@pytest.mark.parametrize("value", SECRETS)
def test_secrets_are_found(value: dict[str, Any]) -> None:
    assert len(list(find_secrets(value))) == 1
    assert may_hold_secret(emit(value))


@pytest.mark.parametrize("value", HARMLESS)
def test_harmless_values_are_not(value: dict[str, Any]) -> None:
    assert list(find_secrets(value)) == []


def test_the_pointer_names_the_value() -> None:
    value = {"a": [{"b": "x"}, {"c": "AKIAIOSFODNN7EXAMPLE"}]}
    assert list(find_secrets(value)) == [(("a", 1, "c"), "an AWS access key")]
