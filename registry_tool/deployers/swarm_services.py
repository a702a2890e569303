"""Services of a Swarm, in the words of the Engine API: what is asked for, and whether it is what is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry_tool.deployers.containers import (
    healthcheck,
    mounts,
    nanoseconds,
    variable_differences,
)
from registry_tool.deployers.engine import Document
from registry_tool.deployers.interface import KEY, Place, ServiceSpec, service_labels
from registry_tool.domain.quantities import memory_bytes

STACK = "com.docker.stack.namespace"
"""The label by which `docker stack` groups services."""
_RESTART_DELAY = 5.0
_MONITOR = 5.0
"""Seconds that a task is watched for once it runs, which it only does when its health check passed."""


@dataclass(frozen=True, slots=True)
class SwarmSetting:
    """What a service needs beside its spec: the image as nodes get it, the network, ids of secrets by name."""

    image: str
    network: str
    secrets: Mapping[str, tuple[str, str]]
    """Name in the manifest → id and name in the Swarm."""


def service_name(place: Place, name: str) -> str:
    """The name of a deployment's service."""
    return f"{place.environment}-{name}"


def overlay_name(place: Place) -> str:
    """The network that an environment's services join."""
    return place.target.network or f"registry-tool-{place.environment}-swarm"


def service_spec(place: Place, service: ServiceSpec, setting: SwarmSetting) -> Document:
    """The whole ServiceSpec."""
    spec = service.deployment.spec
    labels = {**service_labels(service), STACK: place.environment}
    rolling = spec.strategy.type == "rolling"
    order = "start-first" if rolling else "stop-first"
    parallel = 1 if rolling else 0
    pace = {"Parallelism": parallel, "Order": order, "Monitor": nanoseconds(_MONITOR)}
    return {
        "Name": service_name(place, service.name),
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": _container_spec(service, setting, labels),
            "Resources": _resources(service),
            "RestartPolicy": {"Condition": "any", "Delay": nanoseconds(_RESTART_DELAY)},
            "Placement": {"Constraints": _constraints(place)},
            "Networks": [{"Target": setting.network, "Aliases": [service.name]}],
        },
        "Mode": {"Replicated": {"Replicas": spec.replicas}},
        "UpdateConfig": {
            **pace,
            "FailureAction": "rollback" if spec.strategy.auto_rollback else "pause",
            "MaxFailureRatio": 0,
        },
        "RollbackConfig": {**pace, "FailureAction": "pause", "MaxFailureRatio": 0},
        "EndpointSpec": {
            "Mode": "vip",
            "Ports": [
                {
                    "Protocol": port.protocol,
                    "TargetPort": port.container,
                    "PublishedPort": port.host,
                    "PublishMode": "ingress",
                }
                for port in spec.ports
                if port.host is not None
            ],
        },
    }


def _container_spec(
    service: ServiceSpec, setting: SwarmSetting, labels: Mapping[str, str]
) -> Document:
    spec = service.deployment.spec
    found: Document = {
        "Image": setting.image,
        "Labels": dict(labels),
        "Env": [f"{name}={spec.env[name]}" for name in sorted(spec.env)],
        "Mounts": mounts(service),
        "Secrets": [
            {
                "SecretID": identity,
                "SecretName": swarm_name,
                "File": {"Name": name, "UID": "0", "GID": "0", "Mode": 0o444},
            }
            for name, (identity, swarm_name) in sorted(setting.secrets.items())
        ],
    }
    if spec.command is not None:
        found["Args"] = list(spec.command)
    if service.health.command:
        found["Healthcheck"] = healthcheck(service.health.command, spec.healthcheck)
    return found


def _resources(service: ServiceSpec) -> Document:
    resources = service.deployment.spec.resources
    limits: Document = {}
    if resources.cpus is not None:
        limits["NanoCPUs"] = nanoseconds(resources.cpus)
    if resources.memory is not None:
        limits["MemoryBytes"] = memory_bytes(resources.memory)
    found: Document = {"Limits": limits} if limits else {}
    if resources.gpus:
        gpus = {"DiscreteResourceSpec": {"Kind": "gpu", "Value": resources.gpus}}
        found["Reservations"] = {"GenericResources": [gpus]}
    return found


def _constraints(place: Place) -> list[str]:
    """With a namespace, only machines that the operator gave it run its services."""
    namespace = place.target.namespace
    return [] if namespace is None else [f"node.labels.namespace == {namespace}"]


def spec_differences(wanted: Document, found: Document) -> list[str]:
    """In what the spec of a service is not what is wanted, in a few words each.

    The engine adds defaults to what it is given, so only what is wanted is looked at.
    """
    ours, theirs = _parts(wanted), _parts(found)
    lines = [f"another {what}" for what, value in ours.items() if value != theirs[what]]
    replicas = (_replicas(wanted), _replicas(found))
    if replicas[0] != replicas[1]:
        lines.append(f"{replicas[1]} replicas instead of {replicas[0]}")
    environments = [
        document["TaskTemplate"]["ContainerSpec"].get("Env") for document in (wanted, found)
    ]
    if changed := variable_differences(*environments):
        lines.append(f"another env, {changed}")
    return lines


def _parts(spec: Document) -> dict[str, object]:
    container = spec["TaskTemplate"]["ContainerSpec"]
    resources = spec["TaskTemplate"].get("Resources") or {}
    ports = (spec.get("EndpointSpec") or {}).get("Ports") or ()
    labels = spec.get("Labels") or {}
    return {
        "deployment key": labels.get(KEY),
        "image": container["Image"],
        "command": container.get("Args") or [],
        "ports": sorted((port["TargetPort"], port.get("PublishedPort") or 0) for port in ports),
        "limits": {name: value for name, value in (resources.get("Limits") or {}).items() if value},
        "mounts": sorted(
            (mount["Source"], mount["Target"]) for mount in container.get("Mounts") or ()
        ),
        "secrets": sorted(
            (secret["SecretID"], secret["File"]["Name"])
            for secret in container.get("Secrets") or ()
        ),
        "placement": (spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or [],
    }


def _replicas(spec: Document) -> int | None:
    replicated = spec["Mode"].get("Replicated")
    return None if replicated is None else replicated.get("Replicas", 0)
