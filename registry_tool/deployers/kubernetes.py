"""Kubernetes: a deployer without an engine, which renders what Flux or Argo CD applies.

Every deployment is one file with its Deployment and, where it has ports, its Service. Deployments
whose manifests have errors keep the file that they had.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from registry_tool.deployers.interface import LABEL, ServiceSpec
from registry_tool.deployers.timing import Timing
from registry_tool.deployers.yaml_text import HEADER, dump
from registry_tool.domain.deployment import Port, Resources, Volume, WeightsMode
from registry_tool.domain.environment import Environment

GRANTED = "registry-tool-secrets"
"""The Secret that the operator makes in the namespace, with a key for each secret."""
_WEIGHTS = "weights"
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", re.ASCII)

Object = dict[str, Any]
"""An object of the Kubernetes API, or a part of one."""


def render_files(
    environment: Environment,
    services: Sequence[ServiceSpec],
    present: Mapping[str, bytes],
    keep: Collection[str],
) -> dict[str, bytes]:
    """The files of an environment's branch, one for each deployment; those of `keep` stay as they are `present`."""
    kept = {file_name(name) for name in keep}
    files = {name: data for name, data in present.items() if name in kept}
    return files | {file_name(entry.name): render(environment, entry) for entry in services}


def file_name(deployment: str) -> str:
    """The file of a deployment."""
    return f"{deployment}.yaml"


def render(environment: Environment, service: ServiceSpec) -> bytes:
    """The objects of one deployment."""
    objects = [_deployment(environment, service)]
    if service.deployment.spec.ports:
        objects.append(_service(environment, service))
    return (HEADER + "---\n".join(dump(entry) for entry in objects)).encode()


def _metadata(environment: Environment, service: ServiceSpec) -> Object:
    metadata: Object = {"name": service.name}
    namespace = environment.spec.target.namespace
    if namespace is not None:
        metadata["namespace"] = namespace
    metadata["labels"] = _labels(environment, service)
    metadata["annotations"] = _annotations(service)
    return metadata


def _selector(environment: Environment, service: ServiceSpec) -> dict[str, str]:
    # Immutable in a Deployment, so nothing that may ever change.
    return {
        "app.kubernetes.io/name": service.name,
        "app.kubernetes.io/part-of": environment.metadata.name,
    }


def _labels(environment: Environment, service: ServiceSpec) -> dict[str, str]:
    labels = {
        **_selector(environment, service),
        "app.kubernetes.io/managed-by": "registry-tool",
        f"{LABEL}.model": service.release.model,
        "app.kubernetes.io/version": service.release.version,
    }
    # Names of models and versions may be longer than a label's value; annotations have them whole.
    return {name: value for name, value in labels.items() if _LABEL_VALUE.fullmatch(value)}


def _annotations(service: ServiceSpec) -> dict[str, str]:
    return {
        f"{LABEL}.deployment": service.deployment.subject,
        f"{LABEL}.deployment-key": service.key,
        f"{LABEL}.release": service.release.subject,
    }


def _deployment(environment: Environment, service: ServiceSpec) -> Object:
    spec = service.deployment.spec
    rolling = spec.strategy.type == "rolling"
    timing = Timing.of(spec.healthcheck)
    strategy: Object = (
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        if rolling
        else {"type": "Recreate"}
    )
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(environment, service),
        "spec": {
            "replicas": spec.replicas,
            "progressDeadlineSeconds": max(600, 2 * math.ceil(timing.patience)),
            "selector": {"matchLabels": _selector(environment, service)},
            "strategy": strategy,
            "template": {
                "metadata": {
                    "labels": _labels(environment, service),
                    "annotations": _annotations(service),
                },
                "spec": _pod(service),
            },
        },
    }


def _pod(service: ServiceSpec) -> Object:
    container = _container(service)
    volumes, mounts = _volumes(service)
    pod: Object = {
        # A model server has nothing to say to the cluster.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
    }
    if mounts:
        container["volumeMounts"] = mounts
        pod["volumes"] = volumes
    return pod


def _literal(text: str) -> str:
    """Text that Kubernetes takes as it is: it reads ``$(NAME)`` as a variable and ``$$`` as a dollar sign."""
    return text.replace("$", "$$")


