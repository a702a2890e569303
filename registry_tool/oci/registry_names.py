"""Names in a registry: what may stand in a URL, and what people read in messages."""

from __future__ import annotations

import re

from registry_tool.domain.references import ImageReference
from registry_tool.errors import StoreProblem
from registry_tool.oci.descriptors import is_digest
from registry_tool.oci.registry_auth import Scopes

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_HUB = frozenset({"docker.io", "index.docker.io"})


class RegistryNames:
    """The repositories below ``host[:port]/path``."""

    def __init__(self, name: str) -> None:
        reference = ImageReference.parse(name)
        self.name = name
        self.host = reference.host
        """As people write it."""
        self.address = "registry-1.docker.io" if reference.host in _HUB else reference.host
        """The host that is spoken to."""
        self._path = reference.path

    def path(self, repository: str) -> str:
        """The repository's name in the registry; raises StoreProblem when it cannot be one.

        One that begins with the registry's host may be anywhere in it.
        """
        own = f"{self.host}/"
        if repository.startswith(own):
            return _checked(repository.removeprefix(own))
        return _checked(f"{self._path}/{repository}")

    def full(self, repository: str, reference: str) -> str:
        """An image or blob as people write it."""
        return f"{self.host}/{self.path(repository)}{'@' if ':' in reference else ':'}{reference}"

    def missing(self, repository: str, digest: str, kind: str) -> StoreProblem:
        """A repository lacks something that is needed."""
        return StoreProblem(
            f"{self.host}/{self.path(repository)} has no {kind} {digest}",
            code="RT608",
            help="build the release again, or copy the image into the registry",
        )


def pull(path: str) -> Scopes:
    """What a token must allow for reading."""
    return (f"repository:{path}:pull",)


def push(path: str) -> Scopes:
    """What a token must allow for writing."""
    return (f"repository:{path}:pull,push",)


def is_tag(text: str) -> bool:
    """Whether it follows the grammar of image tags."""
    return _TAG.fullmatch(text) is not None


def require_digest(digest: str) -> None:
    """Raise StoreProblem unless this is a sha256 digest."""
    if not is_digest(digest):
        raise StoreProblem(f'"{digest}" is not a sha256 digest', code="RT608")


def _checked(path: str) -> str:
    try:
        reference = ImageReference.parse(f"registry.invalid/{path}")
    except ValueError as problem:
        raise StoreProblem(f'"{path}" cannot be a repository', code="RT608") from problem
    if reference.tag or reference.digest:
        raise StoreProblem(f'"{path}" cannot be a repository', code="RT608")
    return reference.path
