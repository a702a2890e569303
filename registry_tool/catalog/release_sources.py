"""What releases are derived from, looked up for many of them together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from registry_tool.catalog.context import Context
from registry_tool.catalog.json_text import dumps


class Lock(NamedTuple):
    """The lock of a release."""

    path: str
    oid: str
    size: int
    summary: str


class Build(NamedTuple):
    """A Build in the store in use, as far as it matters here."""

    id: int
    key: str
    sequence: int
    build_key: str
    result: str
    builder: str
    finished: float


class Place(NamedTuple):
    """A deployment that wants or runs a release."""

    environment: str
    name: str
    state: str
    wanted: str | None
    running: str | None


class Sources(NamedTuple):
    """Of one release."""

    key: str
    id: int
    terms: bytes
    path: str
    facts: str
    lock: Lock | None
    builds: Sequence[Build]
    """Newest first."""
    places: Sequence[Place]


# The keys come as a JSON list, so that one statement serves any number of them.
_ITEMS = """
SELECT item.key, item.id, item.terms, item.path, item.facts, locks.path, locks.oid, locks.size, locks.summary
FROM json_each(?) AS asked CROSS JOIN releases AS item ON item.key = asked.value
LEFT JOIN locks ON locks.key = item.key
"""
_BUILDS = """
SELECT item.release, item.id, item.key, item.sequence, item.build_key, item.result, item.builder, item.finished
FROM json_each(?) AS asked CROSS JOIN builds AS item ON item.release = asked.value
WHERE item.store = ? ORDER BY item.sequence DESC
"""
# One search for each: with an "or" the database may look at all deployments.
_PLACES = """
SELECT asked.value, environment, name, state, wanted, running
FROM json_each(?1) AS asked CROSS JOIN deployments ON wanted = asked.value
UNION SELECT asked.value, environment, name, state, wanted, running
FROM json_each(?1) AS asked CROSS JOIN deployments ON running = asked.value
ORDER BY environment, name
"""


def release_sources(context: Context, keys: Sequence[str]) -> Iterator[Sources]:
    """Of these releases; those that there are not are left out. Their files are prepared for tracing."""
    asked = dumps(keys)
    builds: defaultdict[str, list[Build]] = defaultdict(list)
    for release, *build in context.rows(_BUILDS, asked, context.store):
        builds[release].append(Build(*build))
    places: defaultdict[str, list[Place]] = defaultdict(list)
    for release, *place in context.rows(_PLACES, asked):
        places[release].append(Place(*place))
    items = context.rows(_ITEMS, asked)
    context.tracer.prepare([path for item in items for path in (item[3], item[5]) if path])
    for key, item_id, terms, path, facts, *lock in items:
        found = Lock(*lock) if lock[0] is not None else None
        yield Sources(
            key, item_id, terms, path, facts, found, builds.get(key, ()), places.get(key, ())
        )
