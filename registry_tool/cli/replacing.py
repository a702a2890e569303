"""Writing files of the work tree whole."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path


def replace_file(file: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it; an existing one keeps its permissions."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.new")
    try:
        partial.write_bytes(data)
        if file.exists():
            partial.chmod(stat.S_IMODE(file.stat().st_mode))
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
