"""Templates render, for every release that uses them."""

from __future__ import annotations

from collections.abc import Iterator

from registry_tool.builders.templates import TemplateProblem
from registry_tool.domain.desired import Located, TemplateSource
from registry_tool.domain.diagnostics import Finding, Severity
from registry_tool.domain.release import Release, Stage
from registry_tool.domain.subjects import ReleaseId
from registry_tool.planning.checks.context import Context, place


def check_templates(context: Context) -> Iterator[Finding]:
    """All templates, and all releases with theirs."""
    broken: set[str] = set()
    for name, source in context.desired.templates.items():
        try:
            context.keys.renderer(name).check()
        except TemplateProblem as problem:
            broken.add(name)
            for one in problem.all:
                yield _in_template(source, one)
    for release_id, release in context.desired.releases.items():
        spec = release.manifest.spec
        found = context.desired.templates.get(spec.template.name)
        if found is None or spec.model not in context.desired.models:
            continue
        yield from _platforms(release, found)
        if spec.template.name not in broken:
            yield from _rendering(context, release_id, release, found)


def _in_template(source: TemplateSource, problem: TemplateProblem) -> Finding:
    return Finding(
        problem.problem_code,
        source.located.path,
        problem.pointer,
        problem.message,
        problem.help,
        subject=source.manifest.subject,
        on_key=problem.on_key,
    )


def _rendering(
    context: Context, release_id: ReleaseId, release: Located[Release], source: TemplateSource
) -> Iterator[Finding]:
    try:
        context.keys.rendered(release_id)
    except TemplateProblem as problem:
        severity = _severity(context, release_id, release.manifest)
        for one in problem.all:
            yield _problem(release, source, one, severity)


def _severity(context: Context, release_id: ReleaseId, release: Release) -> Severity:
    """A template may move on: what was released before keeps its image, and cannot be adapted."""
    before = context.base.releases.get(release_id) if context.base is not None else None
    settled = before is not None and before.manifest.spec.stage is not Stage.CANDIDATE
    if settled and release.spec.stage is not Stage.CANDIDATE:
        return Severity.WARNING
    return Severity.ERROR


def _problem(
    release: Located[Release], source: TemplateSource, problem: TemplateProblem, severity: Severity
) -> Finding:
    subject = release.manifest.subject
    if problem.in_template:
        return Finding(
            problem.problem_code,
            source.located.path,
            problem.pointer,
            f"{problem.message} (for {subject})",
            problem.help,
            (place(release, ("spec", "template", "name"), "used here"),),
            severity,
            subject=subject,
        )
    name = source.manifest.metadata.name
    return Finding(
        problem.problem_code,
        release.path,
        problem.pointer,
        problem.message,
        problem.help,
        (place(source.located, ("spec", "params"), f'parameters of template "{name}"'),),
        severity,
        on_key=problem.on_key,
        subject=subject,
    )


def _platforms(release: Located[Release], source: TemplateSource) -> Iterator[Finding]:
    possible = source.manifest.spec.platforms
    if not possible:
        return
    for index, platform in enumerate(release.manifest.spec.platforms):
        if platform not in possible:
            yield Finding(
                "RT408",
                release.path,
                ("spec", "platforms", index),
                f'template "{source.manifest.metadata.name}" cannot build for "{platform}"',
                f"it can build for {', '.join(possible)}",
                (place(source.located, ("spec", "platforms"), "decided here"),),
                subject=release.manifest.subject,
            )
