"""A registry folder that can be applied: the command line at hand, and what it leaves."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from registries import RegistryFolder

from registry_tool.cli.main import run


class Ran(NamedTuple):
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


class Applied(RegistryFolder):
    """A registry folder with the command line at hand."""

    def tool(self, *arguments: str, expect: int | None = 0) -> Ran:
        """Run a command in this process: much faster, and the same code."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.path), redirect_stdout(out), redirect_stderr(err):
            code = run(list(arguments))
        ran = Ran(code, out.getvalue(), err.getvalue())
        assert "this is a bug" not in ran.stderr
        assert expect is None or ran.returncode == expect, ran.stdout + ran.stderr
        return ran

    def kill_at(self, failpoint: str, *options: str) -> None:
        """Apply in a process of its own, which kills itself at a failpoint."""
        done = subprocess.run(
            [sys.executable, "-m", "registry_tool", "apply", *options],
            cwd=self.path,
            env={**os.environ, "REGISTRY_TOOL_FAILPOINT": failpoint},
            capture_output=True,
            text=True,
            check=False,
        )
        reached = done.returncode == -signal.SIGKILL
        assert reached, f"{failpoint} was not reached: {done.stdout}{done.stderr}"

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
