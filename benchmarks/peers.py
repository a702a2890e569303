"""Peers in virtual environments of their own, so that their dependencies never meet ours or each other's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.keeping import cache_folder


@dataclass(frozen=True)
class Peer:
    """Something to compare with, by the exact version that is installed."""

    name: str
    version: str

    @property
    def title(self) -> str:
        """As tables have it."""
        return f"{self.name} {self.version}"


CHECK_JSONSCHEMA = Peer("check-jsonschema", "0.39.0")
GTO = Peer("gto", "1.10.1")
DATASETTE = Peer("datasette", "0.65.5")
MLFLOW = Peer("mlflow", "3.17.2")


class NoPeer(Exception):
    """It cannot be had, and this says why."""


def install(peer: Peer) -> Path:
    """The `bin` directory that has the peer's command. Raises NoPeer."""
    home = cache_folder() / "peers" / f"{peer.name}-{peer.version}"
    done = home / "installed"
    if done.exists():
        return home / "bin"
    shutil.rmtree(home, ignore_errors=True)
    # Our own constraints are not meant for them.
    environment = {k: v for k, v in os.environ.items() if "CONSTRAINT" not in k}
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    for command in (
        [sys.executable, "-m", "venv", str(home)],
        [*pip, f"{peer.name}=={peer.version}"],
    ):
        finished = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if finished.returncode != 0:
            said = (finished.stderr or finished.stdout).strip().splitlines()
            raise NoPeer(said[-1] if said else f"{command[0]} failed")
    done.touch()
    return home / "bin"
