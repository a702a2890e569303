"""What the other kinds of manifests show of the things that refer to them."""

from __future__ import annotations

from registry_tool.catalog.context import Context, stored_facts
from registry_tool.catalog.json_text import dumps, members
from registry_tool.catalog.rows import LARGEST, Fact, Value
from registry_tool.domain.release import Stage

_NEWEST = (
    "SELECT version, quantization FROM releases WHERE model = ? AND yanked = 0 AND prerelease = 0"
    " AND stage != ? ORDER BY version_order DESC, quantization"
)
_DEPRECATED = Stage.DEPRECATED.value


def derive_model(context: Context, key: str) -> None:
    """Derive one model, after its releases."""
    _store_layers(context, key)
    item_id, terms, path, facts = context.row(
        "SELECT id, terms, path, facts FROM models WHERE key = ?", key
    )
    stages = dict(
        context.rows(
            "SELECT stage, count(*) FROM releases WHERE model = ? GROUP BY stage ORDER BY stage",
            key,
        )
    )
    environments = context.first_column(
        "SELECT DISTINCT environment FROM deployments WHERE running >= ? AND running < ?"
        " ORDER BY environment",
        f"{key}/",
        f"{key}0",
    )
    files, unique_files, images = _storage(context, key)
    extra = {
        "releases": {
            "count": sum(stages.values()),
            "stages": stages,
            "latest": _latest(context, key),
        },
        "storage": {"files": files, "unique_files": unique_files, "images": images},
        "environments": environments,
    }
    derived: tuple[Fact, ...] = (
        *(("stage", stage) for stage in stages),
        *(("environment", environment) for environment in environments),
        *(
            ("quantization", name)
            for name in context.first_column(
                "SELECT DISTINCT quantization FROM releases WHERE model = ?", key
            )
        ),
    )
    context.store_derived(
        "models",
        (item_id, terms),
        context.tracer.file(path),
        (*stored_facts(facts), *derived),
        {
            "releases": sum(stages.values()),
            "storage": unique_files,
            "files_size": files,
            "unique_files_size": unique_files,
            "images_size": images,
            "extra": members(dumps(extra)),
        },
    )


def _latest(context: Context, model: str) -> dict[str, object] | None:
    """The newest version that may be used, with its quantizations."""
    newest: list[str] = []
    version: str | None = None
    for found, quantization in context.connection.execute(_NEWEST, (model, _DEPRECATED)):
        if version not in {None, found}:
            break
        version = found
        newest.append(quantization)
    return {"version": version, "quantizations": newest} if version is not None else None


def _storage(context: Context, model: str) -> tuple[int, int, int]:
    files = context.row("SELECT total(size) FROM artifacts WHERE model = ?", model)
    unique = context.row(
        "SELECT total(size) FROM (SELECT DISTINCT sha256, size FROM artifacts WHERE model = ?)",
        model,
    )
    images = context.row("SELECT total(size) FROM layers WHERE model = ?", model)
    return tuple(min(int(found[0]), LARGEST) for found in (files, unique, images))  # type: ignore[return-value]


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
