"""A registry repository of any size, the same bytes each time."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

REGISTRY = """\
apiVersion: registry-tool/v1
kind: Registry
metadata:
  name: benchmark
spec:
  storage:
    allowed: [/srv/models]
"""
MODEL = """\
apiVersion: registry-tool/v1
kind: Model
metadata:
  name: {model}
  labels: {{team: search}}
spec:
  storage_path: /srv/models/{model}
  description: A model of the benchmark
  company: Example
  base_model: example/base
  parameter_count: 7B
  license: Apache-2.0
  tags: [embedding, benchmark]
"""
RELEASE = """\
apiVersion: registry-tool/v1
kind: Release
spec:
  model: {model}
  version: 1.{minor}.0
  stage: released
  release_notes: |
    Number {minor} of {model}.
  template:
    name: modelcar
"""
LOCK = """\
apiVersion: registry-tool/v1
kind: ArtifactLock
spec:
  model: {model}
  version: 1.{minor}.0
  target: /models/{model}
  set_digest: {set_digest}
  files:
    - path: model.safetensors
      role: weights
      size: 1000
      sha256: {sha256}
  layers:
    - digest: sha256:{layer}
      size: 2048
      files: [model.safetensors]
"""
TEMPLATE = """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: modelcar
spec:
  image:
    base: scratch
"""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_corpus(root: Path, manifests: int) -> Path:
    """A committed repository of about `manifests` files.

    Each model has one Model, four releases with locks, and a fifth without.
    """
    files = {
        "manifests/registry.yaml": REGISTRY,
        "build_templates/modelcar/template.yaml": TEMPLATE,
    }
    for number in range((manifests - 2) // 10):
        model = f"model-{number:05d}"
        files[f"manifests/models/{model}.yaml"] = MODEL.format(model=model)
        for minor in range(5):
            folder = f"manifests/releases/{model}/1.{minor}.0"
            files[f"{folder}/none.yaml"] = RELEASE.format(model=model, minor=minor)
            if minor == 4:
                continue
            sha256 = _sha256(f"{model} {minor}")
            files[f"{folder}/none.lock.yaml"] = LOCK.format(
                model=model,
                minor=minor,
                sha256=sha256,
                layer=_sha256(f"layer {model} {minor}"),
                set_digest=_sha256(f"{sha256}  model.safetensors\n"),
            )
    for path, text in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Benchmark corpus")
    return root


def git(root: Path, *words: str) -> None:
    """Run git with a fixed identity."""
    identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0"]
    subprocess.run(["git", "-C", str(root), *identity, *words], check=True, capture_output=True)
