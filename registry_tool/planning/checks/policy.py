"""What the Registry's settings demand: storage prefixes, licenses, labels, base images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from registry_tool.builders.templates import TemplateProblem
from registry_tool.domain.desired import Located, TemplateSource
from registry_tool.domain.diagnostics import Finding
from registry_tool.domain.references import ImageReference
from registry_tool.domain.storage import is_allowed
from registry_tool.planning.checks.context import Context, place


def check_policy(context: Context) -> Iterator[Finding]:
    """Storage paths, licenses, labels and base images of all manifests."""
    desired = context.desired
    yield from _storage(context, {**desired.models, **desired.releases})
    policy = desired.registry.manifest.spec.policy
    if policy.licenses:
        yield from _licenses(context, policy.licenses)
    if policy.required_labels:
        for manifests in (desired.models, desired.releases, desired.deployments):
            for located in manifests.values():
                yield from _labels(context, located, policy.required_labels)
    if policy.base_images:
        yield from _bases(context, policy.base_images)


def _storage(context: Context, manifests: Mapping[Any, Located[Any]]) -> Iterator[Finding]:
    registry = context.desired.registry
    allowed = registry.manifest.spec.storage.allowed
    verdicts: dict[str, bool] = {}
    for located in manifests.values():
        path = located.manifest.spec.storage_path
        if path is None:
            continue
        if path not in verdicts:
            verdicts[path] = is_allowed(path, allowed)
        if not verdicts[path]:
            yield Finding(
                "RT501",
                located.path,
                ("spec", "storage_path"),
                f'"{path}" does not lie under an allowed prefix',
                f"move the files below {' or '.join(allowed)}, "
                "or add a prefix to spec.storage.allowed",
                (place(registry, ("spec", "storage", "allowed"), "the allowed prefixes"),),
                subject=located.manifest.subject,
            )


def _licenses(context: Context, licenses: tuple[str, ...]) -> Iterator[Finding]:
    registry = context.desired.registry
    for model in context.desired.models.values():
        given = model.manifest.spec.license
        if given in licenses:
            continue
        yield Finding(
            "RT305",
            model.path,
            ("spec", "license"),
            f'the license "{given}" is not allowed' if given else "a license is required",
            f"allowed are {', '.join(licenses)}",
            (place(registry, ("spec", "policy", "licenses"), "decided here"),),
            subject=model.manifest.subject,
        )


def _labels(
    context: Context, located: Located[Any], required: tuple[str, ...]
) -> Iterator[Finding]:
    for label in required:
        if label in located.manifest.metadata.labels:
            continue
        yield Finding(
            "RT306",
            located.path,
            ("metadata", "labels"),
            f'the label "{label}" is required',
            f"add it under metadata.labels: {label}: …",
            (
                place(
                    context.desired.registry,
                    ("spec", "policy", "required_labels"),
                    "decided here",
                ),
            ),
            subject=located.manifest.subject,
        )


def _is_from(reference: str, prefixes: tuple[str, ...]) -> bool:
    try:
        repository = ImageReference.parse(reference).repository
    except ValueError:
        return False
    return any(
        repository == prefix or repository.startswith(prefix.rstrip("/") + "/")
        for prefix in prefixes
    )


def _bases(context: Context, prefixes: tuple[str, ...]) -> Iterator[Finding]:
    """Declared bases, and those of native images as they are for each release."""
    for source in context.desired.templates.values():
        recipe = source.manifest.spec.dockerfile
        for index, base in enumerate(recipe.bases if recipe is not None else ()):
            if not _is_from(base.reference, prefixes):
                pointer = ("spec", "dockerfile", "bases", index, "reference")
                yield _not_allowed(context, source, pointer, base.reference, prefixes)
    reported: set[tuple[str, str]] = set()
    for release_id in context.desired.releases:
        found = _native_base(context, release_id)
        if found is None or found in reported:
            continue
        name, base_text = found
        if base_text != "scratch" and not _is_from(base_text, prefixes):
            reported.add(found)
            source = context.desired.templates[name]
            yield _not_allowed(context, source, ("spec", "image", "base"), base_text, prefixes)


def _native_base(context: Context, release_id: Any) -> tuple[str, str] | None:
    spec = context.desired.releases[release_id].manifest.spec
    if spec.model not in context.desired.models:
        return None
    if spec.template.name not in context.desired.templates:
        return None
    try:
        image = context.keys.rendered(release_id).image
    except TemplateProblem:
        return None  # reported where templates are checked
    return (spec.template.name, image.base) if image is not None else None


def _not_allowed(
    context: Context,
    source: TemplateSource,
    pointer: tuple[str | int, ...],
    base: str,
    prefixes: tuple[str, ...],
) -> Finding:
    return Finding(
        "RT307",
        source.located.path,
        pointer,
        f'the base image "{base}" is not allowed',
        f"use one below {' or '.join(prefixes)}",
        (place(context.desired.registry, ("spec", "policy", "base_images"), "decided here"),),
        subject=source.manifest.subject,
    )
