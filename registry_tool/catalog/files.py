"""Catalog files: one that follows the served branch, and a bounded number of other revisions."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from registry_tool.catalog.inputs import CatalogDelta, CatalogInputs, CatalogPair
from registry_tool.catalog.queries import Catalog

__all__ = ["CatalogPair", "Catalogs"]


class Catalogs:
    """The catalogs in one directory, shared by any number of processes.

    A process that reads needs nothing but `open`. Building and updating take a lock, so that one process does it and
    the others find the result.
    """

    def __init__(self, directory: Path, *, keep: int = 8) -> None:
        """`keep` is how many catalogs of other revisions stay."""
        raise NotImplementedError

    def current(self) -> CatalogPair | None:
        """The pair that `open` would show; None while there is none. Cheap: no more than one small read."""
        raise NotImplementedError

    def open(self, pair: CatalogPair | None = None) -> AbstractContextManager[Catalog]:
        """A catalog for the time of one request: the current one, or that of a pair that the updater gave.

        Use `Catalog.pair` for what is really shown: the current one may have moved on. Raises CatalogProblem when
        there is none (any more); ask the updater then.
        """
        raise NotImplementedError

    def build(self, inputs: CatalogInputs) -> None:
        """Make a new file and let it be the current one."""
        raise NotImplementedError

    def update(self, delta: CatalogDelta) -> None:
        """Change the current one in a single transaction."""
        raise NotImplementedError

    def derive(self, delta: CatalogDelta) -> None:
        """Make a catalog beside the current one from the one that `delta.before` names."""
        raise NotImplementedError

    def near(self) -> Iterable[CatalogPair]:
        """Pairs that there are catalogs of, the current one first."""
        raise NotImplementedError

    def close(self) -> None:
        """Release all files; for the end of the process."""
        raise NotImplementedError
