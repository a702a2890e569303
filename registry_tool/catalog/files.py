"""Catalog files: one that follows the served branch, and a bounded number of other revisions.

Each cold build is a new file, named by the pair that it was built for; `current` names the one in use and is replaced
as a whole. A warm update changes that file in one transaction, so its name says where it began and `meta` what it
shows. Files of other revisions are finished before they get their name, and never change.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from registry_tool.catalog import building
from registry_tool.catalog.inputs import CatalogDelta, CatalogInputs, CatalogPair
from registry_tool.catalog.memory import Memory, Shared
from registry_tool.catalog.meta import Meta, read_meta
from registry_tool.catalog.places import Place, is_damage, place_at, remove
from registry_tool.catalog.queries import Catalog
from registry_tool.errors import CatalogProblem

__all__ = ["CatalogPair", "Catalogs"]

_log = logging.getLogger(__name__)
_POINTER, _LOCK, _AT = "current", "lock", "at"
_ENDING = ".sqlite"
_IDLE = 16
"""Connections that are kept for the next request."""


class Catalogs:
    """The catalogs in one directory, shared by any number of processes and threads.

    A process that reads needs nothing but `open`. Building and updating take a lock, so that one process does it and
    the others find the result.
    """

    def __init__(self, directory: Path, *, keep: int = 8) -> None:
        """`keep` is how many catalogs of other revisions stay."""
        self.directory = directory
        self._keep = keep
        self._idle: list[tuple[Place, sqlite3.Connection]] = []
        self._lock = threading.Lock()
        self._memory = Shared()

    # --- reading ---

    def current(self) -> CatalogPair | None:
        """The pair that `open` would show; None while there is none. Cheap: no more than one small read."""
        meta = self.current_meta()
        return meta.pair if meta else None

    def current_meta(self) -> Meta | None:
        """What the current catalog says of itself; None while there is none that can be read."""
        place = self._current_place()
        if place is None:
            return None
        try:
            with self._connected(place) as connection:
                return self._meta(place, connection)
        except CatalogProblem:
            return None

    @contextmanager
    def open(self, pair: CatalogPair | None = None) -> Iterator[Catalog]:
        """A catalog for the time of one request: the current one, or that of a pair that the updater gave.

        Use `Catalog.pair` for what is really shown: the current one may have moved on. Raises CatalogProblem when
        there is none (any more); ask the updater then.
        """
        place = self._place_of(pair)
        if place is None:
            raise _missing(pair)
        with self._connected(place) as connection:
            meta = self._meta(place, connection)
            if pair is not None and meta.pair.key != pair.key:
                raise _missing(pair)
            memory = Memory(self._memory, meta.state)
            yield Catalog(connection, memory, meta, self._failure(place))

    def has(self, pair: CatalogPair) -> bool:
        """Whether `open` would find a pair."""
        return self._place_of(pair) is not None

    def _place_of(self, pair: CatalogPair | None) -> Place | None:
        if pair is None:
            return self._current_place()
        current = self.current()
        if current is not None and current.key == pair.key:
            return self._current_place()
        place = place_at(self._at_path(pair), immutable=True)
        if place is not None:
            # What was used last stays the longest.
            with suppress(OSError):
                os.utime(place.path)
        return place

    def _current_place(self) -> Place | None:
        try:
            name = (self.directory / _POINTER).read_text().strip()
        except (OSError, UnicodeDecodeError):
            return None
        if not name or "/" in name:
            return None
        return place_at(self.directory / name, immutable=False)

    def _at_path(self, pair: CatalogPair) -> Path:
        return self.directory / _AT / f"{pair.key}{_ENDING}"

    @contextmanager
    def _connected(self, place: Place) -> Iterator[sqlite3.Connection]:
        """A connection with a reading transaction, kept afterwards for the next request. Raises CatalogProblem."""
        connection: sqlite3.Connection | None = None
        usable = True
        try:
            connection = self._take(place)
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as problem:
            usable = False
            self._failure(place)(problem)
            raise _unreadable(place, problem) from problem
        except CatalogProblem:
            usable = False
            raise
        finally:
            if connection is not None:
                self._give_back(place, connection, usable=usable)

    def _take(self, place: Place) -> sqlite3.Connection:
        with self._lock:
            for number in range(len(self._idle) - 1, -1, -1):
                if self._idle[number][0] == place:
                    return self._idle.pop(number)[1]
        return building.connect_for_reading(place.path, immutable=place.immutable)

    def _give_back(self, place: Place, connection: sqlite3.Connection, *, usable: bool) -> None:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        leaving = [] if usable else [connection]
        with self._lock:
            if usable:
                self._idle.append((place, connection))
                leaving += [old for _, old in self._idle[:-_IDLE]]
                del self._idle[:-_IDLE]
        for old in leaving:
            old.close()

    def _meta(self, place: Place, connection: sqlite3.Connection) -> Meta:
        try:
            meta = read_meta(connection)
        except sqlite3.Error as problem:
            self._failure(place)(problem)
            raise _unreadable(place, problem) from problem
        except (KeyError, ValueError) as problem:
            self._discard(place)
            raise CatalogProblem(f"{place.path} is damaged", transient=True) from problem
        if meta is None:
            self._discard(place)
            raise CatalogProblem(f"{place.path} was made by another version", transient=True)
        return meta

    def _failure(self, place: Place) -> Callable[[sqlite3.Error], None]:
        def failed(problem: sqlite3.Error) -> None:
            if is_damage(problem):
                _log.warning("the catalog %s is damaged and thrown away: %s", place.path, problem)
                self._discard(place)

        return failed

    def _discard(self, place: Place) -> None:
        """Remove a damaged file, unless another one has its name by now."""
        if place_at(place.path, immutable=place.immutable) == place:
            remove(place.path)
        self._forget(lambda known: known == place)

    def _forget(self, which: Callable[[Place], bool]) -> None:
        with self._lock:
            leaving = [entry for entry in self._idle if which(entry[0])]
            self._idle = [entry for entry in self._idle if not which(entry[0])]
        for _, connection in leaving:
            connection.close()

    # --- changing ---

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep other processes and threads from changing catalogs; wait for one that does."""
        (self.directory / _AT).mkdir(parents=True, exist_ok=True)
        with (self.directory / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def build(self, inputs: CatalogInputs) -> None:
        """Make a new file and let it be the current one; for a holder of `changing`. Raises IdentityClash."""
        name = f"{inputs.pair.manifests[:12]}-{(inputs.pair.records or 'none')[:12]}-{time.time_ns()}{_ENDING}"
        with self._finished(self.directory / name) as path:
            building.build(path, inputs)
        pointer = self.directory / f".{_POINTER}"
        pointer.write_text(name)
        pointer.replace(self.directory / _POINTER)
        self._clean()

    def update(self, delta: CatalogDelta) -> None:
        """Change the current one in a single transaction; for a holder of `changing`.

        Raises IdentityClash; CatalogProblem when it does not show `delta.before` or is damaged.
        """
        place = self._current_place()
        if place is None:
            raise _missing(delta.before)
        try:
            with closing(building.connect_for_change(place.path)) as connection:
                building.change(connection, delta)
        except sqlite3.Error as problem:
            self._failure(place)(problem)
            raise CatalogProblem(
                f"the catalog cannot be changed: {problem}", transient=True
            ) from problem

    def build_at(self, inputs: CatalogInputs) -> None:
        """Make a catalog of another revision from nothing, if there is none; for a holder of `changing`.

        Raises IdentityClash.
        """
        if self.has(inputs.pair):
            return
        with self._finished(self._at_path(inputs.pair)) as path:
            building.build(path, inputs)
            with closing(building.connect_for_change(path)) as connection:
                connection.execute("PRAGMA journal_mode = DELETE")

    def derive(self, delta: CatalogDelta) -> None:
        """Make a catalog of another revision from the one of `delta.before`; for a holder of `changing`.

        Raises IdentityClash; CatalogProblem when there is none or it is damaged.
        """
        place = self._place_of(delta.before)
        if place is None:
            raise _missing(delta.before)
        try:
            with self._finished(self._at_path(delta.after)) as path:
                self._copy(place, path)
                with closing(building.connect_for_change(path)) as connection:
                    # Unfinished, it is thrown away.
                    connection.execute("PRAGMA journal_mode = OFF")
                    connection.execute("PRAGMA synchronous = OFF")
                    building.change(connection, delta)
                    connection.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as problem:
            raise CatalogProblem(
                f"the catalog cannot be copied: {problem}", transient=True
            ) from problem

    def _copy(self, place: Place, path: Path) -> None:
        if place.immutable:
            shutil.copyfile(place.path, path)
            return
        with self._connected(place) as source, closing(sqlite3.connect(path)) as target:
            target.execute("PRAGMA synchronous = OFF")
            source.backup(target)

    def near(self) -> list[CatalogPair]:
        """Pairs of which there are catalogs, the current one first."""
        current = self.current()
        pairs = [current] if current is not None else []
        for path in sorted((self.directory / _AT).glob(f"*{_ENDING}")):
            place = place_at(path, immutable=True)
            if place is None:
                continue
            try:
                with self._connected(place) as connection:
                    pairs.append(self._meta(place, connection).pair)
            except CatalogProblem as problem:
                _log.debug("%s is left out: %s", path, problem)
        return pairs

    def close(self) -> None:
        """Release all files; a later use opens them again."""
        self._forget(lambda _: True)

    @contextmanager
    def _finished(self, path: Path) -> Iterator[Path]:
        """A file that gets its name when it is whole."""
        part = path.with_name(f".{path.name}.{os.getpid()}")
        remove(part)
        try:
            yield part
            part.replace(path)
        finally:
            remove(part)
        self._limit()

    def _limit(self) -> None:
        """Remove the catalogs of other revisions that were not used for the longest time."""
        known = [
            (path.stat().st_mtime_ns, path) for path in self.directory.glob(f"{_AT}/*{_ENDING}")
        ]
        for _, path in sorted(known, reverse=True)[self._keep :]:
            remove(path)

    def _clean(self) -> None:
        """Remove files that no pointer names any more, and left-overs of processes that were killed."""
        current = self._current_place()
        for path in (*self.directory.glob(f"*{_ENDING}"), *self.directory.glob(".*.sqlite.*")):
            if current is None or path != current.path:
                remove(path)
        for path in (self.directory / _AT).glob(".*.sqlite.*"):
            remove(path)
        self._forget(lambda place: not place.immutable and place != current)


def _unreadable(place: Place, problem: sqlite3.Error) -> CatalogProblem:
    return CatalogProblem(f"{place.path} cannot be read: {problem}", transient=True)


def _missing(pair: CatalogPair | None) -> CatalogProblem:
    what = f"of {pair.key}" if pair is not None else "yet"
    return CatalogProblem(f"there is no catalog {what}", transient=True)
