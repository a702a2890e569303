"""What one run keeps for the next: environments of peers, and corpora that take long to make."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def cache_folder() -> Path:
    """The folder of all that is kept; it may be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "registry-tool-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept(name: str, sources: list[Path], make: Callable[[Path], object], target: Path) -> Path:
    """Let `target` be a copy of the folder that `make` makes, made once for each text of `sources`.

    Only the newest one of a name is kept.
    """
    content = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    folder = cache_folder() / "corpora"
    original = folder / f"{name}-{content}"
    if not original.exists():
        for old in folder.glob(f"{name}-*"):
            shutil.rmtree(old)
        part = folder / f".{name}-{content}.{os.getpid()}"
        shutil.rmtree(part, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        make(part)
        with suppress(OSError):
            # Another run may have made it meanwhile.
            part.replace(original)
        shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(original, target)
    return target
