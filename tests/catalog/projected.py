"""A registry with catalogs of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog_dump import dump
from registries import RegistryFolder

from registry_tool.catalog.files import Catalogs
from registry_tool.catalog.queries import Catalog
from registry_tool.manifests.loading import load
from registry_tool.reconcile.projecting import CatalogUpdater
from registry_tool.repository.blob_cache import BlobCache
from registry_tool.repository.repository import Repository


class Projected:
    """A registry folder, and the catalogs that follow it."""

    def __init__(self, folder: RegistryFolder, directory: Path) -> None:
        self.folder = folder
        self.directory = directory
        self.repository = Repository.open(folder.path)
        self.cache = BlobCache(directory / "blobs.sqlite")
        self.catalogs = Catalogs(directory / "catalog", keep=3)
        self.updater = CatalogUpdater(self.repository, self.catalogs, self.cache)

    @contextmanager
    def shown(self) -> Iterator[Catalog]:
        """The current catalog, brought up to date."""
        self.updater.refresh()
        with self.catalogs.open() as catalog:
            yield catalog

    @property
    def file(self) -> Path:
        """The current catalog's file."""
        return self.directory / "catalog" / (self.directory / "catalog" / "current").read_text()

    def fresh(self, name: str = "fresh") -> Path:
        """A catalog of the same state that knows nothing of an earlier one."""
        catalogs = Catalogs(self.directory / name)
        CatalogUpdater(self.repository, catalogs, self.cache).refresh()
        catalogs.close()
        return self.directory / name / (self.directory / name / "current").read_text()

    def assert_like_fresh(self, number: int) -> None:
        """The current catalog holds what a new one would hold."""
        mine, other = dump(self.file), dump(self.fresh(f"fresh-{number}"))
        for table, rows in other.items():
            assert mine[table] == rows, table

    def newest_acceptable(self) -> str:
        """The commit that ought to be shown, by a look at all of its files together."""
        for oid in self.folder.git("rev-list", "--first-parent", "HEAD").split():
            loaded = load(self.repository.snapshot(oid), self.cache)
            if loaded.desired is not None and not loaded.refused:
                return oid
        raise AssertionError("nothing can be shown")

    def close(self) -> None:
        self.catalogs.close()
        self.cache.close()
        self.repository.close()
