"""`api-key`: the manifest keeps a hash, the output has the key once."""

from __future__ import annotations

import pytest
from registries import RegistryFolder

from registry_tool.domain.api_key import KeyText


def created(cli, *arguments: str) -> KeyText:
    ran = cli("api-key", "create", *arguments)
    assert ran.code == 0, ran.err
    key = KeyText.parse(ran.out.splitlines()[-1])
    assert key is not None, ran.out
    return key


def test_a_key_is_shown_once_and_its_hash_is_committed(cli, registry: RegistryFolder) -> None:
    key = created(cli, "ci", "--owner", "Ops team", "--expires", "90d", "--commit")
    text = registry.git("show", "HEAD:manifests/api-keys/ci.yaml")
    assert key.sha256 in text
    assert key.key_id in text
    assert key.secret not in text
    assert registry.git("log", "-1", "--format=%s") == "Add API key ci for Ops team"
    assert registry.git("status", "--porcelain", "--", "manifests") == ""


def test_two_keys_differ(cli) -> None:
    one, other = created(cli, "one", "--owner", "o"), created(cli, "other", "--owner", "o")
    assert one.key_id != other.key_id
    assert one.secret != other.secret


def test_a_dry_run_shows_no_key_that_would_not_work(cli, registry: RegistryFolder) -> None:
    ran = cli("api-key", "create", "ci", "--owner", "o", "--dry-run")
    assert ran.code == 0
    assert "rt_" not in ran.out
    assert not (registry.path / "manifests/api-keys").exists()


def test_an_existing_key_is_not_replaced(cli, registry: RegistryFolder) -> None:
    created(cli, "ci", "--owner", "o")
    before = (registry.path / "manifests/api-keys/ci.yaml").read_bytes()
    ran = cli("api-key", "create", "ci", "--owner", "o")
    assert ran.code == 2
    assert "exists already" in ran.err
    assert "rt_" not in ran.out
    assert (registry.path / "manifests/api-keys/ci.yaml").read_bytes() == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("Bad Name", "--owner", "o"), "cannot be the name of an API key"),
        (("ci", "--owner", "o", "--expires", "soon"), "--expires takes a duration"),
        (("ci", "--owner", "o", "--expires", "0s"), "of no use"),
        (("ci",), "--owner"),
    ],
)
def test_what_cannot_be_meant_is_refused(cli, arguments: tuple[str, ...], message: str) -> None:
    ran = cli("api-key", "create", *arguments)
    assert ran.code == 2
    assert message in ran.err


def test_revoking_keeps_every_other_byte(cli, registry: RegistryFolder) -> None:
    created(cli, "ci", "--owner", "o", "--commit")
    before = (registry.path / "manifests/api-keys/ci.yaml").read_text()
    ran = cli("api-key", "revoke", "ci", "--commit")
    assert ran.code == 0, ran.err
    after = registry.git("show", "HEAD:manifests/api-keys/ci.yaml") + "\n"
    assert after == before + "  revoked: true\n"
    assert "revoked already" in cli("api-key", "revoke", "api-key/ci").out


def test_an_unknown_key_cannot_be_revoked(cli) -> None:
    ran = cli("api-key", "revoke", "ci")
    assert ran.code == 2
    assert "api-key create" in ran.err
    created(cli, "backup", "--owner", "o")
    assert 'did you mean "backup"' in cli("api-key", "revoke", "bakcup").err


def test_the_list_says_which_keys_work(cli, registry: RegistryFolder) -> None:
    assert "no API keys" in cli("api-key", "list").err
    created(cli, "gone", "--owner", "o")
    created(cli, "good", "--owner", "o", "--expires", "1d")
    created(cli, "old", "--owner", "o", "--expires", "1d")
    registry.write(
        "manifests/api-keys/old.yaml",
        (registry.path / "manifests/api-keys/old.yaml").read_text().split("  expires_at")[0]
        + '  expires_at: "2020-01-01T00:00:00Z"\n',
    )
    assert cli("api-key", "revoke", "gone").code == 0
    registry.commit()
    items = cli("api-key", "list", "--format", "json").json["items"]
    assert [(item["subject"], item["state"]) for item in items] == [
        ("api-key/gone", "revoked"),
        ("api-key/good", "active"),
        ("api-key/old", "expired"),
    ]
    text = cli("api-key", "list").out
    assert "revoked" in text
    assert "expired" in text
