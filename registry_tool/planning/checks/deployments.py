"""Deployments: what their environment and its target allow."""

from __future__ import annotations

from collections.abc import Iterator

from registry_tool.builders.templates import TemplateProblem
from registry_tool.deployers.interface import ASKS_HTTP, SHARED_HOST_PORTS, WEIGHTS_MODES
from registry_tool.domain.deployment import Deployment
from registry_tool.domain.desired import Located
from registry_tool.domain.diagnostics import Finding, Pointer, RelatedPlace, Severity
from registry_tool.domain.environment import Environment
from registry_tool.domain.release import Release, Stage
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.planning.checks.context import Context, place
from registry_tool.planning.services import health


def check_deployments(context: Context) -> Iterator[Finding]:
    """All deployments whose environment exists."""
    for deployment_id, deployment in context.desired.deployments.items():
        environment = context.desired.environments.get(deployment_id.environment)
        if environment is None:
            continue
        yield from _target(deployment, environment)
        release_id = context.tracks.release_of(deployment.manifest)
        release = context.desired.releases.get(release_id) if release_id is not None else None
        if release_id is not None and release is not None:
            newly = context.base_release(deployment_id) != release_id
            yield from _stage(deployment, environment, release, newly)
            yield from _yanked(deployment, release, newly)
            yield from _unlocked(context, deployment, release_id)
            yield from _health(context, deployment, environment, release_id)
    yield from _ports(context)


def _finding(
    code: str,
    deployment: Located[Deployment],
    pointer: Pointer,
    message: str,
    help: str,
    *related: RelatedPlace,
    severity: Severity = Severity.ERROR,
) -> Finding:
    return Finding(
        code,
        deployment.path,
        pointer,
        message,
        help,
        related,
        severity,
        subject=deployment.manifest.subject,
    )


def _named(deployment: Located[Deployment]) -> Pointer:
    """Where a deployment says which release it runs."""
    return ("spec", "version" if deployment.manifest.spec.version is not None else "track")


def _target(
    deployment: Located[Deployment], environment: Located[Environment]
) -> Iterator[Finding]:
    spec = deployment.manifest.spec
    target = environment.manifest.spec.target.type
    decided = place(environment, ("spec", "target", "type"), f"the target is {target}")
    if spec.weights not in WEIGHTS_MODES[target]:
        possible = " or ".join(sorted(WEIGHTS_MODES[target]))
        yield _finding(
            "RT310",
            deployment,
            ("spec", "weights"),
            f'a {target} target cannot provide weights as "{spec.weights}"',
            f"use {possible}",
            decided,
        )
    if spec.replicas > 1 and target not in SHARED_HOST_PORTS:
        for index, port in enumerate(spec.ports):
            if port.host is not None:
                yield _finding(
                    "RT309",
                    deployment,
                    ("spec", "ports", index, "host"),
                    f"host port {port.host} cannot serve {spec.replicas} replicas on a {target} "
                    "target",
                    "remove the host port, set replicas to 1, or use swarm or kubernetes",
                    decided,
                )
    if not environment.manifest.spec.allow_host_paths:
        for index, volume in enumerate(spec.volumes):
            if volume.source.startswith("/"):
                yield _finding(
                    "RT311",
                    deployment,
                    ("spec", "volumes", index, "source"),
                    f'{environment.manifest.subject} does not allow host paths: "{volume.source}"',
                    "use a named volume, or set allow_host_paths in the environment",
                    place(environment, ("spec", "allow_host_paths"), "decided here"),
                )


def _stage(
    deployment: Located[Deployment],
    environment: Located[Environment],
    release: Located[Release],
    newly: bool,
) -> Iterator[Finding]:
    stage = release.manifest.spec.stage
    accepts = environment.manifest.spec.accepts
    if stage in accepts:
        return
    # Deprecating is always allowed, so what runs already may go on running.
    lasting = stage is Stage.DEPRECATED and not newly
    tracking = deployment.manifest.spec.track is not None
    yield _finding(
        "RT302",
        deployment,
        ("spec", "track", "stage") if tracking else _named(deployment),
        f"{environment.manifest.subject} does not accept {release.manifest.subject}, "
        f"which is {stage}",
        f"deploy another release, or `registry-tool stage {release.manifest.id} released`"
        if stage is Stage.CANDIDATE
        else "deploy another release",
        place(environment, ("spec", "accepts"), f"accepts {', '.join(accepts)}"),
        place(release, ("spec", "stage"), f"the stage is {stage}"),
        severity=Severity.WARNING if lasting else Severity.ERROR,
    )


