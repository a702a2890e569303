"""Applying into a registry: what is sent, what never is again, and what happens when it fails on the way."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import docker
import pytest
import yaml
from services.docker_registry import DockerRegistry, require_docker_registry
from services.fault_registry import Registry, fault_registry
from services.small_disk import SmallDisk

from registry_tool.oci import packing, registry_retries
from registry_tool.oci.registry_store import RegistryStore
from registry_tool.reconcile import failing

if TYPE_CHECKING:
    from applied_folder import Applied
else:
    Applied = Any

MODEL = "team/minilm"
FAILPOINTS = (
    "layer-streaming",
    "blob-written",
    "blob-written:3",
    "blobs-published",
    "image-tagged",
    "log-published",
    "recorded",
)


def into(applied: Applied, host: str) -> Applied:
    """Let images go to a registry."""
    images = f"  images:\n    repository: {host}/team\n    insecure: true\n"
    applied.replace("manifests/registry.yaml", "spec:\n", f"spec:\n{images}")
    applied.commit("Publish to a registry")
    return applied


def another_model(applied: Applied, model: str) -> None:
    """A model with the same files at the same place in its image, so that the layers are the same."""
    template = (applied.path / "build_templates/weights/template.yaml").read_text()
    shared = template.replace("name: weights", "name: shared").replace(
        "spec:\n", "spec:\n  target: /models/minilm\n"
    )
    applied.write("build_templates/shared/template.yaml", shared)
    applied.write("build_templates/shared/motd.j2", f"{model}\n")
    applied.model(model)
    applied.replace(
        f"manifests/models/{model}.yaml", f"{applied.storage}/{model}", f"{applied.storage}/minilm"
    )
    applied.release(model, "1.0.0", lock=False)
    applied.replace(f"manifests/releases/{model}/1.0.0/none.yaml", "name: weights", "name: shared")
    applied.commit(f"Add {model}")
    applied.lock(f"{model}/1.0.0")
    applied.commit(f"Lock {model}")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many tries as ever, with hardly any time between them."""
    monkeypatch.setattr(failing, "DELAYS", tuple(0.01 for _ in failing.DELAYS))
    monkeypatch.setattr(registry_retries, "FIRST_DELAY", 0.001)


def weight_layers(applied: Applied) -> set[str]:
    lock = applied.path / "manifests/releases/minilm/1.0.0/none.lock.yaml"
    return {layer["digest"] for layer in yaml.safe_load(lock.read_text())["spec"]["layers"]}


def tags(registry: Registry, repository: str = MODEL) -> dict[str, bytes]:
    return {
        name: data
        for (owner, name), (_, data) in registry.manifests.items()
        if owner == repository and ":" not in name and not name.startswith("log-")
    }


@pytest.fixture
def registry() -> Iterator[Registry]:
    with fault_registry() as running:
        yield running


@pytest.fixture
def published(applied: Applied, registry: Registry) -> Applied:
    return into(applied, registry.host)


def test_weights_are_sent_once_for_all_releases(published: Applied, registry: Registry) -> None:
    published.tool("apply")
    layers = weight_layers(published)
    size = sum(len(registry.blobs[MODEL, digest]) for digest in layers)
    assert size > 3_000_000
    assert set(tags(registry)) >= {"1.0.0", "1.0.1", "runtime-1.0.0", "weights-1.0.1"}
    assert registry.bytes_uploaded - size < 30_000, "only documents, logs and small files besides"
    records = [yaml.safe_load(published.record(path)) for path in published.record_files("builds/")]
    assert {record["spec"]["store"] for record in records} == {f"{registry.host}/team"}
    assert sorted(record["spec"]["bytes"]["upload"] > 3_000_000 for record in records) == [
        False,
        True,
    ]
    compose = published.git("show", "deploy/staging:compose.yaml")
    assert f"{registry.host}/team/minilm@sha256:" in compose


