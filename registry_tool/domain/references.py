"""Image references, and the tags that releases get. Grammar: distribution/reference, OCI distribution specification."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, WithJsonSchema

from registry_tool.domain.subjects import ReleaseId

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_COMPONENT}(?:/{_COMPONENT})*"
_REFERENCE = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PATH})(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.ASCII,
)


class ImageReference(NamedTuple):
    """``[host[:port]/]path[:tag][@digest]``. Without a host the reference is local to a store."""

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        text = f"{self.host}/{self.path}" if self.host else self.path
        text += f":{self.tag}" if self.tag else ""
        return text + (f"@{self.digest}" if self.digest else "")

    @property
    def repository(self) -> str:
        """Host and path, without tag and digest."""
        return f"{self.host}/{self.path}" if self.host else self.path

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """The inverse of `str`; raises ValueError.

        A first part is a host when it has a dot or a colon, or is localhost.
        """
        match = _REFERENCE.fullmatch(text) if len(text) <= 512 else None
        if not match:
            raise ValueError(
                f'"{text}" is not an image reference such as registry.example/team/base:1.0@sha256:…'
            )
        host, path = match["host"] or "", match["path"]
        if host and not (set(host) & set(".:") or host == "localhost"):
            if not re.fullmatch(_COMPONENT, host):
                raise ValueError(
                    f'"{text}" is not an image reference: "{host}" is neither a host nor a path'
                )
            host, path = "", f"{host}/{path}"
        return cls(host, path, match["tag"], match["digest"])


def _repository(text: str) -> str:
    reference = ImageReference.parse(text)
    if not reference.host or reference.tag or reference.digest:
        raise ValueError("a repository is host[:port]/path, without tag and digest")
    return text


Repository = Annotated[
    str,
    AfterValidator(_repository),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[^\s/@]+/[^\s@]+$",
            "examples": ["registry.example:5000/ml"],
        }
    ),
]
"""``host[:port]/path`` of an OCI registry."""


def _reference(text: str) -> str:
    ImageReference.parse(text)
    return text


ImageReferenceText = Annotated[
    str,
    AfterValidator(_reference),
    WithJsonSchema({"type": "string", "maxLength": 512, "pattern": r"^[^\s]+$"}),
]


def image_tag(release: ReleaseId) -> str:
    """``<version>``, or ``<version>_<quantization>`` where the quantization is not ``none``."""
    return (
        release.version
        if release.quantization == "none"
        else f"{release.version}_{release.quantization}"
    )


def runtime_tag(release: ReleaseId) -> str:
    """The tag of the image without weights."""
    return f"runtime-{image_tag(release)}"


def weights_tag(release: ReleaseId) -> str:
    """The tag of the image with weights only."""
    return f"weights-{image_tag(release)}"


def build_tag(key: str) -> str:
    """The tag by which a finished build is found again, ``build-<key12>``."""
    return f"build-{key[:12]}"


def log_tag(key: str, sequence: int) -> str:
    """The tag of a full build log, ``log-<key12>-<sequence>``."""
    return f"log-{key[:12]}-{sequence:06d}"
