"""Against the registry of the Debian package docker-registry, read back by skopeo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from registry_parts import MIB, Chunks, blob, put, put_image
from services.docker_registry import PASSWORD, USER, DockerRegistry, require_docker_registry
from services.engine import unavailable
from services.fault_registry import docker_config

from registry_tool.domain.digests import digest_of
from registry_tool.errors import ContentMismatch, StoreProblem
from registry_tool.oci import registry_retries
from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.reading import open_image
from registry_tool.oci.registry_credentials import DockerCredentials
from registry_tool.oci.registry_store import RegistryStore


def store_in(registry: DockerRegistry, folder: Path) -> RegistryStore:
    credentials = DockerCredentials(folder / "docker")
    return RegistryStore(f"{registry.host}/team", insecure=True, credentials=credentials)


@pytest.fixture
def store(docker_registry: DockerRegistry, tmp_path: Path) -> RegistryStore:
    return store_in(docker_registry, tmp_path)


def skopeo(*arguments: object) -> str:
    if shutil.which("skopeo") is None:
        unavailable("there is no skopeo: apt-get install skopeo")
    command = ["skopeo", "--insecure-policy", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_skopeo_reads_what_was_pushed(store: RegistryStore, tmp_path: Path) -> None:
    image = put_image(store, content=bytes(10240))
    store.put_tags("minilm", {"1.0.0": image, "build-0123456789ab": image})
    assert store.tags("minilm") == {"1.0.0": image, "build-0123456789ab": image}
    seen = skopeo("inspect", "--tls-verify=false", f"docker://{store.name}/minilm:1.0.0")
    assert json.loads(seen)["Digest"] == image.digest
    target = f"oci:{tmp_path}/copy:1.0.0"
    source = f"docker://{store.name}/minilm:1.0.0"
    skopeo("copy", "--preserve-digests", "--src-tls-verify=false", source, target)
    assert LayoutStore(tmp_path).tags("copy")["1.0.0"].digest == image.digest


def test_what_skopeo_pushed_is_read(store: RegistryStore, tmp_path: Path) -> None:
    local = LayoutStore(tmp_path / "store")
    image = put_image(local, content=bytes(10240))
    local.put_tags("minilm", {"1": image})
    source = f"oci:{tmp_path}/store/minilm:1"
    skopeo("copy", "--dest-tls-verify=false", source, f"docker://{store.name}/base:1")
    view = open_image(store, "base", "1", "linux/amd64")
    with store.open_blob("base", view.layers[0].digest) as file:
        assert file.read()
    assert store.mount_blob("minilm", view.layers[0].digest, "base")


def test_a_login_is_enough(private_registry: DockerRegistry, tmp_path: Path) -> None:
    store = store_in(private_registry, tmp_path)
    with pytest.raises(StoreProblem, match="wants a login"):
        put_image(store)
    (tmp_path / "docker").mkdir()
    config = tmp_path / "docker" / "config.json"
    config.write_text(docker_config(private_registry.host, USER, PASSWORD))
    image = put_image(store)
    store.put_tags("minilm", {"1.0.0": image})
    assert store.resolve("minilm", "1.0.0") == image
    config.write_text(docker_config(private_registry.host, USER, "wrong"))
    with pytest.raises(StoreProblem, match=f"does not accept the login of {USER}"):
        store_in(private_registry, tmp_path).resolve("minilm", "1.0.0")


def test_a_mount_moves_no_bytes(store: RegistryStore, docker_registry: DockerRegistry) -> None:
    digest = put(store, blob(3 * MIB))
    assert store.mount_blob("bert", digest, "minilm")
    assert docker_registry.uploads() == [digest]
    assert store.blob_size("bert", digest) == 3 * MIB


@pytest.mark.parametrize("profile", ["default", "chunked"])
def test_large_blobs_arrive_either_way(
    docker_registry: DockerRegistry, tmp_path: Path, profile: str
) -> None:
    store = RegistryStore(f"{docker_registry.host}/team", insecure=True, profile=profile)
    data = blob(130 * MIB) if profile == "chunked" else blob(20 * MIB)
    digest = put(store, data)
    assert len(docker_registry.requests("PATCH", "/uploads/", 202)) == 3 * (profile == "chunked")
    with store.open_blob("minilm", digest) as file:
        assert file.read() == data


def test_blobs_travel_side_by_side(store: RegistryStore, docker_registry: DockerRegistry) -> None:
    blobs = [blob(2 * MIB, seed) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        digests = list(pool.map(lambda data: put(store, data), blobs))
    assert sorted(docker_registry.uploads()) == sorted(digests)


def test_other_content_is_refused(store: RegistryStore) -> None:
    with pytest.raises(ContentMismatch, match="DIGEST_INVALID"):
        store.write_blob("minilm", digest_of(b"weights"), 7, iter([b"w", b"eighty"]))
    assert not store.has_blob("minilm", digest_of(b"weights"))


def test_a_registry_that_restarts_in_the_middle_of_a_blob_gets_it_again(
    docker_registry: DockerRegistry, store: RegistryStore
) -> None:
    """This registry cannot go on with what it has of a broken upload; what was finished stays."""
    first, second = blob(MIB, 1), blob(24 * MIB, 2)
    put(store, first)
    restarted = []

    class Interrupted(Chunks):
        def __iter__(self) -> Iterator[bytes]:
            for number, chunk in enumerate(super().__iter__()):
                if number == 12 and not restarted:
                    docker_registry.stop()
                    docker_registry.start()
                    restarted.append(True)
                yield chunk

    source = Interrupted(second)
    store.write_blob("minilm", digest_of(second), len(second), source)
    assert restarted
    assert docker_registry.uploads() == [digest_of(first), digest_of(second)]
    with store.open_blob("minilm", digest_of(second)) as file:
        assert file.read() == second


def test_a_registry_that_is_down_is_named(docker_registry: DockerRegistry) -> None:
    naps: list[float] = []
    store = RegistryStore(f"{docker_registry.host}/team", insecure=True, sleep=naps.append)
    docker_registry.stop()
    with pytest.raises(StoreProblem, match=f"{docker_registry.host} cannot be reached") as caught:
        put(store, blob(MIB))
    assert caught.value.transient
    assert len(naps) == registry_retries.TRIES - 1
    docker_registry.start()
    put(store, blob(MIB))


@pytest.fixture
def small_registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """A registry on a disk of 8 MiB."""
    require_docker_registry()
    registry = DockerRegistry(tmp_path / "small")
    data = registry.folder / "data"
    data.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(data)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk takes the right to mount one")
    try:
        registry.start()
        yield registry
    finally:
        registry.stop()
        subprocess.run(["umount", str(data)], check=True)


def test_a_full_disk_is_named_and_the_same_works_once_there_is_space(
    small_registry: DockerRegistry, tmp_path: Path
) -> None:
    store = store_in(small_registry, tmp_path)
    first, second = put(store, blob(MIB, 1)), digest_of(blob(12 * MIB, 2))
    with pytest.raises(StoreProblem, match="disk is full") as caught:
        put(store, blob(12 * MIB, 2))
    assert not caught.value.transient
    assert not store.has_blob("minilm", second)
    data = str(small_registry.folder / "data")
    subprocess.run(["mount", "-o", "remount,size=64m", data], check=True)
    assert put(store, blob(12 * MIB, 2)) == second
    assert small_registry.uploads() == [first, second]