def test_a_later_release_and_another_model_move_no_weights(
    published: Applied, registry: Registry
) -> None:
    published.tool("apply")
    layers = weight_layers(published)
    before = registry.bytes_uploaded
    published.write("build_templates/weights/motd.j2", "new text\n")
    another_model(published, "bert")
    published.tool("apply")
    assert all(("team/bert", digest) in registry.blobs for digest in layers)
    assert set(tags(registry, "team/bert")) >= {"1.0.0", "weights-1.0.0"}
    assert registry.bytes_uploaded - before < 60_000


def test_weights_that_a_builder_cannot_read_are_not_asked_for(
    published: Applied, registry: Registry
) -> None:
    """A builder that never saw the weights makes the next release from the lock alone."""
    published.tool("apply")
    published.write("build_templates/weights/motd.j2", "new text\n")
    published.commit()
    for file in (published.storage / "minilm").iterdir():
        file.unlink()
    published.tool("apply")
    assert b"motd" not in tags(registry)["1.0.0"]
    assert published.json("apply")["results"] == []


def test_a_registry_is_asked_for_what_is_deployed(published: Applied, registry: Registry) -> None:
    published.tool("apply")
    assert published.json("status")["drift"] == []
    registry.manifests.clear()
    (drift,) = published.json("status")["drift"]
    assert "is not in the store" in drift


def test_logs_are_read_from_where_their_build_left_them(
    applied: Applied, registry: Registry
) -> None:
    applied.tool("apply")
    embedded = applied.tool("log", "minilm/1.0.0").stdout
    into(applied, registry.host)
    assert applied.tool("log", "minilm/1.0.0").stdout == embedded
    applied.tool("apply")
    log = applied.tool("log", "minilm/1.0.0").stdout
    assert f"{registry.host}/team/minilm:1.0.0@sha256:" in log
    reference = next(name for _, name in registry.manifests if name.startswith("log-"))
    assert applied.tool("log", f"{registry.host}/team/minilm:{reference}").stdout


def test_another_store_is_built_into_anew(applied: Applied, registry: Registry) -> None:
    applied.tool("apply")
    into(applied, registry.host)
    plan = applied.json("plan")
    assert [action["kind"] for action in plan["actions"]] == ["build", "build", "deploy"]
    applied.tool("apply")
    assert applied.json("plan")["actions"] == []


def test_doctor_says_whether_the_registry_answers(published: Applied, registry: Registry) -> None:
    assert (
        f"ok    store: the registry of {registry.host}/team answers"
        in published.tool("doctor").stdout
    )
    registry.faults.auth = "basic"
    failed = published.tool("doctor", expect=3).stdout
    assert "wants a login" in failed
    assert f"docker login {registry.host}" in failed


# --- Failures ---


def require_finished(applied: Applied) -> bool:
    """Each release is recorded as built once, the deployment is there, and nothing is left to do."""
    results = [
        yaml.safe_load(applied.record(path))["spec"]["result"]
        for path in applied.record_files("builds/")
    ]
    assert results == ["succeeded", "succeeded"]
    assert len(applied.record_files("deployments/")) == 1
    assert applied.json("apply")["results"] == []
    return True


@pytest.mark.parametrize("failpoint", FAILPOINTS)
def test_a_kill_repeats_no_finished_blob(
    published: Applied, registry: Registry, failpoint: str
) -> None:
    published.kill_at(failpoint)
    finished = {digest for _, digest in registry.blobs}
    registry.requests.clear()
    published.tool("apply")
    assert published.json("apply")["results"] == []
    assert set(tags(registry)) >= {"1.0.0", "1.0.1", "runtime-1.0.0", "weights-1.0.1"}
    with fault_registry() as other:
        into_other = published
        into_other.replace("manifests/registry.yaml", registry.host, other.host)
        into_other.commit("Publish elsewhere")
        into_other.tool("apply")
        assert tags(other) == tags(registry), "the end is that of an uninterrupted run"
    again = [entry for entry in registry.requests if entry.startswith("PUT") and "blobs" in entry]
    new = {digest for _, digest in registry.blobs} - finished
    assert len(again) == len(new)


