"""Small registry repositories, written file by file."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

REGISTRY = """\
apiVersion: registry-tool/v1
kind: Registry
metadata:
  name: test
spec:
  storage:
    allowed: [{storage}]
"""
MODEL = """\
apiVersion: registry-tool/v1
kind: Model
metadata:
  name: {model}
spec:
  storage_path: {storage}/{model}
"""
RELEASE = """\
apiVersion: registry-tool/v1
kind: Release
spec:
  model: {model}
  version: {version}
  stage: {stage}
  template:
    name: weights
"""
LOCK = """\
apiVersion: registry-tool/v1
kind: ArtifactLock
spec:
  model: {model}
  version: {version}
  target: /models/{model}
  set_digest: {set_digest}
  files:
    - path: model.bin
      role: weights
      size: {size}
      sha256: {sha256}
  layers:
    - digest: sha256:{layer}
      size: 2048
      files: [model.bin]
"""
ENVIRONMENT = """\
apiVersion: registry-tool/v1
kind: Environment
metadata:
  name: {environment}
spec: {{}}
"""
DEPLOYMENT = """\
apiVersion: registry-tool/v1
kind: Deployment
metadata:
  name: {name}
spec:
  environment: {environment}
  model: {model}
  version: {version}
"""
TEMPLATE = """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: weights
spec:
  image:
    base: scratch
"""


class RegistryFolder:
    """A registry repository with a work tree, and storage beside it."""

    def __init__(self, path: Path, storage: Path) -> None:
        self.path = path
        self.storage = storage

    def git(self, *arguments: str) -> str:
        """Run Git in the work tree; its output without the final newline."""
        command = ["git", "-C", str(self.path), *arguments]
        result = subprocess.run(command, check=True, capture_output=True, text=True)
        return result.stdout.removesuffix("\n")

    def write(self, path: str, text: str) -> Path:
        """Write a file, `path` being relative to the work tree."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a part of a file that must be there."""
        text = (self.path / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def commit(self, message: str = "Change manifests") -> str:
        """Commit everything; the new commit's oid."""
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", message)
        return self.git("rev-parse", "HEAD")

    def model(self, model: str) -> None:
        """Declare a model and put a file of it into storage."""
        text = MODEL.format(model=model, storage=self.storage)
        self.write(f"manifests/models/{model}.yaml", text)
        folder = self.storage / model
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.bin").write_bytes(f"weights of {model}".encode())

    def release(
        self, model: str, version: str, *, stage: str = "candidate", lock: bool = True
    ) -> None:
        """Declare a release, with a lock whose layer digest is made up."""
        base = f"manifests/releases/{model}/{version}/none"
        self.write(f"{base}.yaml", RELEASE.format(model=model, version=version, stage=stage))
        if lock:
            content = (self.storage / model / "model.bin").read_bytes()
            sha256 = hashlib.sha256(content).hexdigest()
            text = LOCK.format(
                model=model,
                version=version,
                set_digest=hashlib.sha256(f"{sha256}  model.bin\n".encode()).hexdigest(),
                size=len(content),
                sha256=sha256,
                layer=hashlib.sha256(b"layer" + content).hexdigest(),
            )
            self.write(f"{base}.lock.yaml", text)

    def environment(self, environment: str) -> None:
        text = ENVIRONMENT.format(environment=environment)
        self.write(f"manifests/environments/{environment}.yaml", text)

    def deployment(self, environment: str, name: str, model: str, version: str) -> None:
        text = DEPLOYMENT.format(environment=environment, name=name, model=model, version=version)
        self.write(f"manifests/deployments/{environment}/{name}.yaml", text)


def empty_repository(place: Path) -> RegistryFolder:
    """A repository without a commit, holding Registry and the template `weights`."""
    folder = RegistryFolder(place / "registry", place / "storage")
    folder.path.mkdir()
    folder.git("init", "--quiet", "--initial-branch=main")
    folder.write("manifests/registry.yaml", REGISTRY.format(storage=folder.storage))
    folder.write("build_templates/weights/template.yaml", TEMPLATE)
    return folder


def add_minilm(folder: RegistryFolder) -> RegistryFolder:
    """Commit one release, minilm/1.0.0, deployed as staging/search."""
    folder.model("minilm")
    folder.release("minilm", "1.0.0")
    folder.environment("staging")
    folder.deployment("staging", "search", "minilm", "1.0.0")
    folder.commit("Add minilm")
    return folder
