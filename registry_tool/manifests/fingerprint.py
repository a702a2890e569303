"""What cached results depend on besides the file itself: the code that made them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import pydantic

from registry_tool import __version__, domain, manifests


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Changes whenever the types or the readers change, so that no cache outlives its meaning."""
    digest = hashlib.sha256(f"{__version__} {pydantic.VERSION}".encode())
    for package in (domain, manifests):
        for folder in package.__path__:
            for file in sorted(Path(folder).glob("*.py")):
                digest.update(file.name.encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
