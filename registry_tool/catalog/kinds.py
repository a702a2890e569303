"""The collections of a catalog: what their items can be chosen and ordered by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A collection of the catalog. Several values of one filter mean any of them; all filters must hold."""

    name: str
    """As in URLs: ``models``, ``api-keys`` …"""
    subject: str
    """How subjects of its items begin: ``model``, ``release`` …; empty where an item is no subject."""
    facets: tuple[str, ...]
    """Filters for equality whose values can be counted."""
    ranges: tuple[str, ...]
    """Numbers and times (as seconds since 1970) that can be bounded."""
    sorts: tuple[str, ...]
    """What can be ordered by; a leading ``-`` is descending."""
    default_sort: tuple[str, ...]
    exact: tuple[str, ...] = ()
    """Filters for equality that have too many values to be counted."""


_MODEL_FACTS = ("company", "base_model", "license", "tags", "parameter_count")
_RELEASE_NAMES = ("model", "version", "quantization")
_DATES = ("created", "updated")

_MODELS = Kind(
    "models",
    "model",
    facets=(*_MODEL_FACTS, "quantization", "stage", "environment", "label"),
    ranges=("parameter_count", "releases", "storage", *_DATES),
    sorts=(
        *("name", "company", "base_model", "license", "parameter_count"),
        *("releases", "storage", *_DATES),
    ),
    default_sort=("name",),
)
_RELEASES = Kind(
    "releases",
    "release",
    facets=(
        *(*_RELEASE_NAMES, "stage", *_MODEL_FACTS, "template", "platform", "environment"),
        *("result", "locked", "yanked", "prerelease", "auto_build", "label"),
    ),
    ranges=("parameter_count", "size", *_DATES, "built"),
    sorts=("name", *_RELEASE_NAMES, "stage", "parameter_count", "size", *_DATES, "built"),
    default_sort=("-updated", "name"),
)
_DEPLOYMENTS = Kind(
    "deployments",
    "deployment",
    facets=(
        *("environment", "name", *_RELEASE_NAMES, "release", "stage", "state", "result", "health"),
        *("weights", "target", "suspend", "declared", "label"),
    ),
    ranges=("replicas", "since", *_DATES),
    sorts=("name", "environment", "model", "version", "state", "since", *_DATES),
    default_sort=("environment", "name"),
)
_ENVIRONMENTS = Kind(
    "environments",
    "environment",
    facets=("target", "accepts", "promote_from", "label"),
    ranges=("deployments", *_DATES),
    sorts=("name", "deployments", *_DATES),
    default_sort=("name",),
)
_TEMPLATES = Kind(
    "templates",
    "template",
    facets=("builder", "platform", "label"),
    ranges=("releases", *_DATES),
    sorts=("name", "releases", *_DATES),
    default_sort=("name",),
)
_API_KEYS = Kind(
    "api-keys",
    "api-key",
    facets=("owner", "revoked", "label"),
    ranges=("expires", *_DATES),
    sorts=("name", "owner", "expires", *_DATES),
    default_sort=("name",),
)
_ARTIFACTS = Kind(
    "artifacts",
    "artifact",
    facets=("role", "media_type", *_RELEASE_NAMES),
    ranges=("size",),
    sorts=("path", "release", "size", "sha256"),
    default_sort=("release", "path"),
    exact=("sha256", "release"),
)
_BUILDS = Kind(
    "builds",
    "",
    facets=(*_RELEASE_NAMES, "result", "builder", "store", "adopted"),
    ranges=("seconds", "uploaded", "started", "finished"),
    sorts=("finished", "started", "release", "seconds", "uploaded", "sequence"),
    default_sort=("-finished", "-sequence"),
    exact=("key", "release"),
)
_DEPLOYMENT_RECORDS = Kind(
    "deployment-records",
    "",
    facets=("environment", "name", *_RELEASE_NAMES, "result", "health", "author"),
    ranges=("seconds", "started", "finished"),
    sorts=("finished", "started", "deployment", "seconds", "sequence"),
    default_sort=("-finished", "-sequence"),
    exact=("deployment", "release", "key"),
)
_REQUESTS = Kind(
    "requests",
    "",
    facets=("action", "requested_by"),
    ranges=("requested",),
    sorts=("requested", "sequence"),
    default_sort=("-sequence",),
    exact=("target",),
)
_AUDIT = Kind(
    "audit",
    "",
    facets=("author", "committer", "approved_by", "kind", "model", "environment"),
    ranges=("committed",),
    sorts=("committed", "authored"),
    default_sort=("-committed",),
    exact=("about",),
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        *(_MODELS, _RELEASES, _DEPLOYMENTS, _ENVIRONMENTS, _TEMPLATES, _API_KEYS),
        *(_ARTIFACTS, _BUILDS, _DEPLOYMENT_RECORDS, _REQUESTS, _AUDIT),
    )
}
"""All collections. Each item has an id within its kind, as `Catalog.get` takes it:

- models, environments, templates, api-keys: the name
- releases: ``<model>/<version>/<quantization>``; deployments: ``<environment>/<name>``
- artifacts: the sha256
- builds, deployment-records, requests: the path on the records branch without ``.yaml``
- audit: the commit's oid

``label`` filters are written ``key=value``; booleans ``true`` and ``false``; ``about`` and ``target`` take a subject.
"""
