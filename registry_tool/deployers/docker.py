"""Docker: containers on one engine, whose images, network, secrets and weights are brought there first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from registry_tool.deployers.container_swaps import ContainerSwap
from registry_tool.deployers.containers import (
    Setting,
    container_config,
    container_name,
    deviations,
    name_of,
    network_name,
)
from registry_tool.deployers.engine import Document, Engine
from registry_tool.deployers.engine_images import EngineImages
from registry_tool.deployers.interface import (
    LABEL,
    Deployed,
    Place,
    ServiceSpec,
    Watch,
    deployment_label,
)
from registry_tool.deployers.secrets import Secrets, without
from registry_tool.deployers.weights_volumes import WeightsVolumes
from registry_tool.domain.deployment import WeightsMode
from registry_tool.errors import EngineProblem
from registry_tool.failpoints import reach


@dataclass(frozen=True)
class DockerDeployer:
    """See `EngineDeployer`. `connect` takes the name that a manifest gives a host."""

    connect: Callable[[str | None], Engine]
    images: EngineImages
    secrets: Secrets

    def deploy(self, place: Place, service: ServiceSpec, watch: Watch) -> Deployed:
        watch.check()
        values = self.secrets.values(place.environment, service.deployment.spec.secrets)
        with self.connect(place.target.host) as engine:
            reach("deploy-started")
            repository = service.release.model
            image = self.images.provide(engine, service.image, repository, watch.progress)
            watch.check()
            _require_network(engine, place)
            volume = None
            if service.deployment.spec.weights is WeightsMode.MOUNTED:
                volume = WeightsVolumes(engine, self.images, watch).provide(service, image)
            setting = Setting(image, network_name(place), volume)
            ended = ContainerSwap(engine, place, service, setting, values, watch).run()
        return Deployed(ended.result, ended.health, without(ended.error, values))

    def remove(self, place: Place, name: str, watch: Watch) -> None:
        watch.check()
        with self.connect(place.target.host) as engine:
            for found in engine.containers([deployment_label(place, name)]):
                watch.check()
                engine.stop(found["Id"])
                engine.remove(found["Id"])

    def drift(
        self, place: Place, services: Sequence[ServiceSpec], known: Collection[str]
    ) -> dict[str, list[str]]:
        with self.connect(place.target.host) as engine:
            found: dict[str, dict[str, Document]] = {}
            for container in engine.containers([f"{LABEL}.environment={place.environment}"]):
                subject = container["Config"]["Labels"].get(f"{LABEL}.deployment", "")
                found.setdefault(subject.rpartition("/")[2], {})[name_of(container)] = container
            lines = {
                service.name: self._drift_of(engine, place, service, found.get(service.name, {}))
                for service in services
            }
        others = found.keys() - lines.keys() - set(known)
        lines |= {name: ["it runs, and no record says so"] for name in others}
        return {name: told for name, told in lines.items() if told}

    def _drift_of(
        self, engine: Engine, place: Place, service: ServiceSpec, found: dict[str, Document]
    ) -> list[str]:
        image = self.images.name_on_engine(service.image)
        volume = None
        if service.deployment.spec.weights is WeightsMode.MOUNTED:
            volume = WeightsVolumes.name_for(engine, self.images, service)
        setting = Setting(image, network_name(place), volume)
        wanted = container_config(service, setting, published=True)
        inspected = engine.image(image)
        replicas = range(1, service.deployment.spec.replicas + 1)
        names = [container_name(place, service.name, number) for number in replicas]
        lines = [
            f"{name} {what}"
            for name in names
            for what in deviations(wanted, found.get(name), inspected)
        ]
        return lines + [f"{name} should not be there" for name in sorted(found.keys() - set(names))]


def _require_network(engine: Engine, place: Place) -> None:
    name = network_name(place)
    if engine.network(name) is not None:
        return
    if place.target.network is not None:
        raise EngineProblem(
            f"the engine of {place.environment} has no network {name}",
            help=f"docker network create {name}, or remove target.network from the environment",
            code="RT611",
        )
    label = {f"{LABEL}.environment": place.environment}
    engine.create_network(name, driver="bridge", labels=label)
