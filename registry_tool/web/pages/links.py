"""Addresses of pages: below the prefix of a proxy, and at the revision that is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

_FOLDERS = {
    "model": "models",
    "release": "releases",
    "deployment": "deployments",
    "environment": "environments",
    "template": "templates",
    "artifact": "artifacts",
    "api-key": "api-keys",
    "registry": "registry",
}
Query = Mapping[str, str | int | Sequence[str] | None]


@dataclass(frozen=True)
class Links:
    """Makes addresses; every one keeps `?at=`."""

    root: str = ""
    """The prefix."""
    at: str | None = None
    """The revision that is looked at; None is the newest."""

    def __call__(self, path: str, **query: str | int | Sequence[str] | None) -> str:
        """The address of a path that begins with a slash."""
        return self.of(path, query)

    def of(self, path: str, query: Query) -> str:
        """The same with a query whose names need not be identifiers."""
        return self.root + quote(path) + self._query({**query, "at": self.at})

    def plain(self, path: str) -> str:
        """An address that knows no revision, such as a file of this server."""
        return self.root + quote(path)

    def subject(self, subject: str) -> str:
        """The page of a subject such as ``model/minilm``."""
        kind, _, name = subject.partition("/")
        folder = _FOLDERS.get(kind, kind)
        return self(f"/{folder}" if kind == "registry" else f"/{folder}/{name}")

    def record(self, key: str) -> str:
        """The page of a record, by its key in the catalog: ``builds/<release>/<sequence>-<key12>``."""
        return self(f"/{key}")

    def revision(self, path: str, at: str | None, query: Query | None = None) -> str:
        """A page at another revision."""
        return self.root + quote(path) + self._query({**(query or {}), "at": at})

    @staticmethod
    def _query(query: Query) -> str:
        given = {name: value for name, value in query.items() if value not in (None, "", (), [])}
        return f"?{urlencode(given, doseq=True)}" if given else ""
