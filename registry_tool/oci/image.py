"""The JSON documents of an image: config, image manifest, index. Equal images have equal bytes.

Nothing here depends on the time: `created` is the epoch wherever OCI asks for one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registry_tool.domain.digests import canonical_json, digest_of
from registry_tool.oci.descriptors import (
    IMAGE_CONFIG,
    IMAGE_INDEX,
    IMAGE_MANIFEST,
    Descriptor,
    annotations_of,
    malformed,
    platform_from_json,
    platform_to_json,
)

EPOCH = "1970-01-01T00:00:00Z"
_SETTINGS = frozenset({"Env", "Entrypoint", "Cmd", "WorkingDir", "User", "ExposedPorts", "Labels"})


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How a container of the image starts. None means unset, which a derived image inherits."""

    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    working_dir: str | None = None
    user: str | None = None
    exposed_ports: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict, hash=False)
    others: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Settings that stay as they were: volumes, stop signal, health check, …"""

    def merged(self, over: ImageSettings) -> ImageSettings:
        """These settings with others on top.

        Variables, labels and ports are added; a new entry point drops the old command, which were
        its arguments.
        """
        return ImageSettings(
            env={**self.env, **over.env},
            entrypoint=self.entrypoint if over.entrypoint is None else over.entrypoint,
            cmd=self.cmd if over.cmd is None and over.entrypoint is None else over.cmd,
            working_dir=over.working_dir or self.working_dir,
            user=over.user or self.user,
            exposed_ports=tuple(sorted({*self.exposed_ports, *over.exposed_ports})),
            labels={**self.labels, **over.labels},
            others={**self.others, **over.others},
        )

    def to_json(self) -> dict[str, Any]:
        """The ``config`` member of an image config, without unset settings."""
        document: dict[str, Any] = dict(self.others)
        settings: dict[str, Any] = {
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "Entrypoint": None if self.entrypoint is None else list(self.entrypoint),
            "Cmd": None if self.cmd is None else list(self.cmd),
            "WorkingDir": self.working_dir,
            "User": self.user,
            "ExposedPorts": {port: {} for port in self.exposed_ports},
            "Labels": dict(self.labels),
        }
        document |= {name: value for name, value in settings.items() if value}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ImageSettings:
        """The inverse."""
        env = (entry.partition("=") for entry in document.get("Env") or ())
        return cls(
            env={name: value for name, _, value in env},
            entrypoint=_texts(document.get("Entrypoint")),
            cmd=_texts(document.get("Cmd")),
            working_dir=document.get("WorkingDir") or None,
            user=document.get("User") or None,
            exposed_ports=tuple(sorted(document.get("ExposedPorts") or ())),
            labels=dict(document.get("Labels") or {}),
            others={name: value for name, value in document.items() if name not in _SETTINGS},
        )


@dataclass(frozen=True, slots=True)
class History:
    """How one layer, or one setting without a layer, came to be."""

    created_by: str = ""
    empty_layer: bool = False
    created: str = EPOCH
    comment: str = ""

    def to_json(self) -> dict[str, Any]:
        """As in an image config."""
        document: dict[str, Any] = {"created": self.created}
        document |= {"created_by": self.created_by} if self.created_by else {}
        document |= {"comment": self.comment} if self.comment else {}
        document |= {"empty_layer": True} if self.empty_layer else {}
        return document


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The config of an image for one platform; `diff_ids` name the uncompressed layers."""

    platform: str
    settings: ImageSettings = ImageSettings()
    diff_ids: tuple[str, ...] = ()
    history: tuple[History, ...] = ()
    created: str = EPOCH
    others: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Members for other systems, such as ``os.version``, as they were."""

    def with_layers(self, layers: Sequence[tuple[str, str]]) -> ImageConfig:
        """The same with layers on top: diff id, and what made it."""
        return replace(
            self,
            diff_ids=self.diff_ids + tuple(diff_id for diff_id, _ in layers),
            history=self.history + tuple(History(created_by) for _, created_by in layers),
        )

    def to_bytes(self) -> bytes:
        """The canonical JSON, which the config's digest is computed from."""
        return canonical_json(
            {
                **self.others,
                **platform_to_json(self.platform),
                "created": self.created,
                "config": self.settings.to_json(),
                "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
                "history": [entry.to_json() for entry in self.history],
            }
        )

    @classmethod
    def parse(cls, data: bytes, place: str) -> ImageConfig:
        """From JSON; raises StoreProblem naming `place`, where it was read."""
        document = parse_object(data, place)
        known = {"os", "architecture", "variant", "created", "config", "rootfs", "history"}
        try:
            platform = platform_from_json(document)
            if platform is None:
                raise malformed(place, "it has no os and architecture")
            return cls(
                platform=platform,
                settings=ImageSettings.from_json(document.get("config") or {}),
                diff_ids=tuple(document["rootfs"]["diff_ids"]),
                history=tuple(_history(entry) for entry in document.get("history") or ()),
                created=document.get("created") or EPOCH,
                others={name: value for name, value in document.items() if name not in known},
            )
        except (KeyError, TypeError, AttributeError) as problem:
            raise malformed(place, f"it is not an image config ({problem})") from problem


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """Config and layers of an image for one platform, or of an artifact."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str | None = None

    def to_bytes(self) -> bytes:
        """The canonical JSON, which the digest is computed from."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": IMAGE_MANIFEST,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        document |= {"artifactType": self.artifact_type} if self.artifact_type else {}
        document |= {"annotations": dict(self.annotations)} if self.annotations else {}
        return canonical_json(document)

    def descriptor(self, platform: str | None = None) -> Descriptor:
        """Points to the canonical JSON."""
        data = self.to_bytes()
        return Descriptor(
            IMAGE_MANIFEST, digest_of(data), len(data), platform, artifact_type=self.artifact_type
        )

    @classmethod
    def parse(cls, data: bytes, place: str) -> ImageManifest:
        """From JSON (OCI or Docker); raises StoreProblem naming `place`."""
        document = parse_object(data, place)
        layers = document.get("layers")
        if not isinstance(layers, list) or "config" not in document:
            raise malformed(place, "it is not an image manifest")
        return cls(
            config=Descriptor.from_json(document["config"], place),
            layers=tuple(Descriptor.from_json(layer, place) for layer in layers),
            annotations=annotations_of(document, place),
            artifact_type=document.get("artifactType"),
        )


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """Image manifests by platform; also the list of tags of a layout."""

    manifests: tuple[Descriptor, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    def to_bytes(self) -> bytes:
        """The canonical JSON, which the digest is computed from."""
        document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": IMAGE_INDEX,
            "manifests": [manifest.to_json() for manifest in self.manifests],
        }
        document |= {"annotations": dict(self.annotations)} if self.annotations else {}
        return canonical_json(document)

    def descriptor(self) -> Descriptor:
        """Points to the canonical JSON."""
        data = self.to_bytes()
        return Descriptor(IMAGE_INDEX, digest_of(data), len(data))

    @classmethod
    def parse(cls, data: bytes, place: str) -> ImageIndex:
        """From JSON (OCI or Docker); raises StoreProblem naming `place`."""
        document = parse_object(data, place)
        manifests = document.get("manifests")
        if not isinstance(manifests, list):
            raise malformed(place, "it is not an image index")
        return cls(
            manifests=tuple(Descriptor.from_json(entry, place) for entry in manifests),
            annotations=annotations_of(document, place),
        )


def config_descriptor(config: ImageConfig) -> Descriptor:
    """Points to the canonical JSON of a config."""
    data = config.to_bytes()
    return Descriptor(IMAGE_CONFIG, digest_of(data), len(data))


def parse_object(data: bytes, place: str) -> dict[str, Any]:
    """A JSON object; raises StoreProblem naming `place`."""
    try:
        document = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise malformed(place, f"it is not JSON ({problem})") from problem
    if not isinstance(document, dict):
        raise malformed(place, "it is not a JSON object")
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _texts(value: Any) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _history(document: Mapping[str, Any]) -> History:
    return History(
        created_by=document.get("created_by") or "",
        empty_layer=bool(document.get("empty_layer")),
        created=document.get("created") or EPOCH,
        comment=document.get("comment") or "",
    )