def test_a_registry_that_goes_away_is_waited_for_in_the_next_run(
    published: Applied, registry: Registry
) -> None:
    registry.faults.refusals = deque([("POST", "", 403, {})] * 100)
    failed = published.tool("apply", expect=3)
    assert "refused to upload" in failed.stderr
    assert published.record_files() == [], "nothing half recorded"
    registry.faults.refusals.clear()
    published.tool("apply")
    assert len(published.record_files("builds/")) == 2


def test_a_connection_that_is_cut_in_a_blob_is_no_failure(
    published: Applied, registry: Registry
) -> None:
    registry.faults.breaks = deque([1_000_000, 500_000])
    published.tool("apply")
    weights = sum(len(registry.blobs[MODEL, digest]) for digest in weight_layers(published))
    assert registry.bytes_uploaded - weights < 30_000, "what had arrived was sent again"
    assert require_finished(published)


def test_a_connection_that_is_cut_in_every_blob_records_nothing_and_is_finished_by_the_next(
    published: Applied, registry: Registry, hurried: None
) -> None:
    registry.faults.resumes = False
    registry.faults.breaks = deque([1000] * 1000)
    failed = published.tool("apply", expect=3)
    assert "broke off: " in failed.stderr
    assert published.record_files() == []
    assert tags(registry) == {}
    assert all((MODEL, digest) not in registry.blobs for digest in weight_layers(published))
    registry.faults.breaks.clear()
    published.tool("apply")
    assert require_finished(published)


def test_weights_that_changed_under_the_lock_never_arrive(
    published: Applied, registry: Registry
) -> None:
    published.weights("minilm", os.urandom(3_000_000))
    failed = published.tool("apply", expect=1)
    assert "model.bin" in failed.stdout
    assert not tags(registry)
    assert all((MODEL, digest) not in registry.blobs for digest in weight_layers(published))
    assert registry.uploads == {}


# --- The real one ---


def test_docker_registry_is_stopped_and_comes_back(
    applied: Applied, docker_registry: DockerRegistry, hurried: None
) -> None:
    into(applied, docker_registry.host)
    docker_registry.stop()
    failed = applied.tool("apply", expect=3)
    assert "cannot be reached" in failed.stderr
    assert applied.record_files() == []
    docker_registry.start()
    applied.tool("apply")
    layers = weight_layers(applied)
    assert sorted(set(docker_registry.uploads()) & layers) == sorted(layers)
    assert require_finished(applied)


@pytest.fixture
def two_layers(applied: Applied, monkeypatch: pytest.MonkeyPatch) -> Applied:
    """The weights in two layers, which are sent one after the other, the larger one first."""
    monkeypatch.setattr(packing, "ALONE_SIZE", 500_000)
    monkeypatch.setattr("registry_tool.builders.layer_streams._PARALLEL_LAYERS", 1)
    applied.weights("minilm", os.urandom(1_000_000), "second.bin")
    for version in ("1.0.0", "1.0.1"):
        applied.lock(f"minilm/{version}")
    applied.commit("Lock two large files")
    return applied


