"""How full the places are in which files and images lie."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from registry_tool.domain.storage import normal_storage_path
from registry_tool.oci.layout import LayoutStore

_SCAN_LIFE = 60.0
"""Seconds for which a scan of the store counts."""


class StoreUsage(NamedTuple):
    """What the embedded store holds; a blob that several images share counts once."""

    blobs: int
    bytes: int


class StoreScan:
    """Counts the blobs of a store, not more than once a minute."""

    def __init__(self, store: LayoutStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: tuple[float, StoreUsage] | None = None

    def usage(self) -> StoreUsage:
        """The newest count."""
        with self._lock:
            if self._seen is None or time.monotonic() - self._seen[0] > _SCAN_LIFE:
                self._seen = time.monotonic(), _scan(self._store.root)
            return self._seen[1]


def _scan(root: Path) -> StoreUsage:
    sizes: dict[str, int] = {}
    for folder, names, files in os.walk(root):
        path = Path(folder)
        # The shared links repeat what the layouts have.
        names[:] = [name for name in names if name != ".partial"]
        if path.name not in {"sha256", ".blobs"}:
            continue
        for entry in os.scandir(folder):
            if entry.name in sizes or entry.name not in files:
                continue
            try:
                sizes[entry.name] = entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue
    return StoreUsage(len(sizes), sum(sizes.values()))


def mounts(prefixes: Iterable[str], store: Path) -> list[dict[str, Any]]:
    """The file systems of allowed local prefixes and of the store, each once, with what lies on them."""
    found: dict[str, dict[str, Any]] = {}
    for name, path in [*_local(prefixes), ("the embedded store", store)]:
        mount = _mount_of(path)
        try:
            usage = shutil.disk_usage(mount)
        except OSError:
            continue
        entry = found.setdefault(
            str(mount),
            {
                "mount": str(mount),
                "holds": [],
                "total": usage.total,
                "used": usage.used,
                "free": usage.free,
            },
        )
        entry["holds"].append(name)
    return list(found.values())


def _local(prefixes: Iterable[str]) -> list[tuple[str, Path]]:
    normal = map(normal_storage_path, prefixes)
    return [(prefix, Path(prefix)) for prefix in normal if prefix.startswith("/")]


def _mount_of(path: Path) -> Path:
    """The mount point that a path, which need not exist, lies on."""
    path = path.resolve()
    while not path.is_mount() and path != path.parent:
        path = path.parent
    return path
