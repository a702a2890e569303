"""A real container engine for tests: the one that runs, else one of our own for as long as the tests run.

What is imported and built for tests stays in an engine that was there before, as in any cache: images named
`registry-tool-tests/…`.
"""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from registry_tool.builders.engine import Engine
from registry_tool.errors import EngineProblem

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "registry-tool-tests"
IMAGES = "registry-tool-tests"
_START_SECONDS = 60
_DEBOOTSTRAP = ("debootstrap", "--variant=minbase", "--include=python3", "bookworm")
_UNUSED = ("usr/share/doc", "usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt")
"""Half of the bytes, which engines would pass on with every image."""


def unavailable(reason: str) -> None:
    """Skip, or fail in CI: there everything must be tested."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine, as DOCKER_HOST has it."""
    with closing(Engine(timeout=10)) as engine:
        try:
            address, problem = engine.info.address, ""
        except EngineProblem as caught:
            address, problem = "", caught.message
    if address:
        yield address
    elif os.geteuid() != 0 or shutil.which("dockerd") is None:
        unavailable(f"only root with dockerd can start an engine for the tests, and {problem}")
    else:
        yield from _own_engine(tmp_path_factory.mktemp("dockerd"))


def _own_engine(folder: Path) -> Iterator[str]:
    host = f"unix://{folder}/docker.sock"
    command = ["dockerd", "--host", host, "--data-root", folder / "data"]
    command += ["--exec-root", folder / "exec", "--pidfile", folder / "docker.pid"]
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(folder / "docker.sock"):
            if engine.poll() is not None or time.monotonic() > deadline:
                end = (folder / "log").read_text(errors="replace")[-2000:]
                unavailable(f"dockerd does not start:\n{end}")
            time.sleep(0.1)
        yield host
    finally:
        engine.terminate()
        engine.wait(60)
        shutil.rmtree(folder / "data", ignore_errors=True)


def _listens(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(address)) == 0


@pytest.fixture(scope="session")
def docker_client(docker_host: str) -> Iterator[Any]:
    """The SDK's client of that engine."""
    import docker

    client = docker.DockerClient(docker_host, timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def debian_base(docker_client: Any, debian_archive: Path) -> str:
    """The id of an image of Debian bookworm with python3, which no registry is asked for."""
    import docker

    name = f"{IMAGES}/debian:bookworm-{debian_archive.stat().st_size}"
    try:
        return str(docker_client.images.get(name).id)
    except docker.errors.ImageNotFound:
        repository, tag = name.split(":")
        docker_client.api.import_image_from_file(
            str(debian_archive), repository=repository, tag=tag
        )
        return str(docker_client.images.get(name).id)


@pytest.fixture(scope="session")
def debian_archive() -> Path:
    """The files of that image, made once for a machine."""
    archive = CACHE / "bookworm-python.tar"
    if archive.is_file():
        return archive
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if as_root and not os.environ.get("CI"):
        unavailable(f"only root can make {archive}, a base image for tests, with debootstrap")
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / f"bookworm-{os.getpid()}"
    partial = archive.with_suffix(f".{os.getpid()}")
    try:
        made = subprocess.run(
            [*as_root, *_DEBOOTSTRAP, root], capture_output=True, text=True, check=False
        )
        if made.returncode:
            unavailable(f"debootstrap failed: {made.stdout[-1000:]}{made.stderr[-1000:]}")
        with partial.open("wb") as file:
            pack = [
                "tar",
                "-C",
                root,
                *(f"--exclude=./{path}" for path in _UNUSED),
                "-cf",
                "-",
                ".",
            ]
            subprocess.run([*as_root, *pack], stdout=file, check=True)
        partial.rename(archive)
    except FileNotFoundError as problem:
        unavailable(f"there is no {problem.filename} to make a base image for tests with")
    finally:
        partial.unlink(missing_ok=True)
        subprocess.run([*as_root, "rm", "-rf", root], check=False)
    return archive


@pytest.fixture(scope="session")
def python_base(docker_client: Any, debian_base: str) -> str:
    """The id of an image that can stand in for a Python base: with pip, and as `python`."""
    import pip

    dockerfile = (
        f"FROM {debian_base}\n"
        "COPY pip /usr/lib/python3/dist-packages/pip\n"
        "RUN rm -f /usr/lib/python3*/EXTERNALLY-MANAGED && ln -sf python3 /usr/bin/python\n"
    )
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile)
        archive.addfile(member, io.BytesIO(dockerfile.encode()))
        archive.add(Path(pip.__file__).parent, "pip")
    context.seek(0)
    image, _ = docker_client.images.build(
        fileobj=context, custom_context=True, rm=True, tag=f"{IMAGES}/python:bookworm"
    )
    return str(image.id)
