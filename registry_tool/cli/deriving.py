"""Deriving the catalog of a large registry in a process of its own.

At 100,000 releases that takes half a gigabyte, of which little comes back to the system while the process lasts; and
minutes in which requests would wait for Python's lock.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tool.catalog.files import CatalogPair, Catalogs
    from registry_tool.repository.repository import Repository
    from registry_tool.web.context import Updater

log = logging.getLogger(__name__)

_LARGE = 4 << 20
"""Bytes of a pack from which on another process pays: it begins in less than a second."""


class DerivingApart:
    """An updater that has another process make what is there to be made from nothing."""

    def __init__(self, updater: Updater, catalogs: Catalogs, derive: Callable[[], object]) -> None:
        self._updater = updater
        self._catalogs = catalogs
        self._derive = derive

    def refresh(self) -> CatalogPair | None:
        """As the updater does it; when the other process could not, it is done here and says why."""
        if self._catalogs.current() is None:
            self._derive()
        return self._updater.refresh()

    def at(self, revision: str) -> CatalogPair:
        """As the updater does it."""
        return self._updater.at(revision)

    def known(self, revision: str) -> CatalogPair | None:
        """As the updater does it."""
        return self._updater.known(revision)


def is_large(repository: Repository) -> bool:
    """Whether a repository holds so much that its catalog is derived apart."""
    packs = (repository.common_dir / "objects/pack").glob("*.pack")
    return any(pack.stat().st_size >= _LARGE for pack in packs)


def derive_apart(repo: str, directory: Path) -> None:
    """Bring the catalog in `directory` up to date in another process, and wait for its end."""
    process = multiprocessing.get_context("spawn").Process(target=_derive, args=(repo, directory))
    process.start()
    process.join()
    if process.exitcode:
        log.debug("the process that derives the catalog ended with %s", process.exitcode)


def _derive(repo: str, directory: Path) -> None:
    from registry_tool.catalog.files import Catalogs
    from registry_tool.cli.app import App
    from registry_tool.cli.serving import catalog_updater
    from registry_tool.errors import RegistryToolError

    app = App(repo_path=repo, verbosity=-1)
    try:
        catalog_updater(app, Catalogs(directory)).refresh()
    except RegistryToolError as problem:
        # Whoever waits for this tries it as well, and tells it to people.
        raise SystemExit(1) from problem
    finally:
        app.close()