def _container(service: ServiceSpec) -> Object:
    spec = service.deployment.spec
    container: Object = {"name": service.name, "image": service.image}
    if spec.command is not None:
        container["args"] = [_literal(argument) for argument in spec.command]
    if spec.env:
        container["env"] = [
            {"name": name, "value": _literal(spec.env[name])} for name in sorted(spec.env)
        ]
    if spec.ports:
        container["ports"] = [
            {"containerPort": port.container, "protocol": port.protocol.upper()}
            for port in spec.ports
        ]
    resources = _resources(spec.resources)
    if resources:
        container["resources"] = resources
    return container | _probes(service)


def _resources(resources: Resources) -> Object:
    limits: dict[str, str] = {}
    if resources.cpus is not None:
        limits["cpu"] = f"{max(1, round(resources.cpus * 1000))}m"
    if resources.memory is not None:
        limits["memory"] = resources.memory
    if resources.gpus:
        limits["nvidia.com/gpu"] = str(resources.gpus)
    return {"limits": limits} if limits else {}


def _probes(service: ServiceSpec) -> Object:
    """Ready when it passes. Until it passed once it has its start period, and is started again after that."""
    health, timing = service.health, Timing.of(service.deployment.spec.healthcheck)
    if health.http is not None:
        asked: Object = {"httpGet": {"path": health.http, "port": health.port}}
    elif health.command:
        asked = {"exec": {"command": [_literal(argument) for argument in health.command]}}
    else:
        return {}
    interval = max(1, math.ceil(timing.interval))
    asked |= {"periodSeconds": interval, "timeoutSeconds": max(1, math.ceil(timing.timeout))}
    starting = timing.retries + math.ceil(timing.start_period / interval)
    return {
        "startupProbe": {**asked, "failureThreshold": starting},
        "readinessProbe": {**asked, "failureThreshold": timing.retries},
    }


def _volumes(service: ServiceSpec) -> tuple[list[Object], list[Object]]:
    """Volumes of the pod, and where the container mounts them."""
    spec = service.deployment.spec
    volumes: list[Object] = []
    mounts: list[Object] = []
    if spec.weights is WeightsMode.IMAGE:
        image = {"reference": service.weights_image, "pullPolicy": "IfNotPresent"}
        volumes.append({"name": _WEIGHTS, "image": image})
        mounts.append(
            {
                "name": _WEIGHTS,
                "mountPath": service.target,
                "subPath": service.target.strip("/"),
                "readOnly": True,
            }
        )
    sources = sorted({volume.source for volume in spec.volumes})
    for number, source in enumerate(sources, start=1):
        volumes.append({"name": f"volume-{number}", **_source(source)})
    for volume in spec.volumes:
        mounts.append(_mount(f"volume-{sources.index(volume.source) + 1}", volume))
    if spec.secrets:
        secret = {"secretName": GRANTED, "defaultMode": 0o444}
        volumes.append({"name": "secrets", "secret": secret})
        # One by one: a volume on /run/secrets itself would hide what others put there.
        for name in sorted(set(spec.secrets)):
            path = f"/run/secrets/{name}"
            mounts.append({"name": "secrets", "mountPath": path, "subPath": name, "readOnly": True})
    return volumes, mounts


def _source(source: str) -> Object:
    if source.startswith("/"):
        return {"hostPath": {"path": source}}
    # Names of claims are stricter than those of volumes elsewhere.
    claim = re.sub(r"[^a-z0-9.-]", "-", source.lower())
    return {"persistentVolumeClaim": {"claimName": claim}}


def _mount(name: str, volume: Volume) -> Object:
    mount: Object = {"name": name, "mountPath": volume.target}
    return mount | ({"readOnly": True} if volume.read_only else {})


def _service(environment: Environment, service: ServiceSpec) -> Object:
    ports = service.deployment.spec.ports
    outside = any(port.host is not None for port in ports)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(environment, service),
        "spec": {
            "type": "LoadBalancer" if outside else "ClusterIP",
            "selector": _selector(environment, service),
            "ports": [_service_port(port) for port in ports],
        },
    }


def _service_port(port: Port) -> Object:
    number = port.host if port.host is not None else port.container
    return {
        "name": f"{port.protocol}-{number}",
        "port": number,
        "targetPort": port.container,
        "protocol": port.protocol.upper(),
    }
