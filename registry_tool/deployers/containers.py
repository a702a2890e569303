"""Containers of a deployment, in the words of the Engine API: what is asked for, and whether it is what is there."""

from __future__ import annotations

from dataclasses import dataclass

from registry_tool.deployers.engine import Document
from registry_tool.deployers.interface import Place, ServiceSpec, service_labels
from registry_tool.deployers.timing import Timing
from registry_tool.domain.deployment import Healthcheck, Volume
from registry_tool.domain.quantities import memory_bytes


@dataclass(frozen=True, slots=True)
class Setting:
    """What a container needs beside its service: the image as the engine has it, the network, the weights' volume."""

    image: str
    network: str
    weights_volume: str | None = None


def container_name(place: Place, name: str, number: int) -> str:
    """The name of the n-th container of a deployment, from 1."""
    return f"{place.environment}-{name}-{number}"


def network_name(place: Place) -> str:
    """The network that an environment's containers join."""
    return place.target.network or f"registry-tool-{place.environment}"


def container_config(service: ServiceSpec, setting: Setting, *, published: bool) -> Document:
    """A container; one that is not `published` has no host port and cannot be found by its name."""
    spec = service.deployment.spec
    config: Document = {
        "Image": setting.image,
        "Env": [f"{name}={spec.env[name]}" for name in sorted(spec.env)],
        "Labels": service_labels(service),
        "ExposedPorts": {f"{port.container}/{port.protocol}": {} for port in spec.ports},
        "HostConfig": _host_config(service, setting, published=published),
        "NetworkingConfig": {
            "EndpointsConfig": {setting.network: {"Aliases": [service.name] if published else []}}
        },
    }
    if spec.command is not None:
        config["Cmd"] = list(spec.command)
    if service.health.command:
        config["Healthcheck"] = healthcheck(service.health.command, spec.healthcheck)
    return config


def _host_config(service: ServiceSpec, setting: Setting, *, published: bool) -> Document:
    spec = service.deployment.spec
    found: Document = {
        "NetworkMode": setting.network,
        # One that ends while it is being checked must not look as if it ran.
        "RestartPolicy": {"Name": "no"},
        "PortBindings": {
            f"{port.container}/{port.protocol}": [{"HostPort": str(port.host)}]
            for port in spec.ports
            if published and port.host is not None
        },
        "Mounts": mounts(service, setting.weights_volume),
    }
    resources = spec.resources
    if resources.cpus is not None:
        found["NanoCpus"] = nanoseconds(resources.cpus)
    if resources.memory is not None:
        found["Memory"] = memory_bytes(resources.memory)
    if resources.gpus:
        found["DeviceRequests"] = [{"Count": resources.gpus, "Capabilities": [["gpu"]]}]
    return found


def mounts(service: ServiceSpec, weights_volume: str | None = None) -> list[Document]:
    """Volumes, host paths and the weights."""
    found = [_mount(volume) for volume in service.deployment.spec.volumes]
    if weights_volume is not None:
        found.append(
            {
                "Type": "volume",
                "Source": weights_volume,
                "Target": service.target,
                "ReadOnly": True,
                # Nothing that the image has at this place may end up among the weights.
                "VolumeOptions": {"NoCopy": True},
            }
        )
    return found


def _mount(volume: Volume) -> Document:
    return {
        "Type": "bind" if volume.source.startswith("/") else "volume",
        "Source": volume.source,
        "Target": volume.target,
        "ReadOnly": volume.read_only,
    }


def healthcheck(command: tuple[str, ...], check: Healthcheck | None) -> Document:
    """The engine's own checks, which go on for as long as the container runs."""
    timing = Timing.of(check)
    return {
        "Test": ["CMD", *command],
        "Interval": nanoseconds(timing.interval),
        "Timeout": nanoseconds(timing.timeout),
        "Retries": timing.retries,
        "StartPeriod": nanoseconds(timing.start_period),
    }


def nanoseconds(amount: float) -> int:
    """Seconds, or processors, as the engine counts them."""
    return round(amount * 1e9)


def name_of(container: Document) -> str:
    """The name of an inspected container."""
    return str(container["Name"]).removeprefix("/")


def deviations(wanted: Document, container: Document | None, image: Document | None) -> list[str]:
    """In what an inspected container is not what is wanted, or does not run, in a few words each.

    `image` is the image that is wanted, as inspected; a container's settings build on those of its image.
    """
    if container is None:
        return ["is not there"]
    state = container["State"]
    if not state["Running"]:
        return [f"does not run: {state['Status']}, exit code {state['ExitCode']}"]
    unwell = (state.get("Health") or {}).get("Status") == "unhealthy"
    return (["is unhealthy"] if unwell else []) + [
        f"has {what}" for what in _differences(wanted, container, image)
    ]


def _differences(wanted: Document, found: Document, image: Document | None) -> list[str]:
    actual = found["Config"]
    lines = []
    labels = actual.get("Labels") or {}
    if any(labels.get(name) != value for name, value in wanted["Labels"].items()):
        lines.append("another deployment key")
    if image is not None and found["Image"] != image["Id"]:
        lines.append(f"another image, {actual['Image']}")
    base = (image or {}).get("Config") or {}
    expected = [*(base.get("Env") or ()), *wanted["Env"]]
    if image is not None and (changed := variable_differences(expected, actual.get("Env"))):
        lines.append(f"another env, {changed}")
    command = wanted.get("Cmd", base.get("Cmd"))
    if image is not None and (actual.get("Cmd") or None) != (command or None):
        lines.append("another command")
    return lines + _host_differences(wanted["HostConfig"], found["HostConfig"])


def _host_differences(wanted: Document, actual: Document) -> list[str]:
    lines = []
    ports = {
        port: [binding["HostPort"] for binding in bindings]
        for port, bindings in wanted["PortBindings"].items()
    }
    published = {
        port: [binding["HostPort"] for binding in bindings or ()]
        for port, bindings in (actual.get("PortBindings") or {}).items()
    }
    if ports != published:
        lines.append("other ports")
    limits = {"NanoCpus": "cpus", "Memory": "memory"}
    lines += [
        f"other {word}" for name, word in limits.items() if wanted.get(name, 0) != actual.get(name)
    ]
    places = {(mount["Source"], mount["Target"]) for mount in wanted["Mounts"]}
    if places != {(mount["Source"], mount["Target"]) for mount in actual.get("Mounts") or ()}:
        lines.append("other mounts")
    return lines


def variable_differences(expected: list[str] | None, actual: list[str] | None) -> str:
    """The names of environment variables that differ; their values may be somebody's secrets."""
    ours, theirs = _variables(expected), _variables(actual)
    names = {name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name)}
    return ", ".join(sorted(names))


def _variables(entries: list[str] | None) -> dict[str, str]:
    pairs = (entry.partition("=") for entry in entries or ())
    return {name: value for name, _, value in pairs}
