"""Waiting for changes of manifests in a work tree."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from registry_tool.domain.kinds import MANIFESTS_FOLDER, TEMPLATES_FOLDER
from registry_tool.errors import EnvironmentProblem

SETTLE = 0.2
"""Seconds without a change after which a burst of them (an editor saving, a checkout) is over."""
_LOOKS = {"opened", "closed_no_write"}


class Changes(FileSystemEventHandler):
    """Watches the manifests and templates below a work tree while used as a context manager."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._changed = threading.Event()
        self._observer = Observer()

    def __enter__(self) -> Self:
        try:
            # The root is watched flat, for folders that are made later; .git is not walked.
            self._observer.schedule(self, str(self._root), recursive=False)
            for name in (MANIFESTS_FOLDER, TEMPLATES_FOLDER):
                if (self._root / name).is_dir():
                    self._observer.schedule(self, str(self._root / name), recursive=True)
            self._observer.start()
        except OSError as problem:
            raise EnvironmentProblem(
                f"cannot watch {self._root}: {problem.strerror}",
                help="raise the limits fs.inotify.max_user_watches and max_user_instances",
                code="RT610",
            ) from problem
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._observer.stop()
        self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Note a change; called in the observer's thread."""
        if event.event_type in _LOOKS:
            return
        paths = (os.fsdecode(event.src_path), os.fsdecode(event.dest_path))
        if any(path and self._is_ours(Path(path)) for path in paths):
            self._changed.set()

    def _is_ours(self, path: Path) -> bool:
        try:
            top = path.relative_to(self._root).parts[:1]
        except ValueError:
            return False
        return top in {(MANIFESTS_FOLDER,), (TEMPLATES_FOLDER,)}

    def wait(self) -> None:
        """Return when something changed and nothing has for a moment."""
        self._changed.wait()
        while self._changed.is_set():
            self._changed.clear()
            self._changed.wait(SETTLE)
