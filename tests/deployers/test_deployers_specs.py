"""What engines are asked for, without an engine."""

from __future__ import annotations

from typing import Any

import pytest
from service_samples import environment, full, service

from registry_tool.deployers.containers import Setting, container_config, network_name
from registry_tool.deployers.interface import Health, Place
from registry_tool.deployers.swarm_services import (
    SwarmSetting,
    overlay_name,
    service_spec,
    spec_differences,
)
from registry_tool.deployers.timing import Timing

SETTING = Setting("image@sha256:1", "backbone")
SWARM = SwarmSetting("image@sha256:1", "backbone", {"token": ("id1", "name1")})


def place(**target: str) -> Place:
    return Place("staging", environment(target=target).spec.target)


def container(published: bool = True, **spec: Any) -> Any:
    return container_config(service(**spec), SETTING, published=published)


def swarm(**spec: Any) -> Any:
    return service_spec(place(type="swarm"), service(**spec), SWARM)


def test_one_that_is_checked_has_no_host_port_and_no_name() -> None:
    ports = [{"container": 8000, "host": 80}]
    checked, final = (container(published, ports=ports) for published in (False, True))
    assert checked["HostConfig"]["PortBindings"] == {}
    assert final["HostConfig"]["PortBindings"] == {"8000/tcp": [{"HostPort": "80"}]}
    aliases = [
        config["NetworkingConfig"]["EndpointsConfig"]["backbone"]["Aliases"]
        for config in (checked, final)
    ]
    assert aliases == [[], ["search"]]


def test_gpus_are_asked_for_as_each_engine_knows_them() -> None:
    resources = {"gpus": 2}
    (request,) = container(resources=resources)["HostConfig"]["DeviceRequests"]
    assert request == {"Count": 2, "Capabilities": [["gpu"]]}
    reserved = swarm(resources=resources)["TaskTemplate"]["Resources"]["Reservations"]
    assert reserved == {"GenericResources": [{"DiscreteResourceSpec": {"Kind": "gpu", "Value": 2}}]}


def test_values_of_the_environment_are_taken_as_they_are() -> None:
    assert container(env={"B": "$x=1", "A": ""})["Env"] == ["A=", "B=$x=1"]
    assert swarm(env={"B": "$x=1"})["TaskTemplate"]["ContainerSpec"]["Env"] == ["B=$x=1"]


def test_networks_are_the_environments_own_unless_it_names_one() -> None:
    assert network_name(place(type="docker")) == "registry-tool-staging"
    assert overlay_name(place(type="swarm")) == "registry-tool-staging-swarm"
    named = place(type="swarm", network="backbone")
    assert (network_name(named), overlay_name(named)) == ("backbone", "backbone")


@pytest.mark.parametrize(
    ("strategy", "order", "action"),
    [
        ({"type": "rolling"}, "start-first", "rollback"),
        ({"type": "recreate", "auto_rollback": False}, "stop-first", "pause"),
    ],
)
def test_the_strategy_is_the_swarms(strategy: Any, order: str, action: str) -> None:
    update = swarm(strategy=strategy)["UpdateConfig"]
    assert (update["Order"], update["FailureAction"]) == (order, action)


def test_a_namespace_is_a_constraint_and_the_stack_is_the_environment() -> None:
    found = service_spec(place(type="swarm", namespace="models"), service(), SWARM)
    assert found["TaskTemplate"]["Placement"] == {
        "Constraints": ["node.labels.namespace == models"]
    }
    assert found["Labels"]["com.docker.stack.namespace"] == "staging"


def test_secrets_of_a_swarm_are_named_as_the_manifest_does() -> None:
    (secret,) = swarm()["TaskTemplate"]["ContainerSpec"]["Secrets"]
    assert (secret["SecretName"], secret["File"]["Name"]) == ("name1", "token")


def test_the_same_spec_has_no_differences_and_each_change_has_a_name() -> None:
    wanted = service_spec(place(type="swarm"), full(), SWARM)
    assert spec_differences(wanted, wanted) == []
    other = service_spec(
        place(type="swarm"),
        service("full", ports=[{"container": 1, "host": 2}], env={"SECRET": "x"}),
        SwarmSetting("other", "backbone", {}),
    )
    found = spec_differences(wanted, other)
    assert {line.split(",")[0] for line in found} == {
        f"another {what}"
        for what in ("image", "command", "ports", "limits", "mounts", "secrets", "env")
    } | {"1 replicas instead of 2"}
    assert "another env, EMPTY, N, ON, PRICE, SECRET, TEXT" in found


def test_a_health_check_has_the_time_that_it_says() -> None:
    command = Health(("check",))
    check = {
        "command": ["check"],
        "interval": "2s",
        "timeout": "1s",
        "retries": 4,
        "start_period": "1m",
    }
    found = container(health=command, healthcheck=check)["Healthcheck"]
    assert found == {
        "Test": ["CMD", "check"],
        "Interval": 2_000_000_000,
        "Timeout": 1_000_000_000,
        "Retries": 4,
        "StartPeriod": 60_000_000_000,
    }
    spec = service(healthcheck=check).deployment.spec
    assert Timing.of(spec.healthcheck).patience == 69
    assert Timing.of(None).patience == 65
