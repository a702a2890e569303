"""Derives what has to be derived, each thing after those that it is derived from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

from registry_tool.catalog.context import Context
from registry_tool.catalog.derived_deployments import derive_deployment
from registry_tool.catalog.derived_models import (
    derive_api_key,
    derive_environment,
    derive_model,
    derive_template,
)
from registry_tool.catalog.derived_releases import (
    ModelFacts,
    derive_release,
    model_facts,
    retag_releases,
)
from registry_tool.catalog.dirty import Dirty
from registry_tool.catalog.release_sources import release_sources
from registry_tool.catalog.schema import TABLES
from registry_tool.catalog.wanted_keys import wanted_keys

_AT_ONCE = 500
"""Releases that are looked up together."""
_AFTER_RELEASES: tuple[tuple[str, Callable[[Context, str], None]], ...] = (
    ("models", derive_model),
    ("environments", derive_environment),
    ("templates", derive_template),
    ("api-keys", derive_api_key),
)


def derive(context: Context, dirty: Dirty) -> None:
    """Bring all derived columns and filter values up to date."""
    if dirty.registry:
        _derive_registry(context)
    deployments = list(_deployments(context, dirty))
    keys = wanted_keys(context, deployments)
    for deployment in deployments:
        for release in derive_deployment(context, deployment, keys.get(deployment)):
            dirty.mark_release(release)
    _derive_releases(context, dirty)
    for model in dirty.keys("models"):
        # A model may be gone whose releases are still there.
        context.connection.execute("DELETE FROM layers WHERE model = ?", (model,))
    for kind, derive_one in _AFTER_RELEASES:
        for key in _present(context, kind, dirty):
            derive_one(context, key)


def _derive_registry(context: Context) -> None:
    path = context.row("SELECT path FROM registry")
    if path is not None:
        traced = context.tracer.file(path[0])
        context.connection.execute(
            "UPDATE registry SET changed = ?, created = ?, updated_at = ?, created_at = ?",
            traced,
        )


def _deployments(context: Context, dirty: Dirty) -> Iterable[str]:
    """Those without a row too: one may have become an orphan."""
    if not dirty.everything:
        return sorted(dirty.keys("deployments"))
    return context.first_column(
        "SELECT key FROM deployments UNION SELECT deployment FROM deployment_records ORDER BY 1"
    )


def _derive_releases(context: Context, dirty: Dirty) -> None:
    known: tuple[str, ModelFacts] = ("", ModelFacts())
    keys = iter(_present(context, "releases", dirty))
    while some := list(islice(keys, _AT_ONCE)):
        for sources in release_sources(context, some):
            model = sources.key.partition("/")[0]
            if model != known[0]:
                known = (model, model_facts(context, model))
            derive_release(context, sources, known[1])
    if not dirty.everything:
        for model in sorted(dirty.retagged):
            retag_releases(context, model, dirty.keys("releases"))


def _present(context: Context, kind: str, dirty: Dirty) -> Iterable[str]:
    """Keys of items that are to be derived and are still there, sorted."""
    table = TABLES[kind].name
    if dirty.everything:
        return context.first_column(f"SELECT key FROM {table} ORDER BY key")  # noqa: S608
    return [
        key
        for key in sorted(dirty.keys(kind))
        if context.row(f"SELECT 1 FROM {table} WHERE key = ?", key)  # noqa: S608
    ]
