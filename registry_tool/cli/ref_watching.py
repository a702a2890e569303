"""Noticing that refs of a repository moved."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

_CHANGES: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    FileClosedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
"""The kernel is asked for nothing else: every request that reads a ref would be an event, too."""
_FILES = {"HEAD", "packed-refs"}
_FOLDERS = ("refs", "reftable")


class RefWatcher(FileSystemEventHandler):
    """Watches the places where Git keeps refs. Where that is impossible, polling has to do."""

    def __init__(self, git_dir: Path, common_dir: Path) -> None:
        self._places = [common_dir] if git_dir == common_dir else [common_dir, git_dir]
        self._common_dir = common_dir
        self._changed: Callable[[], None] = lambda: None
        self._observer: BaseObserver | None = None

    def start(self, changed: Callable[[], None]) -> None:
        """Call `changed`, in a thread of the observer, whenever a ref may have moved."""
        self._changed = changed
        observer = Observer()
        try:
            for place in self._places:
                observer.schedule(self, str(place), recursive=False, event_filter=_CHANGES)
            for name in _FOLDERS:
                if (self._common_dir / name).is_dir():
                    folder = str(self._common_dir / name)
                    observer.schedule(self, folder, recursive=True, event_filter=_CHANGES)
            observer.start()
        except OSError as problem:
            log.warning("cannot watch %s, polling only: %s", self._common_dir, problem.strerror)
            return
        self._observer = observer

    def stop(self) -> None:
        """End that."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
            self._observer = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Pass on what concerns refs."""
        if event.is_directory:
            return
        paths = (os.fsdecode(event.src_path), os.fsdecode(event.dest_path))
        if any(path and self._is_ref(Path(path)) for path in paths):
            self._changed()

    def _is_ref(self, path: Path) -> bool:
        # A ref is written beside its place and renamed to it.
        if path.suffix == ".lock":
            return False
        return path.name in _FILES or path.parent not in self._places
