"""A registry made of plain objects, which tests change one thing at a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from registry_tool.domain.desired import Desired, Located, TemplateFileContent, TemplateSource
from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS, conventional_path
from registry_tool.domain.recorded import Recorded, Sequenced
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.planning.checks.locks import set_digest
from registry_tool.planning.keys import Keys

HEAD = "1" * 40
START = datetime(2025, 1, 1, tzinfo=UTC)


def made(kind: str, name: str | None, spec: dict[str, Any], labels: Any = None) -> Any:
    metadata: dict[str, Any] = {"name": name} if name is not None else {}
    if labels:
        metadata["labels"] = labels
    document = {"apiVersion": "registry-tool/v1", "kind": kind, "metadata": metadata, "spec": spec}
    kinds = {**MANIFEST_KINDS, **RECORD_KINDS}
    return kinds[kind].model_validate_json(json.dumps(document, default=str))


def located(manifest: Any, path: str | None = None) -> Located[Any]:
    content = manifest.model_dump_json(by_alias=True).encode()
    oid = hashlib.sha1(content).hexdigest()
    return Located(manifest, path or conventional_path(manifest), oid)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


NATIVE = {"image": {"base": "scratch", "copy": [{"from": "files", "to": "/"}]}}


@dataclass
class World:
    """Manifests and records under construction."""

    registry_spec: dict[str, Any] = field(
        default_factory=lambda: {"storage": {"allowed": ["/data"]}}
    )
    models: dict[str, Any] = field(default_factory=dict)
    releases: dict[ReleaseId, Any] = field(default_factory=dict)
    locks: dict[ReleaseId, Any] = field(default_factory=dict)
    environments: dict[str, Any] = field(default_factory=dict)
    deployments: dict[DeploymentId, Any] = field(default_factory=dict)
    templates: dict[str, Any] = field(default_factory=dict)
    recorded: Recorded = field(default_factory=Recorded)
    clock: datetime = START

    # --- manifests ---

    def model(self, name: str = "minilm", labels: Any = None, **spec: Any) -> None:
        spec = {"storage_path": f"/data/{name}", **spec}
        self.models[name] = located(made("Model", name, spec, labels))

    def release(self, version: str = "1.0.0", labels: Any = None, **spec: Any) -> ReleaseId:
        spec = {"model": "minilm", "version": version, "template": {"name": "static"}, **spec}
        manifest = made("Release", None, spec, labels)
        self.releases[manifest.id] = located(manifest)
        return manifest.id

    def lock(self, release: ReleaseId | str = "1.0.0", **changes: Any) -> None:
        """Lock a release; `weights="other"` is another content of its weights."""
        if isinstance(release, str):
            release = ReleaseId("minilm", release)
        weights = changes.pop("weights", "weights")
        files = [
            {"path": "config.json", "role": "config", "size": 10, "sha256": sha256("config")},
            {"path": "model.bin", "role": "weights", "size": 5000, "sha256": sha256(weights)},
        ]
        target = f"/models/{release.model}"
        layers = [
            {
                "digest": f"sha256:{sha256('config' + target)}",
                "size": 2048,
                "files": ["config.json"],
            },
            {"digest": f"sha256:{sha256(weights + target)}", "size": 6656, "files": ["model.bin"]},
        ]
        spec = {**release._asdict(), "target": target, "files": files, "layers": layers, **changes}
        spec.setdefault("set_digest", "0" * 64)
        manifest = made("ArtifactLock", None, spec)
        if "set_digest" not in changes:
            spec["set_digest"] = set_digest(manifest.spec)
            manifest = made("ArtifactLock", None, spec)
        self.locks[release] = located(manifest)

    def locked(self, version: str = "1.0.0", **spec: Any) -> ReleaseId:
        """A release with its lock."""
        weights = spec.pop("weights", "weights")
        release = self.release(version, **spec)
        self.lock(release, weights=weights)
        return release

    def template(self, name: str = "static", files: Any = None, **spec: Any) -> None:
        if "image" not in spec and "dockerfile" not in spec:
            spec.update(NATIVE)
        files = {"files/etc/motd": "hello"} if files is None else files
        contents = {path: TemplateFileContent(text.encode()) for path, text in files.items()}
        manifest = made("BuildTemplate", name, spec)
        self.templates[name] = TemplateSource(located(manifest), contents)

    def environment(self, name: str = "staging", **spec: Any) -> None:
        self.environments[name] = located(made("Environment", name, spec))

    def deployment(
        self, name: str = "search", environment: str = "staging", labels: Any = None, **spec: Any
    ) -> DeploymentId:
        if "track" not in spec:
            spec.setdefault("version", "1.0.0")
        spec = {"environment": environment, "model": "minilm", **spec}
        manifest = made("Deployment", name, spec, labels)
        self.deployments[manifest.id] = located(manifest)
        return manifest.id

    @property
    def desired(self) -> Desired:
        return Desired(
            registry=located(made("Registry", "registry", self.registry_spec)),
            models=dict(self.models),
            releases=dict(self.releases),
            locks=dict(self.locks),
            environments=dict(self.environments),
            deployments=dict(self.deployments),
            templates=dict(self.templates),
        )

    # --- records ---

    def _append(self, kind: str, key: Any, record: Any) -> int:
        folders = dict(getattr(self.recorded, kind))
        before = folders.get(key, ())
        sequence = before[-1].sequence + 1 if before else 1
        folders[key] = (*before, Sequenced(sequence, record))
        self.recorded = replace(self.recorded, **{kind: folders})
        return sequence

    def _timings(self) -> dict[str, str]:
        return {"started_at": self.clock.isoformat(), "finished_at": self.clock.isoformat()}

    def passes(self, **duration: float) -> None:
        self.clock += timedelta(**duration)

    def built(self, version: str = "1.0.0", result: str = "succeeded", **changes: Any) -> str:
        """Record a build of a release as it is declared now; gives the key."""
        release = ReleaseId("minilm", version)
        key = Keys(self.desired).build(release)
        layers = [
            {"digest": layer.digest, "size": layer.size, "source": "weights", "uploaded": True}
            for layer in self.locks[release].manifest.spec.layers
        ]
        spec = {
            **release._asdict(),
            "key": key.value,
            "key_parts": dict(key.parts),
            "revision": f"main@sha1:{HEAD}",
            "store": "embedded",
            "builder": "native",
            "layers": layers if result == "succeeded" else [],
            "timings": self._timings(),
            "result": result,
            **changes,
        }
        self._append("builds", release, made("Build", None, spec))
        return key.value

    def ran(
        self,
        deployment: DeploymentId,
        result: str = "delegated",
        version: str = "1.0.0",
        **changes: Any,
    ) -> str:
        """Record a deployment as it is declared now; gives the key."""
        desired = self.desired
        release = ReleaseId("minilm", version)
        build = Keys(desired).build(release).value
        key = Keys(desired).deployment(deployment, release, build)
        spec = {
            **deployment._asdict(),
            "key": key.value,
            "key_parts": dict(key.parts),
            "build_key": build if result != "removed" else None,
            "revision": f"main@sha1:{HEAD}",
            "release": release._asdict(),
            "target": desired.environments[deployment.environment].manifest.spec.target.model_dump(
                mode="json"
            ),
            "result": result,
            "timings": self._timings(),
            **changes,
        }
        self._append("deployments", deployment, made("DeploymentRecord", None, spec))
        return key.value

    def requested(self, subject: str, key: str, after: int, action: str = "retry") -> None:
        spec = {
            "action": action,
            "subject": subject,
            "key": key,
            "after": after,
            "requested_by": {"name": "Ada", "email": "ada@example.org"},
            "requested_at": self.clock.isoformat(),
        }
        request = Sequenced(len(self.recorded.requests) + 1, made("Request", None, spec))
        self.recorded = replace(self.recorded, requests=(*self.recorded.requests, request))
