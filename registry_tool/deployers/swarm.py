"""Docker Swarm: services on many machines. The Swarm itself replaces their tasks, and goes back by itself."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from registry_tool.deployers.engine import Document
from registry_tool.deployers.engine_hosts import Address
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
from registry_tool.deployers.swarm_engine import SwarmEngine
from registry_tool.deployers.swarm_services import (
    STACK,
    SwarmSetting,
    overlay_name,
    service_name,
    service_spec,
    spec_differences,
)
from registry_tool.deployers.swarm_updates import SwarmUpdate, running_tasks
from registry_tool.domain.records import DeploymentResult
from registry_tool.errors import EngineProblem
from registry_tool.failpoints import reach


def connect_manager(addresses: Sequence[Address]) -> SwarmEngine:
    """The first of several addresses at which a manager of a Swarm answers; raises EngineProblem."""
    reasons: list[str] = []
    passing = False
    for address in addresses:
        try:
            engine = SwarmEngine(address)
        except EngineProblem as problem:
            reasons.append(problem.message)
            passing |= problem.transient
            continue
        swarm = engine.info().get("Swarm") or {}
        if swarm.get("ControlAvailable"):
            return engine
        engine.close()
        state = swarm.get("LocalNodeState", "inactive")
        passing |= state == "pending"
        reasons.append(
            f"the engine at {address.url} is no manager of a Swarm, but {state}"
            if state != "active"
            else f"the engine at {address.url} is a worker of its Swarm, not a manager"
        )
    raise EngineProblem(
        "; ".join(reasons) or "no manager is known",
        help="name a manager, or begin a Swarm with: docker swarm init",
        code="RT611",
        transient=passing,
    )


@dataclass(frozen=True)
class SwarmDeployer:
    """See `EngineDeployer`. `connect` takes the name that a manifest gives a host, and finds a manager."""

    connect: Callable[[str | None], SwarmEngine]
    images: EngineImages
    secrets: Secrets
    clock: Callable[[], float] = field(default=time.monotonic)

    def deploy(self, place: Place, service: ServiceSpec, watch: Watch) -> Deployed:
        watch.check()
        values = self.secrets.values(place.environment, service.deployment.spec.secrets)
        with self.connect(place.target.host) as engine:
            reach("deploy-started")
            image = self._image(engine, service, watch)
            watch.check()
            _require_overlay(engine, place)
            secrets = _provide_secrets(engine, place, service, values, watch)
            setting = SwarmSetting(image, overlay_name(place), secrets)
            wanted = service_spec(place, service, setting)
            ended = SwarmUpdate(engine, service, wanted, watch, self.clock).run()
            if ended.result is not DeploymentResult.FAILED:
                _forget_secrets(engine, place, service.name, watch)
        return Deployed(ended.result, ended.health, without(ended.error, values))

    def _image(self, engine: SwarmEngine, service: ServiceSpec, watch: Watch) -> str:
        """A Swarm of one machine can be given an image; the machines of others pull it."""
        if self.images.are_pulled or len(engine.nodes()) > 1:
            return service.image
        return self.images.provide(engine, service.image, service.release.model, watch.progress)

    def remove(self, place: Place, name: str, watch: Watch) -> None:
        watch.check()
        with self.connect(place.target.host) as engine:
            for found in engine.services([deployment_label(place, name)]):
                watch.check()
                engine.remove_service(found["ID"])
            for secret in engine.secrets([deployment_label(place, name)]):
                watch.check()
                engine.remove_secret(secret["ID"])

    def drift(
        self, place: Place, services: Sequence[ServiceSpec], known: Collection[str]
    ) -> dict[str, list[str]]:
        with self.connect(place.target.host) as engine:
            label = f"{LABEL}.environment={place.environment}"
            found = {entry["Spec"]["Name"]: entry for entry in engine.services([label])}
            lines = {
                service.name: self._drift_of(engine, place, service, found) for service in services
            }
        others = {
            entry["Spec"]["Labels"][f"{LABEL}.deployment"].rpartition("/")[2]
            for entry in found.values()
        }
        for name in others - lines.keys() - set(known):
            lines[name] = ["it runs, and no record says so"]
        return {name: told for name, told in lines.items() if told}

    def _drift_of(
        self, engine: SwarmEngine, place: Place, service: ServiceSpec, found: Mapping[str, Document]
    ) -> list[str]:
        name = service_name(place, service.name)
        entry = found.get(name)
        if entry is None:
            return [f"the service {name} is not there"]
        pulled = self.images.are_pulled or len(engine.nodes()) > 1
        image = service.image if pulled else self.images.name_on_engine(service.image)
        # Values of secrets are none of an observer's business: those that are there count.
        secrets = _secrets_of(entry, service)
        wanted = service_spec(place, service, SwarmSetting(image, overlay_name(place), secrets))
        lines = [f"{name} has {what}" for what in spec_differences(wanted, entry["Spec"])]
        runs = len(running_tasks(engine.tasks(entry["ID"]), service.key))
        replicas = service.deployment.spec.replicas
        if not lines and runs < replicas:
            lines.append(f"{name} runs {runs} of {replicas} tasks")
        return lines


def _require_overlay(engine: SwarmEngine, place: Place) -> None:
    name = overlay_name(place)
    found = engine.network(name)
    if found is not None and found.get("Scope") == "swarm":
        return
    if found is not None or place.target.network is not None:
        raise EngineProblem(
            f"the Swarm of {place.environment} has no network {name}",
            help=f"docker network create --driver overlay {name}, or remove target.network from the environment",
            code="RT611",
        )
    labels = {f"{LABEL}.environment": place.environment, STACK: place.environment}
    engine.create_network(name, driver="overlay", labels=labels, attachable=True)


def _provide_secrets(
    engine: SwarmEngine,
    place: Place,
    service: ServiceSpec,
    values: Mapping[str, bytes],
    watch: Watch,
) -> dict[str, tuple[str, str]]:
    """Secrets cannot be changed in a Swarm, so their names tell their content apart."""
    label = deployment_label(place, service.name)
    known = {entry["Spec"]["Name"]: entry["ID"] for entry in engine.secrets([label])}
    found: dict[str, tuple[str, str]] = {}
    for name, value in values.items():
        salt = f"{service.deployment.subject}/{name}\0".encode()
        content = hashlib.sha256(salt + value).hexdigest()
        swarm_name = f"registry-tool-{content[:32]}"
        if swarm_name not in known:
            watch.check()
            labels = {
                f"{LABEL}.deployment": service.deployment.subject,
                f"{LABEL}.environment": place.environment,
                f"{LABEL}.secret": name,
                STACK: place.environment,
            }
            known[swarm_name] = engine.create_secret(swarm_name, value, labels)
        found[name] = (known[swarm_name], swarm_name)
    return found


def _forget_secrets(engine: SwarmEngine, place: Place, name: str, watch: Watch) -> None:
    """Remove the deployment's secrets that neither what runs nor what ran before it uses."""
    label = deployment_label(place, name)
    used: set[str] = set()
    for service in engine.services([label]):
        for spec in (service["Spec"], service.get("PreviousSpec") or {}):
            container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
            used |= {secret["SecretID"] for secret in container.get("Secrets") or ()}
    for secret in engine.secrets([label]):
        if secret["ID"] not in used:
            watch.check()
            engine.remove_secret(secret["ID"])


def _secrets_of(entry: Document, service: ServiceSpec) -> dict[str, tuple[str, str]]:
    container = entry["Spec"]["TaskTemplate"]["ContainerSpec"]
    there = {
        secret["File"]["Name"]: (secret["SecretID"], secret["SecretName"])
        for secret in container.get("Secrets") or ()
    }
    return {name: there.get(name, ("", "")) for name in service.deployment.spec.secrets}
