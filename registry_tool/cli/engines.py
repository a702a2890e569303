"""Deployers for engines, put together from what the operator granted."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from registry_tool.domain.environment import TargetType

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.deployers.engine import Engine
    from registry_tool.deployers.interface import EngineDeployer
    from registry_tool.deployers.swarm_engine import SwarmEngine
    from registry_tool.oci.store import ImageStore


def engine_deployers(app: App, store: ImageStore) -> Mapping[TargetType, EngineDeployer]:
    """A deployer for each kind of engine; nothing is connected before it is used."""
    from registry_tool.deployers.docker import DockerDeployer
    from registry_tool.deployers.engine import Engine
    from registry_tool.deployers.engine_hosts import Hosts
    from registry_tool.deployers.engine_images import EngineImages
    from registry_tool.deployers.secrets import Secrets
    from registry_tool.deployers.swarm import SwarmDeployer, connect_manager

    hosts = Hosts(lambda name: granted_host(app, name), os.environ, Path.home())
    directory = app.setting("secrets")
    secrets = Secrets(Path(directory).absolute() if directory else None, os.environ)
    images = EngineImages(store)

    def connect(host: str | None) -> Engine:
        return Engine(hosts.addresses(host)[0])

    def connect_swarm(host: str | None) -> SwarmEngine:
        return connect_manager(hosts.addresses(host))

    return {
        TargetType.DOCKER: DockerDeployer(connect, images, secrets),
        TargetType.SWARM: SwarmDeployer(connect_swarm, images, secrets),
    }


def granted_host(app: App, name: str) -> str | None:
    """The address that the operator gave a host: `REGISTRY_TOOL_HOST_<NAME>`, else `registry-tool.host.<name>`."""
    variable = "REGISTRY_TOOL_HOST_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
    value = os.environ.get(variable)
    if value is not None:
        return value
    # Git allows nothing else in the name of a setting.
    if re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name) is None:
        return None
    return app.repository.config(f"registry-tool.host.{name}")
