"""Deployments with everything resolved: what a deployer is given, and what its key is made from."""

from __future__ import annotations

from typing import Any

from registry_tool.builders.templates import RenderedTemplate
from registry_tool.deployers.interface import Health
from registry_tool.domain.deployment import DeploymentSpec, Healthcheck, WeightsMode

_FOLLOWS = {"environment", "model", "version", "quantization", "track", "suspend", "healthcheck"}


def health(spec: DeploymentSpec, rendered: RenderedTemplate) -> Health:
    """The health check in force: the deployment's, else the template's probe.

    It asks the first port of the deployment, and the template's own where that declares none. Raises TemplateProblem.
    """
    check = spec.healthcheck
    if check is not None and check.command is not None:
        return Health(command=check.command)
    port = check.port if check is not None else None
    if port is None and spec.ports:
        port = spec.ports[0].container
    http = check.http if check is not None else None
    if port is None and http is not None:
        return Health()  # an error of the deployment, which is reported where those are checked
    command = rendered.probe(port, http)
    return Health(command=command, http=http, port=port) if command or http else Health()


def effective_spec(spec: DeploymentSpec, check: Health, target: str) -> dict[str, Any]:
    """What decides how a build runs, as JSON.

    The release is left out: the build key stands for it. So are `track` and `suspend`, which decide
    whether something is deployed and not how it runs.
    """
    # Without defaults: a field that deployments gain one day must not change today's keys.
    found = spec.model_dump(mode="json", exclude=_FOLLOWS, exclude_defaults=True)
    if spec.weights is not WeightsMode.BAKED:
        found["weights_target"] = target
    if check != Health():
        found["health"] = _health(spec.healthcheck or Healthcheck(), check)
    return found


def _health(timings: Healthcheck, check: Health) -> dict[str, Any]:
    found = timings.model_dump(
        mode="json", exclude={"http", "command", "port"}, exclude_defaults=True
    )
    return {**found, "command": list(check.command), "http": check.http, "port": check.port}
