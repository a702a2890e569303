"""The answers of a catalog that are not items."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple

from registry_tool.catalog.inputs import CatalogPair, InvalidFile


@dataclass(frozen=True)
class About:
    """What a catalog shows."""

    pair: CatalogPair
    committed_at: datetime | None
    """Of the manifests' commit."""
    tip: str
    """The commit that the ref names; another than `pair.manifests` when that one could not be accepted."""
    refused: tuple[InvalidFile, ...]
    """Why the tip was not accepted."""
    invalid: tuple[InvalidFile, ...]
    """Files of the shown revision that have errors; their subjects are missing from the lists."""
    counts: dict[str, int]
    """Items by kind."""


class KeyRecord(NamedTuple):
    """An API key as a request is checked against it."""

    name: str
    key_id: str
    owner: str
    sha256: str
    expires_at: datetime | None
    revoked: bool


class Tie(NamedTuple):
    """Several releases are equally new; the caller has to say which quantization is meant."""

    releases: tuple[str, ...]
    """Their keys, ``<model>/<version>/<quantization>``."""


class Hit(NamedTuple):
    """A search result."""

    kind: str
    key: str
    item: str
    """Finished JSON text."""


class ModelStorage(NamedTuple):
    """What one model occupies. Bytes that several models share count for each of them."""

    model: str
    releases: int
    files: int
    """Bytes of all locked files."""
    unique_files: int
    """Bytes of the distinct ones."""
    images: int
    """Bytes of the distinct layers of its images in the store."""


class StorageTotals(NamedTuple):
    """Sums over all models; each distinct content counts once."""

    files: int
    unique_files: int
    images: int


class DeploymentEvent(NamedTuple):
    """A stretch of the deployment timeline: what one record brought, until the next one."""

    environment: str
    name: str
    release: str
    """``<model>/<version>/<quantization>``"""
    result: str
    health: str
    started_at: datetime
    finished_at: datetime
    until: datetime | None
    """When the next record of the same deployment finished; None for the latest."""
    who: str | None
    key: str
    """Of the item in ``deployment-records``."""


class BuildDuration(NamedTuple):
    """A point of the build-time plot."""

    release: str
    result: str
    builder: str
    adopted: bool
    started_at: datetime
    finished_at: datetime
    seconds: float
    uploaded: int
    reused: int
    key: str
    """Of the item in ``builds``."""


class Cell(NamedTuple):
    """A deployment in the environment × model matrix."""

    environment: str
    model: str
    name: str
    wanted: str | None
    """The release that the manifest means; None when it is gone, or tracks and finds nothing."""
    running: str | None
    """The release that runs by the records."""
    state: str
    health: str | None


class Difference(NamedTuple):
    """One subject that is not the same in two catalogs."""

    kind: str
    key: str
    change: Literal["created", "updated", "deleted"]
    old: str | None
    """The item, finished JSON text."""
    new: str | None
    fields: tuple[FieldDifference, ...] = ()
    """What the manifest says differently; for updates only."""


class FieldDifference(NamedTuple):
    """A value that differs, as JSON texts; None is an absent one."""

    field: str
    """For example ``stage``, ``ports[0].host`` or ``lock.files[model.bin].sha256``."""
    old: str | None
    new: str | None
