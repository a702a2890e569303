"""An engine that goes away while something is deployed: clear words, nothing recorded, and no work twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from services.engine_relay import EngineRelay

from registry_tool.reconcile import failing

if TYPE_CHECKING:
    from served import Served
else:
    Served = Any

pytestmark = pytest.mark.xdist_group("engine")


def test_an_engine_that_stops_is_gone_on_with(
    served: Served, engine_relay: EngineRelay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_relay.address)
    monkeypatch.setattr(failing, "DELAYS", (0.01, 0.01, 0.01))
    served.target("docker")
    served.deploy("1.0.0")
    # After the build, before there is a container.
    engine_relay.ends_at = ("/containers/create", 0)
    failed = served.tool("apply", expect=3)
    address = f"the container engine at {engine_relay.address}"
    assert f"the connection to {address} broke off while creating the container" in failed.stderr
    assert f"{address} did not answer while connecting" in failed.stderr
    assert "check that it runs" in failed.stderr
    assert served.deployments() == []
    builds = served.record_files("builds/")
    assert len(builds) == 2
    engine_relay.start()
    (deployed,) = served.json("apply")["results"]
    assert deployed["result"] == "created"
    assert served.record_files("builds/") == builds

    # In the middle of an update: the new container is there, and has not got its name.
    served.deploy("1.0.1")
    engine_relay.ends_at = ("/rename", 0)
    served.tool("apply", expect=3)
    assert [record["result"] for record in served.deployments()] == ["succeeded"]
    engine_relay.start()
    (deployed,) = served.json("apply")["results"]
    assert deployed["result"] == "updated"
    assert [record["result"] for record in served.deployments()] == ["succeeded"] * 2
    assert served.get() == "1.0.1"
    assert len(served.containers()) == 1
    assert served.json("apply")["results"] == []
