"""A real container engine for tests: the one that runs, else one of our own for as long as the tests run.

What is imported and built for tests stays in an engine that was there before, as in any cache: images named
`registry-tool-tests/…`.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "registry-tool-tests"
IMAGES = "registry-tool-tests"
_START_SECONDS = 60
_DEBOOTSTRAP = ("debootstrap", "--variant=minbase", "--include=python3", "bookworm")


def unavailable(reason: str) -> None:
    """Skip, or fail in CI: there everything must be tested."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _answers(host: str | None = None) -> str | None:
    """Why no engine answers there; None when one does."""
    import docker

    try:
        client = docker.from_env(timeout=10) if host is None else docker.DockerClient(host)
    except docker.errors.DockerException as problem:
        return str(problem)
    client.close()
    return None


@pytest.fixture(scope="session")
def docker_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an engine, as DOCKER_HOST has it."""
    problem = _answers()
    if problem is None:
        yield os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    elif os.geteuid() != 0 or shutil.which("dockerd") is None:
        unavailable(f"no engine answers, and only root with dockerd can start one: {problem}")
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
        while (problem := _answers(host)) is not None:
            if engine.poll() is not None or time.monotonic() > deadline:
                end = (folder / "log").read_text(errors="replace")[-2000:]
                unavailable(f"dockerd does not start: {problem}\n{end}")
            time.sleep(0.3)
        yield host
    finally:
        engine.terminate()
        engine.wait(60)
        shutil.rmtree(folder / "data", ignore_errors=True)


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
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        unavailable(f"only root with debootstrap can make {archive}, a base image for tests")
    CACHE.mkdir(parents=True, exist_ok=True)
    root = CACHE / f"bookworm-{os.getpid()}"
    try:
        made = subprocess.run([*_DEBOOTSTRAP, root], capture_output=True, text=True, check=False)
        if made.returncode:
            unavailable(f"debootstrap failed: {made.stdout[-1000:]}{made.stderr[-1000:]}")
        partial = archive.with_suffix(f".{os.getpid()}")
        packed = ["tar", "-C", root, "--exclude=./var/cache/apt", "-cf", partial, "."]
        subprocess.run(packed, check=True)
        partial.rename(archive)
    finally:
        shutil.rmtree(root, ignore_errors=True)
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
        fileobj=context, custom_context=True, tag=f"{IMAGES}/python:bookworm"
    )
    return str(image.id)