def test_docker_registry_is_stopped_between_two_layers(
    two_layers: Applied,
    docker_registry: DockerRegistry,
    hurried: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    into(two_layers, docker_registry.host)
    write = RegistryStore.write_blob

    def then_stop(self: RegistryStore, repository: str, digest: str, *rest: Any) -> None:
        write(self, repository, digest, *rest)
        docker_registry.stop()

    with monkeypatch.context() as stopping:
        stopping.setattr(RegistryStore, "write_blob", then_stop)
        failed = two_layers.tool("apply", expect=3)
    assert "cannot be reached" in failed.stderr
    assert two_layers.record_files() == []
    (finished,) = docker_registry.uploads()
    assert finished in weight_layers(two_layers)
    docker_registry.start()
    two_layers.tool("apply")
    uploads = docker_registry.uploads()
    assert len(uploads) == len(set(uploads)), "a finished blob was sent again"
    assert weight_layers(two_layers) <= set(uploads)
    assert require_finished(two_layers)


def test_the_disk_of_docker_registry_is_full(
    two_layers: Applied, small_disk: SmallDisk, hurried: None
) -> None:
    require_docker_registry()
    small_disk.resize(3500)
    registry = DockerRegistry(small_disk.path / "registry")
    registry.start()
    try:
        into(two_layers, registry.host)
        failed = two_layers.tool("apply", expect=3)
        assert "disk is full" in failed.stderr
        assert two_layers.record_files() == []
        (finished,) = registry.uploads()
        small_disk.resize(40_000)
        two_layers.tool("apply")
        assert registry.uploads().count(finished) == 1
        assert weight_layers(two_layers) <= set(registry.uploads())
        assert require_finished(two_layers)
    finally:
        registry.stop()


@pytest.mark.parametrize("failpoint", ["blob-written:2", "blobs-published", "image-tagged"])
def test_docker_registry_gets_each_blob_once(
    applied: Applied, docker_registry: DockerRegistry, failpoint: str
) -> None:
    into(applied, docker_registry.host).kill_at(failpoint)
    applied.tool("apply")
    uploads = docker_registry.uploads()
    assert len(uploads) == len(set(uploads))
    assert applied.json("apply")["results"] == []
    name = f"docker://{docker_registry.host}/team/minilm"
    command = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}"]
    for tag in ("1.0.0", "1.0.1", "weights-1.0.0"):
        seen = subprocess.run(
            [*command, f"{name}:{tag}"], check=True, capture_output=True, text=True
        )
        assert seen.stdout.strip().startswith("sha256:")


@pytest.mark.xdist_group("engine")
def test_docker_pulls_the_same_files(
    applied: Applied, docker_registry: DockerRegistry, docker_host: str
) -> None:
    into(applied, docker_registry.host).tool("apply")
    (record, _) = applied.record_files("builds/")
    (complete, *_) = yaml.safe_load(applied.record(record))["spec"]["images"]
    image = f"{docker_registry.host}/team/minilm@{complete['digest']}"
    engine = docker.DockerClient(docker_host)
    try:
        engine.images.pull(image)
        container = engine.api.create_container(image, "/never-run")
        exported = io.BytesIO(b"".join(engine.api.export(container)))
        engine.api.remove_container(container)
        engine.images.remove(image)
    finally:
        engine.close()
    with tarfile.open(fileobj=exported) as archive:
        files = {
            member.name: (
                stat.S_IMODE(member.mode),
                member.uid,
                member.gid,
                archive.extractfile(member),
            )
            for member in archive.getmembers()
            if member.isfile()
        }
        read = {name: file.read() for name, (*_, file) in files.items() if file is not None}
    for path in ("model.bin", "config.json"):
        stored = (applied.storage / "minilm" / path).read_bytes()
        assert read[f"models/minilm/{path}"] == stored
        assert files[f"models/minilm/{path}"][:3] == (0o644, 0, 0)
    assert read["etc/motd"].startswith(b"hello from minilm")


def test_another_model_is_mounted_by_docker_registry(
    applied: Applied, docker_registry: DockerRegistry
) -> None:
    into(applied, docker_registry.host).tool("apply")
    before = docker_registry.uploads()
    another_model(applied, "bert")
    applied.tool("apply")
    layers = weight_layers(applied)
    assert not layers & set(docker_registry.uploads()[len(before) :])
    assert len(docker_registry.requests("POST", "mount=", 201)) >= len(layers)
