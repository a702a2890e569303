"""New containers in place of old ones: checked first, swapped, and swapped back when they do not serve.

The names tell what is what, so that whoever comes after a crash knows how far it got:

    staging-search-1        serves
    staging-search-1.check  is being checked: no host port, and nobody knows its name
    staging-search-1.old    served before, and will again if the new one does not
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Literal

from registry_tool.deployers.containers import (
    Setting,
    container_config,
    container_name,
    deviations,
    name_of,
)
from registry_tool.deployers.engine import Document, Engine, Refused
from registry_tool.deployers.interface import (
    KEY,
    Deployed,
    Place,
    ServiceSpec,
    Watch,
    deployment_label,
)
from registry_tool.deployers.probing import Prober, Verdict
from registry_tool.deployers.timing import Timing
from registry_tool.domain.records import DeploymentResult
from registry_tool.failpoints import reach
from registry_tool.oci.tar import Member, layer_chunks

LOG_LINES = 50
CHECK = ".check"
OLD = ".old"
SECRETS = "run/secrets"


class NotServing(Exception):
    """A new container does not serve; `log` is the end of what it wrote."""

    def __init__(self, why: str, log: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.log = log

    @property
    def text(self) -> str:
        """For a record: the log, and the reason in the last line."""
        return "\n".join(part for part in (self.log.strip(), self.why) if part)


class ContainerSwap:
    """One deployment of a service on one engine. `secrets` are values by name."""

    def __init__(
        self,
        engine: Engine,
        place: Place,
        service: ServiceSpec,
        setting: Setting,
        secrets: dict[str, bytes],
        watch: Watch,
    ) -> None:
        self._engine = engine
        self._place = place
        self._service = service
        self._setting = setting
        self._secrets = secrets
        self._watch = watch
        self._spec = service.deployment.spec
        self._timing = Timing.of(self._spec.healthcheck)
        self._prober = Prober(engine, setting.network, watch)
        self._image = engine.image(setting.image)
        self._published = container_config(service, setting, published=True)
        self._names = [
            container_name(place, service.name, number)
            for number in range(1, self._spec.replicas + 1)
        ]
        self._made: list[str] = []

    def run(self) -> Deployed:
        """Have the service run, and nothing else of the deployment."""
        self._finish_what_was_begun()
        before = self._containers().values()
        had_other = any(found["Config"]["Labels"].get(KEY) != self._service.key for found in before)
        try:
            health = self._replace_all()
            for name in sorted(self._containers().keys() - set(self._names)):
                self._retire(name)
        except NotServing as problem:
            return self._go_back(problem, had_other=had_other)
        except Refused as refused:
            return self._go_back(NotServing(refused.message), had_other=had_other)
        return Deployed(DeploymentResult.SUCCEEDED, health)

    # --- what is there ---------------------------------------------------------------------------

    def _containers(self) -> dict[str, Document]:
        label = deployment_label(self._place, self._service.name)
        return {name_of(found): found for found in self._engine.containers([label])}

    def _finish_what_was_begun(self) -> None:
        """Drop checks that somebody left, and end or undo a swap."""
        found = self._containers()
        for name in [name for name in found if name.endswith(CHECK)]:
            self._effect(self._engine.remove, name)
        if not any(name.endswith(OLD) for name in found):
            return
        if not all(self._fits(found.get(name)) and self._wait(name).passed for name in self._names):
            self._restore()

    def _fits(self, container: Document | None) -> bool:
        return not deviations(self._published, container, self._image)

    # --- forwards --------------------------------------------------------------------------------

    def _replace_all(self) -> Literal["healthy", "unknown"]:
        found = self._containers()
        kept = {
            name: verdict
            for name in self._names
            if self._fits(found.get(name)) and (verdict := self._wait(name)).passed
        }
        replaced = [name for name in self._names if name not in kept]
        if self._spec.strategy.type == "recreate":
            for name in replaced:
                if name in found:
                    self._put_aside(name)
                    self._effect(self._engine.stop, name + OLD)
        verdicts = [self._replace(name, name in found) for name in replaced]
        healths = {verdict.health for verdict in (*kept.values(), *verdicts)}
        return "healthy" if healths == {"healthy"} else "unknown"

    def _replace(self, name: str, has_old: bool) -> Verdict:
        if self._spec.strategy.type == "recreate" or not has_old:
            verdict = self._start(name, self._published)
        else:
            self._check(name)
            has_ports = bool(self._published["HostConfig"]["PortBindings"])
            verdict = self._swap_for_ports(name) if has_ports else self._swap(name)
        self._effect(self._engine.keep_running, name)
        return verdict

    def _check(self, name: str) -> None:
        """A container beside the old one, which nobody can reach yet."""
        config = container_config(self._service, self._setting, published=False)
        self._start(name + CHECK, config)

    def _swap(self, name: str) -> Verdict:
        """The checked container takes the old one's name; for a moment both answer to it."""
        network = self._setting.network
        self._effect(self._engine.disconnect, name + CHECK, network)
        self._effect(self._engine.connect, name + CHECK, network, [self._service.name])
        self._put_aside(name)
        self._effect(self._engine.rename, name + CHECK, name)
        self._made.append(name)
        self._effect(self._engine.stop, name + OLD)
        reach("swapped")
        return self._require(name)

    def _swap_for_ports(self, name: str) -> Verdict:
        """A host port has one owner: the old container ends just before the new one starts."""
        self._effect(self._engine.remove, name + CHECK)
        self._put_aside(name)
        self._create(name, self._published)
        self._effect(self._engine.stop, name + OLD)
        self._effect(self._engine.start, name)
        reach("swapped")
        return self._require(name)

    def _start(self, name: str, config: Document) -> Verdict:
        self._create(name, config)
        self._effect(self._engine.start, name)
        reach("container-started")
        return self._require(name)

    def _create(self, name: str, config: Document) -> None:
        self._watch.check()
        self._watch.progress.message(f"starting {name}")
        self._engine.create(name, config)
        if not name.endswith(CHECK):
            self._made.append(name)
        if self._secrets:
            self._effect(self._engine.put_files, name, "/", _secret_files(self._secrets))

    def _put_aside(self, name: str) -> None:
        self._effect(self._engine.rename, name, name + OLD)

    def _retire(self, name: str) -> None:
        self._effect(self._engine.stop, name)
        self._effect(self._engine.remove, name)

    def _wait(self, name: str) -> Verdict:
        return self._prober.wait(name, self._service.health, self._timing)

    def _require(self, name: str) -> Verdict:
        verdict = self._wait(name)
        if not verdict.passed:
            log = self._engine.logs(name, LOG_LINES)
            raise NotServing(f"{name.removesuffix(CHECK)} does not serve: {verdict.why}", log)
        return verdict

    # --- backwards -------------------------------------------------------------------------------

    def _go_back(self, problem: NotServing, *, had_other: bool) -> Deployed:
        for name in self._containers():
            if name.endswith(CHECK):
                self._effect(self._engine.remove, name)
        if not self._spec.strategy.auto_rollback:
            return Deployed(DeploymentResult.FAILED, "unhealthy", problem.text)
        try:
            self._restore()
        except Refused as refused:
            text = f"{problem.text}; and what ran before could not be started: {refused.message}"
            return Deployed(DeploymentResult.FAILED, "unhealthy", text)
        if had_other:
            return Deployed(DeploymentResult.ROLLED_BACK, "unhealthy", problem.text)
        return Deployed(DeploymentResult.FAILED, "unhealthy", problem.text)

    def _restore(self) -> None:
        """What was put aside serves again; what is new and has no predecessor goes."""
        found = self._containers()
        old = {name.removesuffix(OLD) for name in found if name.endswith(OLD)}
        for name in sorted(found.keys() & (old | set(self._made))):
            self._effect(self._engine.remove, name)
        for name in sorted(old):
            self._effect(self._engine.rename, name + OLD, name)
            self._effect(self._engine.start, name)

    def _effect(self, effect: Callable[..., None], *arguments: object) -> None:
        self._watch.check()
        effect(*arguments)


def _secret_files(values: dict[str, bytes]) -> Iterator[bytes]:
    """An archive of the secrets, readable by whatever user the image runs as."""
    members = [
        Member(f"{SECRETS}/{name}", len(value), mode=0o444) for name, value in values.items()
    ]

    def opened(member: Member) -> io.BytesIO:
        return io.BytesIO(values[member.path.rpartition("/")[2]])

    for chunk in layer_chunks(members, opened):
        yield bytes(chunk)
