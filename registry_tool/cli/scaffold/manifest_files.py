"""New manifests: checked names, conventional paths, and what to do next."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pydantic import JsonValue

from registry_tool.cli.arguments import key_values
from registry_tool.cli.scaffold.commented import commented_manifest
from registry_tool.domain.kinds import SCHEMAS_FOLDER
from registry_tool.domain.names import is_name
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.cli.editing import ManifestEdit
    from registry_tool.domain.manifest import Manifest

Values = Mapping[str, JsonValue]


def require_name(pattern: str, name: str, noun: str, example: str, length: int = 100) -> None:
    """Raise UsageProblem for a name that does not follow the grammar `pattern`."""
    if not is_name(pattern, name, length):
        raise UsageProblem(
            f'"{name}" cannot be the name of {"an" if noun[0] in "Ae" else "a"} {noun}',
            help=f"use lower-case letters, digits and single hyphens, for example {example}",
        )


def write_manifest(
    session: ManifestEdit,
    path: str,
    kind: type[Manifest],
    values: Values,
    examples: Values,
    names: Values,
    labels: Sequence[str],
) -> None:
    """Add the commented manifest of `kind` to an edit; raises UsageProblem where a file is already."""
    metadata: dict[str, JsonValue] = dict(names)
    if labels:
        metadata["labels"] = key_values(labels, "--label")
    text = commented_manifest(
        kind, values, examples=examples, metadata=metadata, schema=_schema(session.app, path, kind)
    )
    session.create(path, text.encode())


def _schema(app: App, path: str, kind: type[Manifest]) -> str | None:
    """The path of the kind's schema from the manifest's folder, where the repository has it."""
    schema = PurePosixPath(SCHEMAS_FOLDER, f"{kind.__name__.lower()}.json")
    root = app.repository.work_tree
    if root is None or not (root / schema).exists():
        return None
    return posixpath.relpath(str(schema), posixpath.dirname(path))


def finish(session: ManifestEdit, message: str, following: str) -> int:
    """Write what is new and name the command that comes next."""
    session.finish(message)
    if not session.options.dry_run:
        session.app.note(f"next: {following}")
    return 0