def _yanked(
    deployment: Located[Deployment], release: Located[Release], newly: bool
) -> Iterator[Finding]:
    yanked = release.manifest.spec.yanked
    if yanked is None:
        return
    name = deployment.manifest.id
    yield _finding(
        "RT303" if newly else "RT304",
        deployment,
        _named(deployment),
        f"{release.manifest.subject} was yanked: {yanked.reason}",
        "deploy another release" if newly else f"run `registry-tool rollback {name}`",
        place(release, ("spec", "yanked"), "yanked here"),
        severity=Severity.ERROR if newly else Severity.WARNING,
    )


def _unlocked(
    context: Context, deployment: Located[Deployment], release_id: ReleaseId
) -> Iterator[Finding]:
    # A lock with errors of its own is reported at its own place.
    if release_id in context.desired.locks or context.has_errors(release_id.subject):
        return
    yield _finding(
        "RT502",
        deployment,
        _named(deployment),
        f"{release_id.subject} has no lock, so it cannot be built",
        f"run `registry-tool lock {release_id}` and commit the lock",
        place(context.desired.releases[release_id], ("spec",), "the release"),
    )


def _health(
    context: Context,
    deployment: Located[Deployment],
    environment: Located[Environment],
    release_id: ReleaseId,
) -> Iterator[Finding]:
    check = deployment.manifest.spec.healthcheck
    if check is None or check.http is None:
        return
    pointer = ("spec", "healthcheck", "http")
    if check.port is None and not deployment.manifest.spec.ports:
        yield _finding(
            "RT312",
            deployment,
            pointer,
            "there is no port to ask",
            "set spec.healthcheck.port, or declare spec.ports",
        )
        return
    target = environment.manifest.spec.target.type
    spec = context.desired.releases[release_id].manifest.spec
    if target in ASKS_HTTP or spec.model not in context.desired.models:
        return
    template = context.desired.templates.get(spec.template.name)
    if template is None:
        return
    try:
        found = health(deployment.manifest.spec, context.keys.rendered(release_id))
    except TemplateProblem:
        return  # reported where templates are checked
    if not found.command:
        yield _finding(
            "RT312",
            deployment,
            pointer,
            f"a {target} target asks no HTTP itself, and the template has no probe to do it",
            "use healthcheck.command, or give the template a probe",
            place(environment, ("spec", "target", "type"), f"the target is {target}"),
            place(template.located, ("spec",), "the template"),
        )


def _ports(context: Context) -> Iterator[Finding]:
    """Two deployments of an environment want one host port: the one that is new to it is told."""
    wanted: dict[tuple[str, int, str], list[tuple[bool, DeploymentId, int]]] = {}
    for deployment_id, deployment in context.desired.deployments.items():
        for index, port in enumerate(deployment.manifest.spec.ports):
            if port.host is None:
                continue
            key = (deployment_id.environment, port.host, port.protocol)
            new = not _had(context, deployment_id, port.host, port.protocol)
            wanted.setdefault(key, []).append((new, deployment_id, index))
    for (environment, host, protocol), claims in wanted.items():
        first, *others = sorted(claims)
        for _, deployment_id, index in others:
            yield _finding(
                "RT308",
                context.desired.deployments[deployment_id],
                ("spec", "ports", index, "host"),
                f"host port {host}/{protocol} of {environment} is taken by {first[1].subject}",
                "choose another host port",
                place(
                    context.desired.deployments[first[1]],
                    ("spec", "ports", first[2], "host"),
                    "taken here",
                ),
            )


def _had(context: Context, deployment_id: DeploymentId, host: int, protocol: str) -> bool:
    before = context.base.deployments.get(deployment_id) if context.base is not None else None
    if before is None:
        return False
    return any(
        (port.host, port.protocol) == (host, protocol) for port in before.manifest.spec.ports
    )
