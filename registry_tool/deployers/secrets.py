"""Secrets that the operator grants: in a directory, or in environment variables. Manifests have their names only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from registry_tool.deployers.interface import secret_variable
from registry_tool.errors import EngineProblem

LIMIT = 500 * 1024
"""What Docker Swarm and Kubernetes take at most."""


class Secrets:
    """Looks up ``<directory>/<environment>/<name>``, then ``RT_SECRET_<ENVIRONMENT>_<NAME>``."""

    def __init__(self, directory: Path | None, environ: Mapping[str, str]) -> None:
        self._directory = directory
        self._environ = environ

    def values(self, environment: str, names: Sequence[str]) -> dict[str, bytes]:
        """All these secrets by name; raises EngineProblem naming the first that is not granted."""
        return {name: self._value(environment, name) for name in sorted(set(names))}

    def _value(self, environment: str, name: str) -> bytes:
        variable = secret_variable(environment, name)
        place = self._directory / environment / name if self._directory else None
        value: bytes | None = None
        if place is not None:
            try:
                value = place.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                value = None
            except OSError as problem:
                raise EngineProblem(
                    f"the secret {name} of {environment} cannot be read: {problem.strerror} ({place})",
                    code="RT612",
                ) from problem
        if value is None and variable in self._environ:
            value = self._environ[variable].encode(errors="surrogateescape")
        if value is None:
            where = (
                f"put it into {place}, or set"
                if place
                else "set REGISTRY_TOOL_SECRETS to a directory, or"
            )
            raise EngineProblem(
                f'nobody granted the secret "{name}" to {environment}',
                help=f"{where} {variable}",
                code="RT612",
            )
        if len(value) > LIMIT:
            raise EngineProblem(
                f"the secret {name} of {environment} has {len(value)} bytes, and at most {LIMIT} are allowed",
                code="RT612",
            )
        return value


def without(text: str, values: Mapping[str, bytes]) -> str:
    """`text` without the values of secrets, which a program may have printed."""
    for value in values.values():
        plain = value.decode(errors="replace").strip()
        if len(plain) >= 4:
            text = text.replace(plain, "[redacted]")
    return text
