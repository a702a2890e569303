"""`apply` with a template that an engine builds."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from registries import RegistryFolder
from services.engine_relay import EngineRelay

from registry_tool.reconcile import failing

TEMPLATE = """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata: {name: weights}
spec:
  dockerfile: {file: Dockerfile.j2}
"""
BUILT = "FROM scratch\nCOPY config/ /etc/app/\n"

pytestmark = pytest.mark.xdist_group("engine")


@pytest.fixture
def docker_registry_folder(
    registry: RegistryFolder, docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> RegistryFolder:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    (registry.storage / "minilm" / "config.json").write_text("{}")
    registry.write("build_templates/weights/template.yaml", TEMPLATE)
    registry.write("build_templates/weights/Dockerfile.j2", BUILT)
    return registry


def with_base(folder: RegistryFolder, base: str, step: str) -> None:
    """A template with one step on a base of the engine."""
    bases = f"      - {{name: debian, reference: registry.example/debian:12, digest: '{base}'}}"
    folder.write(
        "build_templates/weights/template.yaml",
        TEMPLATE.replace("{file: Dockerfile.j2}", f"\n    bases:\n{bases}"),
    )
    folder.write("build_templates/weights/Dockerfile.j2", f"FROM {{{{ bases.debian }}}}\n{step}\n")


def test_an_engine_builds_and_the_log_is_kept(
    cli: Callable[..., Any], docker_registry_folder: RegistryFolder
) -> None:
    cli("lock", "minilm/1.0.0")
    docker_registry_folder.commit()

    ran = cli("apply")

    assert ran.code == 0, ran.err
    assert "created: release/minilm/1.0.0/none" in ran.out
    assert "minilm/1.0.0/none: [1/1] COPY config/ /etc/app/" in ran.err
    log = cli("log", "minilm/1.0.0").out
    assert "[1/1] COPY config/ /etc/app/" in log
    assert "engine: Docker" in log


def test_a_failed_step_is_recorded_and_not_tried_again(
    cli: Callable[..., Any], docker_registry_folder: RegistryFolder
) -> None:
    path = "build_templates/weights/Dockerfile.j2"
    docker_registry_folder.write(path, BUILT + "COPY nothing-there /x\n")
    cli("lock", "minilm/1.0.0")
    docker_registry_folder.commit()

    ran = cli("apply")

    assert ran.code == 1
    assert "failed: release/minilm/1.0.0/none  [2/2] COPY nothing-there /x" in ran.out
    assert "nothing-there" in cli("log", "minilm/1.0.0").out
    again = cli("apply")
    assert "to build" not in again.out or "0 to build" in again.out

    docker_registry_folder.write(path, BUILT)
    docker_registry_folder.commit()
    assert cli("apply").code == 0


def test_the_last_lines_of_a_failed_step_are_shown(
    cli: Callable[..., Any], docker_registry_folder: RegistryFolder, debian_base: str
) -> None:
    step = "RUN (echo compiling; echo no such header, token=hunter2) >&2; exit 7"
    with_base(docker_registry_folder, debian_base, step)
    cli("lock", "minilm/1.0.0")
    docker_registry_folder.commit()

    ran = cli("apply")

    assert ran.code == 1
    (line,) = [line for line in ran.out.splitlines() if line.startswith("failed: release/")]
    assert line.endswith("no such header, token=[redacted] >&2; exit 7: exit code: 7")
    shown = [line for line in ran.err.splitlines() if line.startswith("    | ")]
    assert shown[-3:] == [
        "    | compiling",
        "    | no such header, token=[redacted]",
        "    | exit code: 7",
    ]
    assert "all of it: registry-tool log minilm/1.0.0/none" in ran.err
    assert "no such header" in cli("log", "minilm/1.0.0/none").out


def records(folder: RegistryFolder) -> str:
    if not folder.git("branch", "--list", "registry-records"):
        return ""
    return folder.git("ls-tree", "-r", "--name-only", "registry-records")


def test_an_engine_that_goes_away_in_a_build_is_gone_on_with(
    cli: Callable[..., Any],
    docker_registry_folder: RegistryFolder,
    engine_relay: EngineRelay,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", engine_relay.address)
    monkeypatch.setattr(failing, "DELAYS", (0.01, 0.01, 0.01))
    cli("lock", "minilm/1.0.0")
    docker_registry_folder.commit()
    engine_relay.ends_at = ("/build?", 600)

    ran = cli("apply")

    assert ran.code == 3
    assert "trying again" in ran.err
    address = engine_relay.address
    assert (
        f"the connection to the container engine at {address} broke off while building" in ran.err
    )
    assert f"there is no container engine at {address}" in ran.err
    assert records(docker_registry_folder) == ""
    engine_relay.start()
    assert "created: release/minilm/1.0.0/none" in cli("apply").out
    assert records(docker_registry_folder).count("builds/") == 1
    assert "nothing to do" in cli("apply").out


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_a_signal_ends_a_build_at_once(
    cli: Callable[..., Any],
    docker_registry_folder: RegistryFolder,
    debian_base: str,
    number: signal.Signals,
    code: int,
    word: str,
) -> None:
    unique = uuid.uuid4().hex
    with_base(docker_registry_folder, debian_base, f"RUN echo {unique} && sleep 300")
    cli("lock", "minilm/1.0.0")
    docker_registry_folder.commit()
    apply = subprocess.Popen(
        [sys.executable, "-m", "registry_tool", "apply"],
        cwd=docker_registry_folder.path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert apply.stderr is not None
    told = ""
    while f"RUN echo {unique}" not in told:
        line = apply.stderr.readline()
        assert line, told
        told += line
    apply.send_signal(number)
    _, rest = apply.communicate(timeout=60)
    assert apply.returncode == code
    assert rest.endswith(f"{word}\n")
    assert "Traceback" not in rest
    assert records(docker_registry_folder) == ""
    while unique in subprocess.run(["ps", "ax"], capture_output=True, text=True, check=True).stdout:
        time.sleep(0.2)  # for ever, if the step goes on: it sleeps for five minutes
    docker_registry_folder.write("build_templates/weights/Dockerfile.j2", BUILT)
    docker_registry_folder.commit()
    assert cli("apply").code == 0


def test_without_an_engine_nothing_is_recorded(
    cli: Callable[..., Any],
    docker_registry_folder: RegistryFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cli("lock", "minilm/1.0.0")
    docker_registry_folder.commit()
    address = "unix:///nowhere/docker.sock"
    with monkeypatch.context() as away:
        away.setenv("DOCKER_HOST", address)
        ran = cli("apply")
    assert ran.code == 3
    assert f"there is no container engine at {address}" in ran.err
    assert "DOCKER_HOST" in ran.err
    assert records(docker_registry_folder) == ""

    assert cli("apply").code == 0
    assert records(docker_registry_folder).count("builds/") == 1
