"""What a manifest is, apart from what it says: its kind and names, also when the rest of it is wrong."""

from __future__ import annotations

from typing import Any, NamedTuple

from registry_tool.domain.deployment import Deployment
from registry_tool.domain.diagnostics import Pointer
from registry_tool.domain.kinds import MANIFEST_KINDS, AnyManifest
from registry_tool.domain.names import DNS_LABEL, OCI_COMPONENT, QUANTIZATION, is_name
from registry_tool.domain.release import ArtifactLock, Release
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.domain.versions import canonical_version


class Identity(NamedTuple):
    """A kind and the names that tell its manifests apart: one name, or those of a release or a deployment."""

    kind: str
    names: tuple[str, ...]

    @property
    def subject(self) -> str:
        """As `Manifest.subject`."""
        return f"{_SUBJECT_KINDS[self.kind]}/{'/'.join(self.names)}"

    @property
    def conventional_path(self) -> str:
        """As `domain.kinds.conventional_path`."""
        return _PATHS[self.kind].format("/".join(self.names))

    @property
    def release(self) -> ReleaseId:
        """Of a Release or an ArtifactLock."""
        return ReleaseId(*self.names)

    @property
    def deployment(self) -> DeploymentId:
        """Of a Deployment."""
        return DeploymentId(*self.names)


_SUBJECT_KINDS = {
    "Registry": "registry",
    "Model": "model",
    "Release": "release",
    "ArtifactLock": "release",
    "Environment": "environment",
    "Deployment": "deployment",
    "ApiKey": "api-key",
    "BuildTemplate": "template",
}
_PATHS = {
    "Registry": "manifests/registry.yaml",
    "Model": "manifests/models/{}.yaml",
    "Release": "manifests/releases/{}.yaml",
    "ArtifactLock": "manifests/releases/{}.lock.yaml",
    "Environment": "manifests/environments/{}.yaml",
    "Deployment": "manifests/deployments/{}.yaml",
    "ApiKey": "manifests/api-keys/{}.yaml",
    "BuildTemplate": "build_templates/{}/template.yaml",
}
_NAME: Pointer = ("metadata", "name")
_RELEASE: tuple[Pointer, ...] = (("spec", "model"), ("spec", "version"), ("spec", "quantization"))
_POINTERS: dict[str, tuple[Pointer, ...]] = dict.fromkeys(MANIFEST_KINDS, (_NAME,)) | {
    "Release": _RELEASE,
    "ArtifactLock": _RELEASE,
    "Deployment": (("spec", "environment"), _NAME),
}


def identity_of(manifest: AnyManifest) -> Identity:
    """The identity of a valid manifest."""
    if isinstance(manifest, (Release, ArtifactLock, Deployment)):
        return Identity(manifest.kind, tuple(manifest.id))
    return Identity(manifest.kind, (manifest.metadata.name,))


def identity_place(kind: str) -> Pointer:
    """The one value to show when two manifests have the same identity."""
    return ("spec", "version") if kind in {"Release", "ArtifactLock"} else _NAME


def identity_in(data: Any, troubled: frozenset[Pointer] = frozenset()) -> Identity | None:
    """The identity of a manifest that is otherwise wrong, or None when even that cannot be trusted.

    `troubled` are values that YAML itself has a problem with.
    """
    kind = _text(data, ("kind",))
    if kind not in MANIFEST_KINDS:
        return None
    pointers = (("kind",), *_POINTERS[kind])
    if any(pointer[: len(trouble)] == trouble for trouble in troubled for pointer in pointers):
        return None
    if kind in {"Release", "ArtifactLock"}:
        names = _release_names(data)
    else:
        names = tuple(_text(data, pointer) for pointer in _POINTERS[kind])
        if not all(
            _is_named(kind, pointer, name)
            for pointer, name in zip(_POINTERS[kind], names, strict=True)
        ):
            return None
    return Identity(kind, names) if names else None


def _release_names(data: Any) -> tuple[str, ...]:
    model, version = _text(data, ("spec", "model")), _text(data, ("spec", "version"))
    spec = data["spec"] if isinstance(data.get("spec"), dict) else {}
    quantization = spec.get("quantization", "none")
    if not is_name(OCI_COMPONENT, model) or not isinstance(quantization, str):
        return ()
    if not is_name(QUANTIZATION, quantization, 64):
        return ()
    try:
        return (model, canonical_version(version), quantization)
    except ValueError:
        return ()


def _is_named(kind: str, pointer: Pointer, name: str) -> bool:
    if kind in {"Model", "BuildTemplate"} and pointer == _NAME:
        return is_name(OCI_COMPONENT, name)
    return is_name(DNS_LABEL, name, 63)


def _text(data: Any, pointer: Pointer) -> str:
    """The string at a pointer, or an empty one."""
    for step in pointer:
        if not isinstance(data, dict):
            return ""
        data = data.get(step)
    return data if isinstance(data, str) else ""
