"""What the other kinds of manifests show of the things that refer to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from registry_tool.catalog.context import Context, stored_facts
from registry_tool.catalog.json_text import dumps, members
from registry_tool.catalog.rows import LARGEST, Fact, Value
from registry_tool.domain.release import Stage

_RELEASES = (
    "SELECT version, quantization, stage, yanked OR prerelease FROM releases WHERE model = ?"
    " ORDER BY version_order DESC, quantization"
)
_STORAGE = (
    "SELECT total(size * times), total(size) FROM"
    " (SELECT size, count(*) AS times FROM artifacts WHERE model = ? GROUP BY sha256, size)"
)
_DEPRECATED = Stage.DEPRECATED.value


class _Release(NamedTuple):
    """A release of a model, as far as it matters here; they come with the newest version first."""

    version: str
    quantization: str
    stage: str
    is_left_out: bool
    """Yanked, or a pre-release."""


def derive_model(context: Context, key: str) -> None:
    """Derive one model, after its releases."""
    _store_layers(context, key)
    item_id, terms, path, facts = context.row(
        "SELECT id, terms, path, facts FROM models WHERE key = ?", key
    )
    releases = [_Release(*row) for row in context.rows(_RELEASES, key)]
    stages = dict(sorted(Counter(release.stage for release in releases).items()))
    environments = context.first_column(
        "SELECT DISTINCT environment FROM deployments WHERE running >= ? AND running < ?"
        " ORDER BY environment",
        f"{key}/",
        f"{key}0",
    )
    files, unique_files, images = _storage(context, key)
    extra = {
        "releases": {
            "count": len(releases),
            "stages": stages,
            "latest": _latest(releases),
        },
        "storage": {"files": files, "unique_files": unique_files, "images": images},
        "environments": environments,
    }
    derived: tuple[Fact, ...] = (
        *(("stage", stage) for stage in stages),
        *(("environment", environment) for environment in environments),
        *(("quantization", name) for name in {release.quantization for release in releases}),
    )
    context.store_derived(
        "models",
        (item_id, terms),
        context.tracer.file(path),
        (*stored_facts(facts), *derived),
        {
            "releases": len(releases),
            "storage": unique_files,
            "files_size": files,
            "unique_files_size": unique_files,
            "images_size": images,
            "extra": members(dumps(extra)),
        },
    )


def _latest(releases: Iterable[_Release]) -> dict[str, object] | None:
    """The newest version that may be used, with its quantizations."""
    usable = (one for one in releases if not one.is_left_out and one.stage != _DEPRECATED)
    for version, newest in groupby(usable, key=lambda one: one.version):
        return {"version": version, "quantizations": [one.quantization for one in newest]}
    return None


def _storage(context: Context, model: str) -> tuple[int, ...]:
    """Bytes of all locked files, of the distinct ones, and of the layers of its images."""
    files, unique = context.row(_STORAGE, model)
    (images,) = context.row("SELECT total(size) FROM layers WHERE model = ?", model)
    return tuple(min(int(found), LARGEST) for found in (files, unique, images))


def _store_layers(context: Context, model: str) -> None:
    """Keep the distinct layers of a model's images; the sizes that records give are trusted."""
    context.connection.execute("DELETE FROM layers WHERE model = ?", (model,))
    context.connection.execute(
        "INSERT OR IGNORE INTO layers (model, digest, size)"
        " SELECT releases.model, layer.value ->> '$.digest', layer.value ->> '$.size'"
        " FROM releases JOIN builds ON builds.id = releases.image_build,"
        " json_each(builds.body, '$.layers') AS layer WHERE releases.model = ?",
        (model,),
    )


def derive_environment(context: Context, key: str) -> None:
    """Derive one environment, after its deployments."""
    item_id, terms, path, facts = context.row(
        "SELECT id, terms, path, facts FROM environments WHERE key = ?", key
    )
    names = context.first_column(
        "SELECT name FROM deployments WHERE environment = ? ORDER BY name", key
    )
    columns: dict[str, Value] = {
        "deployments": len(names),
        "extra": members(dumps({"deployments": names})),
    }
    traced = context.tracer.file(path)
    context.store_derived("environments", (item_id, terms), traced, stored_facts(facts), columns)


def derive_template(context: Context, key: str) -> None:
    """Derive one template, after the releases."""
    item_id, terms, path, facts, file_count = context.row(
        "SELECT id, terms, path, facts, json_array_length(files) FROM templates WHERE key = ?", key
    )
    (releases,) = context.row("SELECT count(*) FROM releases WHERE template = ?", key)
    builder = dict(stored_facts(facts))["builder"]
    extra = {"builder": builder, "releases": releases, "file_count": file_count}
    folder, slash, _ = path.rpartition("/")
    traced = context.tracer.folder(folder + slash, path)
    columns: dict[str, Value] = {"releases": releases, "extra": members(dumps(extra))}
    context.store_derived("templates", (item_id, terms), traced, stored_facts(facts), columns)


def derive_api_key(context: Context, key: str) -> None:
    """Derive one API key."""
    item_id, terms, path, facts = context.row(
        "SELECT id, terms, path, facts FROM api_keys WHERE key = ?", key
    )
    traced = context.tracer.file(path)
    context.store_derived("api-keys", (item_id, terms), traced, stored_facts(facts), {})
