"""A small registry whose locks are real, so that it can be applied."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from registries import RegistryFolder

MODELCAR = """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: weights
spec:
  params:
    type: object
    properties:
      greeting: {type: string, default: hello}
  image:
    base: scratch
    copy:
      - from: motd.j2
        to: /etc/motd
"""


class Applied(RegistryFolder):
    """A registry folder with the command line at hand, each call a process of its own."""

    def tool(
        self, *arguments: str, expect: int | None = 0, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "registry_tool", *arguments],
            cwd=self.path,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        if expect is not None:
            assert done.returncode == expect, done.stdout + done.stderr
        return done

    def json(self, *arguments: str, expect: int = 0) -> Any:
        """The JSON document that a command prints."""
        return json.loads(self.tool(*arguments, "--format", "json", expect=expect).stdout)

    def lock(self, release: str) -> None:
        self.tool("lock", release)

    def weights(self, model: str, content: bytes, name: str = "model.bin") -> Path:
        """Put a file into storage."""
        path = self.storage / model / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def record_files(self, prefix: str = "") -> list[str]:
        """Paths on the records branch."""
        known = self.git("for-each-ref", "--format=%(refname)", "refs/heads/registry-records")
        if not known:
            return []
        listing = self.git("ls-tree", "-r", "--name-only", "registry-records").splitlines()
        return [path for path in listing if path.startswith(prefix)]

    def record(self, path: str) -> str:
        return self.git("show", f"registry-records:{path}")

    @property
    def store(self) -> Path:
        return self.path / ".git" / "registry-tool" / "store"

    def tags(self, model: str) -> dict[str, str]:
        """Image tag → digest of one model in the embedded store."""
        index = self.store / model / "index.json"
        if not index.exists():
            return {}
        name = "org.opencontainers.image.ref.name"
        manifests = json.loads(index.read_text())["manifests"]
        return {entry["annotations"][name]: entry["digest"] for entry in manifests}


@pytest.fixture
def applied(empty_registry: RegistryFolder) -> Applied:
    """Two releases of one model with the same weights, the first one deployed to staging; committed, not applied."""
    folder = Applied(empty_registry.path, empty_registry.storage)
    folder.write("build_templates/weights/template.yaml", MODELCAR)
    folder.write(
        "build_templates/weights/motd.j2", "{{ params.greeting }} from {{ model }} {{ version }}\n"
    )
    folder.model("minilm")
    folder.weights("minilm", os.urandom(3_000_000))
    folder.weights("minilm", b"{}", "config.json")
    for version in ("1.0.0", "1.0.1"):
        folder.release("minilm", version, lock=False)
    folder.environment("staging")
    folder.commit("Add the model")
    for version in ("1.0.0", "1.0.1"):
        folder.lock(f"minilm/{version}")
    folder.deployment("staging", "search", "minilm", "1.0.0")
    folder.commit("Lock and deploy")
    return folder
