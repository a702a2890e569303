"""A container engine with nothing in it: what a clean builder has."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SECONDS = 60


class NoEngine(Exception):
    """There is none, and this says why."""


@contextmanager
def clean_engine(folder: Path) -> Iterator[dict[str, str]]:
    """The environment for `docker`, to use an engine that starts empty and is removed at the end."""
    if shutil.which("dockerd") is None:
        raise NoEngine("there is no dockerd: apt-get install docker.io")
    host = f"unix://{folder}/docker.sock"
    folder.mkdir(parents=True)
    command = ["dockerd", "--host", host, "--data-root", folder / "data"]
    command += ["--exec-root", folder / "exec", "--pidfile", folder / "pid"]
    # Nothing is run, so nothing needs a network; two engines would quarrel about the bridge.
    command += ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log)
    environment = {"DOCKER_HOST": host, "DOCKER_BUILDKIT": "1"}
    try:
        deadline = time.monotonic() + _SECONDS
        while subprocess.run(
            [docker(), "--host", host, "version"], capture_output=True, check=False
        ).returncode:
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoEngine((folder / "log").read_text()[-500:])
            time.sleep(0.2)
        yield environment
    finally:
        process.terminate()
        process.wait(_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)


def docker() -> str:
    """The command of the Debian package, which has BuildKit without a plugin, or else any."""
    debian = Path("/usr/bin/docker")
    return str(debian) if debian.exists() else "docker"
