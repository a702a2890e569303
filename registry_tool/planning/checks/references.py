"""Every reference resolves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry_tool.domain.deployment import Deployment, DeploymentSpec
from registry_tool.domain.desired import Located
from registry_tool.domain.diagnostics import Finding
from registry_tool.domain.names import did_you_mean
from registry_tool.domain.subjects import ReleaseId
from registry_tool.planning.checks.context import Context, place, unknown


def check_references(context: Context) -> Iterator[Finding]:
    """Releases, locks, environments and deployments name what exists."""
    yield from _releases(context)
    yield from _locks(context)
    yield from _environments(context)
    for deployment in context.desired.deployments.values():
        yield from _deployment(context, deployment)


def _before(context: Context, what: str, key: Any) -> Located[Any] | None:
    if context.base is None:
        return None
    mapping: Mapping[Any, Any] = getattr(context.base, what)
    found = mapping.get(key)
    return getattr(found, "located", found)


def _releases(context: Context) -> Iterator[Finding]:
    desired = context.desired
    for release in desired.releases.values():
        spec = release.manifest.spec
        if spec.model not in desired.models and not context.is_known(f"model/{spec.model}"):
            yield unknown(
                context,
                release,
                ("spec", "model"),
                "model",
                spec.model,
                known=desired.models,
                deleted=_before(context, "models", spec.model),
            )
        name = spec.template.name
        if name not in desired.templates and not context.is_known(f"template/{name}"):
            yield unknown(
                context,
                release,
                ("spec", "template", "name"),
                "template",
                name,
                known=desired.templates,
                deleted=_before(context, "templates", name),
            )


def _locks(context: Context) -> Iterator[Finding]:
    for release_id, lock in context.desired.locks.items():
        if release_id in context.desired.releases or context.is_known(release_id.subject):
            continue
        deleted = _before(context, "releases", release_id)
        yield Finding(
            "RT217" if deleted is not None else "RT213",
            lock.path,
            ("spec", "model"),
            f"this is the lock of {release_id.subject}, which "
            + ("this change deletes" if deleted is not None else "does not exist"),
            "delete the lock together with its release"
            if deleted is not None
            else f"add {release_id.subject}, or delete the lock",
            subject=release_id.subject,
        )


def _environments(context: Context) -> Iterator[Finding]:
    environments = context.desired.environments
    for name, environment in environments.items():
        source = environment.manifest.spec.promote_from
        if source is None:
            continue
        if source not in environments:
            if not context.is_known(f"environment/{source}"):
                yield unknown(
                    context,
                    environment,
                    ("spec", "promote_from"),
                    "environment",
                    source,
                    known=environments.keys() - {name},
                    deleted=_before(context, "environments", source),
                )
            continue
        circle = _circle(context, name)
        if circle:
            yield Finding(
                "RT215",
                environment.path,
                ("spec", "promote_from"),
                f"environments promote in a circle: {' from '.join(circle)}",
                "remove promote_from where releases come in first",
                (place(environments[source], ("spec", "promote_from"), "which goes on here"),)
                if source != name
                else (),
                subject=environment.manifest.subject,
            )


def _circle(context: Context, start: str) -> list[str]:
    """The way from an environment back to itself; empty when there is none."""
    way = [start]
    current = start
    while True:
        located = context.desired.environments.get(current)
        source = located.manifest.spec.promote_from if located is not None else None
        if source is None or (source in way and source != start):
            return []
        way.append(source)
        if source == start:
            return way
        current = source


def _deployment(context: Context, deployment: Located[Deployment]) -> Iterator[Finding]:
    spec = deployment.manifest.spec
    desired = context.desired
    if spec.environment not in desired.environments and not context.is_known(
        f"environment/{spec.environment}"
    ):
        yield unknown(
            context,
            deployment,
            ("spec", "environment"),
            "environment",
            spec.environment,
            known=desired.environments,
            deleted=_before(context, "environments", spec.environment),
        )
    if spec.model not in desired.models and not context.is_known(f"model/{spec.model}"):
        yield unknown(
            context,
            deployment,
            ("spec", "model"),
            "model",
            spec.model,
            known=desired.models,
            deleted=_before(context, "models", spec.model),
        )
    elif spec.version is None:
        yield from _track(context, deployment)
    else:
        yield from _release(context, deployment, spec.version)


def _release(context: Context, deployment: Located[Deployment], version: str) -> Iterator[Finding]:
    spec = deployment.manifest.spec
    release_id = ReleaseId(spec.model, version, spec.quantization)
    if release_id in context.desired.releases or context.is_known(release_id.subject):
        return
    deleted = _before(context, "releases", release_id)
    others = [release for release in context.desired.releases if release.model == spec.model]
    quantizations = sorted(other.quantization for other in others if other.version == version)
    if deleted is None and quantizations:
        given = "quantization" in spec.model_fields_set
        yield Finding(
            "RT210",
            deployment.path,
            ("spec", "quantization") if given else ("spec", "version"),
            f'{spec.model} {version} has no quantization "{spec.quantization}"',
            did_you_mean(spec.quantization, quantizations)
            or f"set spec.quantization: it has {', '.join(quantizations)}",
            subject=deployment.manifest.subject,
        )
        return
    yield unknown(
        context,
        deployment,
        ("spec", "version"),
        "release",
        str(release_id),
        known=map(str, others),
        deleted=deleted,
    )


def _track(context: Context, deployment: Located[Deployment]) -> Iterator[Finding]:
    spec = deployment.manifest.spec
    if spec.track is None or context.tracks.release_of(deployment.manifest) is not None:
        return
    if context.may_track_errors(spec.model, spec.quantization):
        return
    yield Finding(
        "RT216",
        deployment.path,
        ("spec", "track"),
        f"no {spec.track.stage} release of {spec.model} ({spec.quantization}) has a version in "
        f'"{spec.track.version}"',
        _nearest(context, spec),
        subject=deployment.manifest.subject,
    )


def _nearest(context: Context, spec: DeploymentSpec) -> str:
    found = sorted(
        f"{release.version} ({located.manifest.spec.stage}"
        f"{', yanked' if located.manifest.spec.yanked else ''})"
        for release, located in context.desired.releases.items()
        if (release.model, release.quantization) == (spec.model, spec.quantization)
    )
    return f"there are {', '.join(found)}" if found else "there is no release of it yet"
