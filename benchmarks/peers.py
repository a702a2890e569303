"""Peers in a virtual environment of their own, so that their dependencies never meet ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PEERS = ("check-jsonschema==0.39.0", "gto==1.10.1")


def install(home: Path) -> Path:
    """The `bin` directory that has `check-jsonschema` and `gto`."""
    binaries = home / "bin"
    if not (binaries / "gto").exists():
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(binaries / "pip"), "install", "--quiet", *PEERS], check=True)
    return binaries
