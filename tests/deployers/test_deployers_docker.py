"""Docker: containers that are checked, swapped, rolled back, repaired and removed, on a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from served import Served
else:
    Served = Any

pytestmark = pytest.mark.xdist_group("engine")


@pytest.fixture
def served(served: Served) -> Served:
    served.target("docker")
    return served


def test_a_release_runs(served: Served) -> None:
    served.deploy("1.0.0")
    served.tool("apply")
    assert served.get() == "1.0.0"
    (record,) = served.deployments()
    assert (record["result"], record["health"]) == ("succeeded", "healthy")
    labels = served.container().labels
    assert labels["io.registry-tool.deployment-key"] == record["key"]
    assert list(served.containers()) == [f"{served.environment}-web-1"]
    assert served.json("apply")["results"] == []
