"""`api-key`: keys for the web index. The manifest keeps a hash; the key itself is shown once."""

from __future__ import annotations

import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.edit_options import EditOptions, edit_options
from registry_tool.cli.editing import ManifestEdit
from registry_tool.cli.options import format_option, rev_option
from registry_tool.cli.scaffold.manifest_files import require_name
from registry_tool.domain.api_key import ApiKey, ApiKeySpec, KeyText
from registry_tool.domain.kinds import conventional_path
from registry_tool.domain.manifest import API_VERSION, Metadata
from registry_tool.domain.names import DNS_LABEL
from registry_tool.domain.quantities import parse_duration
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.domain.desired import Desired

_ID_ALPHABET = string.ascii_letters + string.digits
_ID_LENGTH = 10


@click.group("api-key")
def api_key_command() -> None:
    """Create, list and revoke keys for the web index."""


@api_key_command.command("create")
@click.argument("name")
@click.option("--owner", metavar="TEXT", required=True, help="The person or system it is for.")
@click.option(
    "--expires",
    metavar="DURATION",
    help="For how long it works, for example 90d; for ever by default.",
)
@edit_options
@pass_app
def create_api_key(app: App, name: str, owner: str, expires: str | None, edit: EditOptions) -> int:
    """Make a key and print it, once, as the last line of the output.

    The manifest keeps only a hash, so a lost key cannot be shown again: revoke it and make another.
    It works as soon as its manifest is on the served branch.
    """
    from registry_tool.manifests.writing import to_yaml

    require_name(DNS_LABEL, name, "API key", "ci", 63)
    life = _life(expires)
    session = ManifestEdit(app, edit)
    key = _new_key(session.desired)
    manifest = ApiKey(
        api_version=API_VERSION,
        kind="ApiKey",
        metadata=Metadata(name=name),
        spec=ApiKeySpec(
            owner=owner,
            key_id=key.key_id,
            sha256=key.sha256,
            expires_at=_now() + life if life else None,
        ),
    )
    session.create(conventional_path(manifest), to_yaml(manifest))
    session.finish(f"Add API key {name} for {owner}")
    session.next_step("registry-tool serve")
    if not edit.dry_run:
        app.note("The key is shown this once:")
        app.out(str(key))
    return 0


def _life(text: str | None) -> timedelta | None:
    if text is None:
        return None
    try:
        life: timedelta = parse_duration(text)
    except ValueError as problem:
        raise UsageProblem(
            f'--expires takes a duration, not "{text}"', help=f"{problem}"
        ) from problem
    if not life:
        raise UsageProblem("a key that expires at once is of no use", help="for example 90d")
    return life


def _new_key(desired: Desired) -> KeyText:
    taken = {located.manifest.spec.key_id for located in desired.api_keys.values()}
    while True:
        key_id = "".join(secrets.choice(_ID_ALPHABET) for _ in range(_ID_LENGTH))
        if key_id not in taken:
            return KeyText(key_id, secrets.token_urlsafe(32))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@api_key_command.command("list")
@rev_option()
@format_option("text", "json")
@pass_app
def list_api_keys(app: App, rev: str | None, output: str) -> None:
    """List keys: owner, public part, when they expire and whether they work."""
    from registry_tool.cli.formats.json import document
    from registry_tool.cli.formats.layout import moment, table
    from registry_tool.cli.reading import read_committed
    from registry_tool.cli.views.items import manifest_item

    committed = read_committed(app, rev)
    keys = sorted(committed.desired.api_keys.items())
    if output == "json":
        items = [
            {**manifest_item(f"api-key/{name}", found), "state": _state(found.manifest.spec)}
            for name, found in keys
        ]
        app.out(document({"revision": str(committed.revision), "items": items}))
        return
    if not keys:
        app.note(
            f"no API keys at {committed.revision.short}; registry-tool api-key create makes one"
        )
        return
    rows = [
        (
            name,
            found.manifest.spec.key_id,
            found.manifest.spec.owner,
            moment(found.manifest.spec.expires_at) if found.manifest.spec.expires_at else "never",
            _state(found.manifest.spec),
        )
        for name, found in keys
    ]
    app.out(table(("api key", "id", "owner", "expires", "state"), rows, color=app.color))


def _state(spec: ApiKeySpec) -> str:
    if spec.revoked:
        return "revoked"
    return "expired" if spec.expires_at and spec.expires_at <= _now() else "active"


@api_key_command.command("revoke")
@click.argument("name")
@edit_options
@pass_app
def revoke_api_key(app: App, name: str, edit: EditOptions) -> int:
    """Take the key NAME back. Servers refuse it as soon as they see the commit."""
    session = ManifestEdit(app, edit)
    found = session.api_key(name)
    if found.manifest.spec.revoked:
        return session.unchanged(found, "it is revoked already")
    session.set_value(found.path, ("spec", "revoked"), True)
    session.finish(f"Revoke API key {found.manifest.metadata.name}")
    session.next_step("registry-tool serve")
    return 0
