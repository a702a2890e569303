"""Compose: a deployer without an engine, which renders what others run.

Every environment is one Compose project in one file. Deployments whose manifests have errors keep
the section that they had, so that an error in one of them never removes it from the file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

import yaml

from registry_tool.deployers.interface import ServiceSpec, secret_variable
from registry_tool.deployers.yaml_text import HEADER, dump
from registry_tool.domain.deployment import Healthcheck, Port, Resources, Volume
from registry_tool.domain.environment import Environment
from registry_tool.domain.quantities import memory_bytes

FILE_NAME = "compose.yaml"

Section = dict[str, Any]
"""A mapping of the Compose file, in the file's own words."""


def render_files(
    environment: Environment,
    services: Sequence[ServiceSpec],
    present: Mapping[str, bytes],
    keep: Collection[str],
) -> dict[str, bytes]:
    """The files of an environment's branch, given those that are `present`."""
    return render(environment, services, present.get(FILE_NAME), keep)


def render(
    environment: Environment,
    services: Sequence[ServiceSpec],
    previous: bytes | None = None,
    keep: Collection[str] = (),
) -> dict[str, bytes]:
    """The files of an environment's branch.

    `keep` names deployments whose section is taken over from `previous`, the file that is there.
    """
    sections = _kept_sections(previous, keep)
    sections |= {service.name: _service(service) for service in services}
    document: Section = {"name": environment.metadata.name}
    document["services"] = {name: sections[name] for name in sorted(sections)}
    network = environment.spec.target.network
    if network is not None:
        document["networks"] = {"default": {"name": network, "external": True}}
    document |= _volumes(sections)
    document |= _secrets(environment.metadata.name, sections)
    return {FILE_NAME: (HEADER + dump(document)).encode()}


def _kept_sections(previous: bytes | None, keep: Collection[str]) -> dict[str, Section]:
    if previous is None or not keep:
        return {}
    try:
        document = yaml.safe_load(previous)
    except yaml.YAMLError:
        # Only this module writes the file; one that somebody broke has nothing to keep.
        return {}
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        return {}
    return {
        name: section for name, section in services.items() if name in keep and _is_ours(section)
    }


def _is_ours(section: Any) -> bool:
    """Whether a section has the shape that this module writes, as far as it looks into it."""
    return isinstance(section, dict) and all(
        isinstance(section.get(field, []), list)
        and all(
            isinstance(entry, dict) and isinstance(entry.get("source"), str)
            for entry in section.get(field, [])
        )
        for field in ("volumes", "secrets")
    )


def _literal(text: str) -> str:
    """Text that Compose takes as it is: it would replace variables after a dollar sign."""
    return text.replace("$", "$$")


def _service(service: ServiceSpec) -> Section:
    spec = service.deployment.spec
    section: Section = {"image": service.image}
    if spec.command is not None:
        section["command"] = [_literal(argument) for argument in spec.command]
    if spec.env:
        section["environment"] = {key: _literal(spec.env[key]) for key in sorted(spec.env)}
    if spec.secrets:
        section["secrets"] = [
            {"source": name, "target": f"/run/secrets/{name}"} for name in sorted(set(spec.secrets))
        ]
    section |= _ports(spec.ports)
    if spec.volumes:
        section["volumes"] = [_mount(volume) for volume in spec.volumes]
    section["restart"] = "unless-stopped"
    section["deploy"] = _deploy(service)
    section |= _healthcheck(service, spec.healthcheck)
    section["labels"] = {
        "io.registry-tool.deployment": service.deployment.subject,
        "io.registry-tool.deployment-key": service.key,
        "io.registry-tool.release": service.release.subject,
    }
    return section


def _ports(ports: Sequence[Port]) -> Section:
    published = [
        {"target": port.container, "published": str(port.host), "protocol": port.protocol}
        for port in ports
        if port.host is not None
    ]
    inside = [f"{port.container}/{port.protocol}" for port in ports if port.host is None]
    return ({"ports": published} if published else {}) | ({"expose": inside} if inside else {})


def _mount(volume: Volume) -> Section:
    on_host = volume.source.startswith("/")
    section: Section = {
        "type": "bind" if on_host else "volume",
        "source": _literal(volume.source),
        "target": _literal(volume.target),
        "read_only": volume.read_only,
    }
    if on_host:
        section["bind"] = {"create_host_path": False}
    return section


def _deploy(service: ServiceSpec) -> Section:
    spec = service.deployment.spec
    rolling = spec.strategy.type == "rolling" and not any(
        port.host is not None for port in spec.ports
    )
    order = "start-first" if rolling else "stop-first"
    section: Section = {"replicas": spec.replicas}
    section |= _resources(spec.resources)
    section["update_config"] = {
        "order": order,
        "failure_action": "rollback" if spec.strategy.auto_rollback else "pause",
    }
    section["rollback_config"] = {"order": order}
    return section


def _resources(resources: Resources) -> Section:
    limits: Section = {}
    if resources.cpus is not None:
        limits["cpus"] = f"{resources.cpus:.6f}".rstrip("0").rstrip(".")
    if resources.memory is not None:
        limits["memory"] = f"{memory_bytes(resources.memory)}b"
    found: Section = {"limits": limits} if limits else {}
    if resources.gpus:
        device = {"capabilities": ["gpu"], "count": resources.gpus}
        found["reservations"] = {"devices": [device]}
    return {"resources": found} if found else {}


def _healthcheck(service: ServiceSpec, check: Healthcheck | None) -> Section:
    if not service.health.command:
        return {}
    section: Section = {"test": ["CMD", *map(_literal, service.health.command)]}
    if check is not None:
        timings = {
            "interval": check.interval,
            "timeout": check.timeout,
            "start_period": check.start_period,
        }
        section |= {name: _seconds(value) for name, value in timings.items() if value is not None}
        if check.retries is not None:
            section["retries"] = check.retries
    return {"healthcheck": section}


def _seconds(duration: timedelta) -> str:
    # Compose has no days.
    return f"{int(duration.total_seconds())}s"


def _volumes(sections: Mapping[str, Section]) -> Section:
    names = {
        volume["source"]
        for section in sections.values()
        for volume in section.get("volumes", ())
        if volume.get("type") == "volume"
    }
    return {"volumes": {name: {} for name in sorted(names)}} if names else {}


def _secrets(environment: str, sections: Mapping[str, Section]) -> Section:
    names = {
        secret["source"] for section in sections.values() for secret in section.get("secrets", ())
    }
    if not names:
        return {}
    return {
        "secrets": {
            name: {"environment": secret_variable(environment, name)} for name in sorted(names)
        }
    }
