"""Rendered branches: the files of environments whose engine takes them from Git."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from registry_tool.deployers import compose, kubernetes
from registry_tool.deployers.interface import ServiceSpec
from registry_tool.domain.desired import Desired
from registry_tool.domain.environment import Environment, TargetType
from registry_tool.domain.recorded import DEPLOY_BRANCHES
from registry_tool.domain.subjects import DeploymentId
from registry_tool.reconcile.services import Services
from registry_tool.repository.repository import Repository

Render = Callable[
    [Environment, Sequence[ServiceSpec], Mapping[str, bytes], Collection[str]], dict[str, bytes]
]
"""The files of an environment: all services, the files that are there, and the names to keep from them."""

RENDERERS: Mapping[TargetType, Render] = {
    TargetType.COMPOSE: compose.render_files,
    TargetType.KUBERNETES: kubernetes.render_files,
}
"""Targets whose deployer renders files for another engine."""


class Rendering:
    """Renders the environments of one pair of desired and recorded state."""

    def __init__(self, repository: Repository, desired: Desired, services: Services) -> None:
        self._repository = repository
        self._desired = desired
        self._services = services

    def branches(
        self, now: Collection[DeploymentId], removed: Collection[DeploymentId]
    ) -> dict[str, dict[str, bytes]]:
        """Rendered branches that differ from what they are, once `now` is deployed and `removed` is gone."""
        changed: dict[str, dict[str, bytes]] = {}
        for name in self._services.environments():
            environment = self._desired.environments.get(name)
            if environment is None:
                continue
            render = RENDERERS.get(environment.manifest.spec.target.type)
            if render is None:
                continue
            present = self._present(name)
            wanted = self._services.of_environment(name, now, removed)
            if not present and not wanted.services:
                continue
            files = render(environment.manifest, wanted.services, present, wanted.keep)
            if files != present:
                changed[f"deploy/{name}"] = files
        return changed

    def drift(self) -> list[str]:
        """What differs between the rendered branches and the records, one line for each file."""
        lines = []
        for branch, wanted in sorted(self.branches((), ()).items()):
            present = self._present(branch.removeprefix("deploy/"))
            for path in sorted(wanted.keys() | present.keys()):
                if path not in present:
                    lines.append(f"{branch}: {path} is missing")
                elif path not in wanted:
                    lines.append(f"{branch}: {path} does not belong there")
                elif wanted[path] != present[path]:
                    lines.append(f"{branch}: {path} is not what the records say")
        return lines

    def _present(self, name: str) -> Mapping[str, bytes]:
        tip = self._repository.ref(DEPLOY_BRANCHES + name)
        if tip is None:
            return {}
        entries = self._repository.tree(tip)
        contents = dict(self._repository.read_blobs([entry.oid for entry in entries]))
        return {entry.path: contents[entry.oid] for entry in entries}
