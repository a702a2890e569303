"""Descriptors: media type, digest and size of something in a store (OCI image specification)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from registry_tool.errors import StoreProblem

IMAGE_INDEX = "application/vnd.oci.image.index.v1+json"
IMAGE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
IMAGE_CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY = "application/vnd.oci.empty.v1+json"
EMPTY_DATA = b"{}"
"""The content that OCI prescribes where an artifact has no config."""
REF_NAME = "org.opencontainers.image.ref.name"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX_TYPES = frozenset({IMAGE_INDEX, DOCKER_INDEX})
MANIFEST_TYPES = frozenset({IMAGE_MANIFEST, DOCKER_MANIFEST})

_DOCKER_TO_OCI = {
    DOCKER_INDEX: IMAGE_INDEX,
    DOCKER_MANIFEST: IMAGE_MANIFEST,
    "application/vnd.docker.container.image.v1+json": IMAGE_CONFIG,
    "application/vnd.docker.image.rootfs.diff.tar": LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": LAYER + "+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd": LAYER + "+zstd",
}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


def oci_media_type(media_type: str) -> str:
    """The OCI name of a Docker media type; the formats are the same. Others stay as they are."""
    return _DOCKER_TO_OCI.get(media_type, media_type)


def is_digest(text: str) -> bool:
    """Whether `text` is a sha256 digest, rather than a tag."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Points to content; `platform` is ``os/architecture[/variant]`` where it is known."""

    media_type: str
    digest: str
    size: int
    platform: str | None = None
    artifact_type: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_index(self) -> bool:
        """Whether it points to one image manifest for each platform."""
        return self.media_type in INDEX_TYPES

    def annotated(self, annotations: Mapping[str, str]) -> Descriptor:
        """The same with these annotations instead."""
        return replace(self, annotations=dict(annotations))

    def to_json(self) -> dict[str, Any]:
        """As in the OCI documents."""
        document: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.platform:
            document["platform"] = platform_to_json(self.platform)
        if self.artifact_type:
            document["artifactType"] = self.artifact_type
        if self.annotations:
            document["annotations"] = dict(self.annotations)
        return document

    @classmethod
    def from_json(cls, document: Any, place: str) -> Descriptor:
        """The inverse; raises StoreProblem naming `place`, where the document was read."""
        match document:
            case {"mediaType": str(media_type), "digest": str(digest), "size": int(size)}:
                pass
            case _:
                raise malformed(place, "a descriptor has no mediaType, digest or size")
        if not is_digest(digest) or size < 0:
            raise malformed(place, f"a descriptor has digest {digest!r} and size {size}")
        platform = document.get("platform")
        return cls(
            media_type,
            digest,
            size,
            platform=platform_from_json(platform) if isinstance(platform, dict) else None,
            artifact_type=document.get("artifactType"),
            annotations=annotations_of(document, place),
        )


def platform_to_json(platform: str) -> dict[str, str]:
    """``os/architecture[/variant]`` as OCI writes it."""
    names = ("os", "architecture", "variant")
    return dict(zip(names, platform.split("/"), strict=False))


def platform_from_json(document: Mapping[str, Any]) -> str | None:
    """The inverse; None where there is no platform, as in attestations."""
    system, architecture = document.get("os"), document.get("architecture")
    if not system or not architecture or "unknown" in (system, architecture):
        return None
    variant = document.get("variant")
    return f"{system}/{architecture}/{variant}" if variant else f"{system}/{architecture}"


def same_platform(left: str, right: str) -> bool:
    """Whether two platforms mean the same; arm64 implies v8, arm v7, amd64 v1."""
    return _full(left) == _full(right)


def _full(platform: str) -> tuple[str, str, str]:
    system, architecture, variant = (platform + "//").split("/")[:3]
    implied = {"arm64": "v8", "arm": "v7", "amd64": "v1"}.get(architecture, "")
    return system, architecture, variant or implied


def annotations_of(document: Mapping[str, Any], place: str) -> dict[str, str]:
    """The annotations of an OCI document; raises StoreProblem naming `place`."""
    annotations = document.get("annotations") or {}
    if not isinstance(annotations, dict):
        raise malformed(place, "annotations are not an object")
    return {str(key): str(value) for key, value in annotations.items()}


def malformed(place: str, why: str) -> StoreProblem:
    """What is stored at `place` is not what OCI says."""
    return StoreProblem(
        f"{place} is malformed: {why}", code="RT608", help="publish or copy the image again"
    )
