"""The tables of `list`: one row builder for each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from registry_tool.cli.formats.layout import human_bytes, moment
from registry_tool.cli.views.items import (
    build_item,
    lock_size,
    manifest_item,
    releases_by_model,
    stage_text,
)
from registry_tool.domain.deployment import Deployment
from registry_tool.domain.desired import Desired
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.release import LockedFile


@dataclass(frozen=True)
class Filters:
    """What to keep; None keeps everything."""

    model: str | None = None
    stage: str | None = None
    environment: str | None = None


class Row(NamedTuple):
    """One line of a table, and the same thing for programs."""

    cells: tuple[str, ...]
    item: dict[str, Any]


class Selection(NamedTuple):
    """Where rows come from, and which are wanted."""

    desired: Desired
    recorded: Recorded
    filters: Filters


Rows = Callable[[Selection], Iterator[Row]]


@dataclass(frozen=True)
class Listing:
    """How one kind is listed, and the filters that make sense for it."""

    headings: tuple[str, ...]
    rows: Rows
    filters: tuple[str, ...] = ()


def _models(given: Selection) -> Iterator[Row]:
    known = releases_by_model(given.desired)
    for name in sorted(given.desired.models):
        located = given.desired.models[name]
        spec = located.manifest.spec
        releases = known.get(name, [])
        cells = (
            name,
            spec.company or "",
            f"{spec.parameter_count:,}" if spec.parameter_count is not None else "",
            spec.license or "",
            str(len(releases)),
            releases[0].version if releases else "",
        )
        yield Row(cells, manifest_item(f"model/{name}", located))


def _releases(given: Selection) -> Iterator[Row]:
    for model, releases in sorted(releases_by_model(given.desired).items()):
        if given.filters.model not in {None, model}:
            continue
        for release in releases:
            located = given.desired.releases[release]
            spec = located.manifest.spec
            if given.filters.stage not in {None, spec.stage.value}:
                continue
            lock = given.desired.locks.get(release)
            cells = (
                str(release),
                stage_text(spec.stage.value, spec.yanked),
                spec.template.name,
                human_bytes(lock_size(lock.manifest)) if lock else "not locked",
            )
            yield Row(cells, manifest_item(release.subject, located))


def _environments(given: Selection) -> Iterator[Row]:
    counts = Counter(deployment.environment for deployment in given.desired.deployments)
    for name in sorted(given.desired.environments):
        located = given.desired.environments[name]
        spec = located.manifest.spec
        cells = (
            name,
            spec.target.type.value,
            ", ".join(stage.value for stage in spec.accepts),
            spec.promote_from or "",
            str(counts[name]),
        )
        yield Row(cells, manifest_item(f"environment/{name}", located))


def _deployments(given: Selection) -> Iterator[Row]:
    for deployment in sorted(given.desired.deployments):
        located = given.desired.deployments[deployment]
        spec = located.manifest.spec
        if given.filters.environment not in {None, spec.environment}:
            continue
        if given.filters.model not in {None, spec.model}:
            continue
        cells = (
            str(deployment),
            wanted_release(located.manifest),
            spec.weights.value,
            str(spec.replicas),
            "suspended" if spec.suspend else "",
        )
        yield Row(cells, manifest_item(deployment.subject, located))


def wanted_release(deployment: Deployment) -> str:
    """The release that a deployment names, or what it tracks."""
    spec = deployment.spec
    if spec.track is not None:
        return f"{spec.model} {spec.track.version} {spec.quantization} ({spec.track.stage.value})"
    return f"{spec.model}/{spec.version}/{spec.quantization}"


def _templates(given: Selection) -> Iterator[Row]:
    uses = Counter(
        located.manifest.spec.template.name for located in given.desired.releases.values()
    )
    for name in sorted(given.desired.templates):
        source = given.desired.templates[name]
        spec = source.manifest.spec
        builder = "native" if spec.image is not None else "docker"
        item = manifest_item(f"template/{name}", source.located)
        yield Row(
            (name, builder, str(uses[name]), spec.description),
            item | {"files": sorted(source.files)},
        )


def _artifacts(given: Selection) -> Iterator[Row]:
    found: dict[str, tuple[LockedFile, list[str]]] = {}
    for release in sorted(given.desired.locks):
        if given.filters.model not in {None, release.model}:
            continue
        for file in given.desired.locks[release].manifest.spec.files:
            found.setdefault(file.sha256, (file, []))[1].append(release.subject)
    for sha256, (file, releases) in sorted(found.items(), key=lambda entry: entry[1][0].path):
        item = {
            "subject": f"artifact/{sha256}",
            "path": file.path,
            "role": file.role.value,
            "size": file.size,
            "releases": sorted(set(releases)),
        }
        cells = (sha256[:12], file.path, file.role.value, human_bytes(file.size))
        yield Row((*cells, str(len(set(releases)))), item)


def _builds(given: Selection) -> Iterator[Row]:
    for release in sorted(given.recorded.builds):
        if given.filters.model not in {None, release.model}:
            continue
        for entry in reversed(given.recorded.builds[release]):
            spec = entry.record.spec
            cells = (
                str(release),
                f"{entry.sequence:06d}",
                spec.key[:12],
                spec.result.value,
                human_bytes(spec.bytes.upload),
                human_bytes(spec.bytes.reuse),
                moment(spec.timings.finished_at),
            )
            yield Row(cells, build_item(entry))


def _api_keys(given: Selection) -> Iterator[Row]:
    for name in sorted(given.desired.api_keys):
        located = given.desired.api_keys[name]
        spec = located.manifest.spec
        cells = (
            name,
            spec.key_id,
            spec.owner,
            moment(spec.expires_at) if spec.expires_at else "never",
            "revoked" if spec.revoked else "",
        )
        yield Row(cells, manifest_item(f"api-key/{name}", located))


LISTINGS: dict[str, Listing] = {
    "models": Listing(("model", "company", "parameters", "license", "releases", "latest"), _models),
    "releases": Listing(("release", "stage", "template", "files"), _releases, ("model", "stage")),
    "environments": Listing(
        ("environment", "target", "accepts", "promotes from", "deployments"), _environments
    ),
    "deployments": Listing(
        ("deployment", "release", "weights", "replicas", ""), _deployments, ("model", "environment")
    ),
    "templates": Listing(("template", "builder", "releases", "description"), _templates),
    "artifacts": Listing(("sha256", "path", "role", "size", "releases"), _artifacts, ("model",)),
    "builds": Listing(
        ("release", "sequence", "key", "result", "uploaded", "reused", "finished"),
        _builds,
        ("model",),
    ),
    "api-keys": Listing(("api key", "id", "owner", "expires", ""), _api_keys),
}
