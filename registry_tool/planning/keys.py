"""Build and deployment keys: content addresses of everything that reaches an image or an engine.

A key is the SHA-256 of the canonical JSON of its parts' SHA-256s, so that two keys can be compared
part by part: a plan says which one changed. Part names and values are a format: changing either
changes every key, and with it rebuilds every candidate.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_tool.builders.templates import BUILDER_VERSIONS, RenderedTemplate, TemplateRenderer
from registry_tool.deployers.interface import RENDERER_VERSION
from registry_tool.domain.desired import Desired
from registry_tool.domain.digests import canonical_sha256
from registry_tool.domain.registry import BuilderChoice, Registry
from registry_tool.domain.release import ArtifactLockSpec, Role
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.errors import UsageProblem
from registry_tool.planning.services import effective_spec, health

BUILD_FORMAT = 1
DEPLOYMENT_FORMAT = 1
EMBEDDED = "embedded"

_ROLES = frozenset(Role)
_LOCKED = frozenset(_ROLES) | {"target"}
OWN_PARTS = _LOCKED | {"identity", "parameters", "platforms", "layers"}
"""Parts that a release and its lock decide; all others come from templates and settings."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key and the SHA-256 of each of its parts."""

    value: str
    parts: Mapping[str, str]

    @classmethod
    def of(cls, parts: Mapping[str, str]) -> Key:
        """The key of parts."""
        ordered = dict(sorted(parts.items()))
        # Canonical JSON, written out: names and digests need no escapes, and there are many keys.
        members = ",".join([f'"{name}":"{digest}"' for name, digest in ordered.items()])
        return cls(hashlib.sha256(f"{{{members}}}".encode()).hexdigest(), ordered)


def changed_parts(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the parts that differ, sorted.

    Layers follow from the files and their target: they are named when only the packing changed.
    """
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    if changed & _LOCKED:
        changed.discard("layers")
    return tuple(sorted(changed))


def store_name(registry: Registry) -> str:
    """The name of the store that a registry's images go to, as Build records have it."""
    return registry.spec.images.repository or EMBEDDED


def image_host(registry: Registry) -> str:
    """Where pullers find images: ``host[:port]/path`` or ``host[:port]``."""
    return registry.spec.images.repository or registry.spec.images.served_at


def builder_name(registry: Registry, rendered: RenderedTemplate) -> str:
    """Which builder makes an image: ``native`` or ``docker``."""
    forced = registry.spec.builds.builder is BuilderChoice.DOCKER
    return "docker" if forced else rendered.builder


def _identity_labels(desired: Desired, release: ReleaseId) -> dict[str, str]:
    labels = {
        "io.registry-tool.model": release.model,
        "io.registry-tool.quantization": release.quantization,
        "io.registry-tool.version": release.version,
        "org.opencontainers.image.title": release.model,
        "org.opencontainers.image.version": release.version,
    }
    model = desired.models.get(release.model)
    if model is not None and model.manifest.spec.license is not None:
        labels["org.opencontainers.image.licenses"] = model.manifest.spec.license
    return labels


def labels(desired: Desired, release: ReleaseId) -> dict[str, str]:
    """The standard OCI labels of a release's images. The builder adds the build key."""
    found = _identity_labels(desired, release)
    lock = desired.locks.get(release)
    if lock is not None:
        found["io.registry-tool.set-digest"] = lock.manifest.spec.set_digest
    return dict(sorted(found.items()))


def _lock_parts(lock: ArtifactLockSpec) -> dict[str, str]:
    by_role: dict[str, list[list[str | int]]] = {}
    for file in lock.files:
        entry = [file.path, file.role.value, file.size, file.sha256]
        by_role.setdefault(file.role.value, []).append(entry)
    parts = {role: canonical_sha256(entries) for role, entries in by_role.items()}
    parts["target"] = canonical_sha256(lock.target)
    parts["layers"] = canonical_sha256(
        [[layer.digest, layer.size, layer.files] for layer in lock.layers]
    )
    return parts


class Keys:
    """Keys of one desired state. Templates are compiled and keys computed once."""

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._renderers: dict[str, TemplateRenderer] = {}
        self._builds: dict[ReleaseId, Key] = {}
        self._shared: dict[Any, str] = {}

    def renderer(self, template: str) -> TemplateRenderer:
        """The compiled template of that name; raises KeyError."""
        if template not in self._renderers:
            self._renderers[template] = TemplateRenderer(self._desired.templates[template])
        return self._renderers[template]

    def rendered(self, release_id: ReleaseId) -> RenderedTemplate:
        """A release's template, rendered for the target of its lock; raises TemplateProblem."""
        desired = self._desired
        release = desired.releases[release_id].manifest
        lock = desired.locks.get(release_id)
        return self.renderer(release.spec.template.name).render(
            release,
            desired.models[release_id.model].manifest,
            lock.manifest.spec.target if lock is not None else None,
        )

    def build(self, release_id: ReleaseId) -> Key:
        """The build key of a release with a lock; raises TemplateProblem."""
        if release_id not in self._builds:
            self._builds[release_id] = self._build(release_id)
        return self._builds[release_id]

    def _build(self, release_id: ReleaseId) -> Key:
        lock = self._desired.locks.get(release_id)
        if lock is None:
            raise UsageProblem(
                f"{release_id.subject} has no lock, so there is nothing to build yet",
                help=f"run `registry-tool lock {release_id}` and commit the lock",
            )
        rendered = self.rendered(release_id)
        builder = builder_name(self._desired.registry.manifest, rendered)
        platforms = self._desired.releases[release_id].manifest.spec.platforms
        return Key.of(
            {
                **_lock_parts(lock.manifest.spec),
                **rendered.part_digests,
                "builder": self._once(f"{builder} {BUILDER_VERSIONS[builder]}"),
                "format": self._once(BUILD_FORMAT),
                "identity": canonical_sha256(release_id),
                "labels": canonical_sha256(_identity_labels(self._desired, release_id)),
                "platforms": self._once(tuple(sorted(set(platforms)))),
            }
        )

    def deployment(self, deployment_id: DeploymentId, release_id: ReleaseId, build: str) -> Key:
        """The key of a deployment that runs the build with key `build`; raises TemplateProblem."""
        desired = self._desired
        deployment = desired.deployments[deployment_id].manifest
        target = desired.environments[deployment_id.environment].manifest.spec.target
        lock = desired.locks[release_id].manifest.spec
        check = health(deployment.spec, self.rendered(release_id))
        return Key.of(
            {
                "build": canonical_sha256(build),
                "format": self._once(DEPLOYMENT_FORMAT),
                "image_host": self._once(image_host(desired.registry.manifest)),
                "renderer": self._once(f"{target.type} {RENDERER_VERSION[target.type]}"),
                "spec": canonical_sha256(effective_spec(deployment.spec, check, lock.target)),
                "target": canonical_sha256(target.model_dump(mode="json", exclude_defaults=True)),
            }
        )

    def _once(self, value: Any) -> str:
        if value not in self._shared:
            self._shared[value] = canonical_sha256(value)
        return self._shared[value]


def build_key(desired: Desired, release_id: ReleaseId) -> Key:
    """The build key of one release; `Keys` is faster for many. Raises TemplateProblem."""
    return Keys(desired).build(release_id)


def deployment_key(
    desired: Desired, deployment_id: DeploymentId, release_id: ReleaseId, build: str
) -> Key:
    """The key of one deployment that runs a build. Raises TemplateProblem."""
    return Keys(desired).deployment(deployment_id, release_id, build)
