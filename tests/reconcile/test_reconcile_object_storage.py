"""Releases whose weights are in S3, from lock to image."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from services.http_proxy import Fault
from services.object_storage import ObjectStorage

from registry_tool.oci import packing
from registry_tool.reconcile import failing
from registry_tool.storage import ranges

if TYPE_CHECKING:
    from conftest import Applied
else:
    Applied = Any

FILES = {
    "a.safetensors": random.Random(1).randbytes(700_000),
    "b.safetensors": random.Random(2).randbytes(400_000),
    "config.json": b"{}",
}


@pytest.fixture
def bucket(request: pytest.FixtureRequest, object_storage: ObjectStorage) -> str:
    name = object_storage.bucket(versions=getattr(request, "param", False))
    for path, data in FILES.items():
        object_storage.put(f"s3://{name}/minilm/{path}", data)
    return name


@pytest.fixture
def in_s3(applied: Applied, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Applied:
    """Both releases with their weights in S3, locked there, in three layers and several ranges."""
    monkeypatch.setattr(packing, "ALONE_SIZE", 300_000)
    monkeypatch.setattr(ranges, "RANGE", 200_000)
    monkeypatch.setattr(failing, "DELAYS", (0.01, 0.01, 0.01))
    for path in ("manifests/registry.yaml", "manifests/models/minilm.yaml"):
        applied.replace(path, str(applied.storage), f"s3://{bucket}")
    applied.commit("Move to S3")
    for version in ("1.0.0", "1.0.1"):
        applied.lock(f"minilm/{version}")
    applied.commit("Lock in S3")
    return applied


def read_objects(object_storage: ObjectStorage) -> list[str]:
    """The object of every request for content."""
    targets = [request.target.partition("?")[0] for request in object_storage.gets()]
    return [target.rpartition("/")[2] for target in targets if target.count("/") > 1]


def build_results(applied: Applied, release: str) -> list[tuple[str, str]]:
    records = [
        yaml.safe_load(applied.record(path))["spec"]
        for path in applied.record_files(f"builds/{release}/")
    ]
    return [(record["result"], record.get("error", "")) for record in records]


both_kinds = pytest.mark.parametrize(
    "bucket", [False, True], indirect=True, ids=["plain", "versions"]
)


@both_kinds
def test_weights_go_from_s3_into_the_store_once(
    in_s3: Applied, object_storage: ObjectStorage
) -> None:
    object_storage.proxy.requests.clear()
    report = in_s3.json("apply")
    assert {entry["result"] for entry in report["results"]} == {"created"}
    # The second release has the same weights: each range was asked for once.
    assert sorted(read_objects(object_storage)) == [
        *["a.safetensors"] * 4,
        *["b.safetensors"] * 2,
        "config.json",
    ]
    in_s3.release("minilm", "1.0.2", lock=False)
    object_storage.proxy.requests.clear()
    in_s3.lock("minilm/1.0.2")
    in_s3.commit("Release 1.0.2")
    in_s3.json("apply")
    assert {"1.0.2", "weights-1.0.2"} <= set(in_s3.tags("minilm"))
    assert read_objects(object_storage) == []


@both_kinds
def test_an_overwritten_object_ends_the_build_before_anything_is_read_unless_its_version_is_kept(
    in_s3: Applied, object_storage: ObjectStorage, bucket: str
) -> None:
    version = object_storage.put(f"s3://{bucket}/minilm/b.safetensors", b"x" * 400_000)
    object_storage.proxy.requests.clear()
    if version:
        assert {entry["result"] for entry in in_s3.json("apply")["results"]} == {"created"}
        return
    done = in_s3.tool("apply", expect=1)
    assert "b.safetensors: etag is" in done.stdout + done.stderr
    assert read_objects(object_storage) == []
    ((result, error),) = build_results(in_s3, "minilm/1.0.0")
    assert result == "failed"
    assert "b.safetensors" in error


@pytest.mark.parametrize("bucket", [True], indirect=True, ids=["versions"])
def test_a_locked_version_that_is_gone_is_named(
    in_s3: Applied, object_storage: ObjectStorage, bucket: str
) -> None:
    key = "minilm/b.safetensors"
    version = object_storage.client.head_object(Bucket=bucket, Key=key)["VersionId"]
    object_storage.put(f"s3://{bucket}/{key}", FILES["b.safetensors"])
    object_storage.client.delete_object(Bucket=bucket, Key=key, VersionId=version)
    done = in_s3.tool("apply", expect=3)
    assert f"b.safetensors has no version {version}" in done.stderr
    assert in_s3.record_files("builds/") == []


def test_a_connection_that_is_cut_now_and_then_does_not_matter(
    in_s3: Applied, object_storage: ObjectStorage
) -> None:
    object_storage.proxy.faults += [
        Fault("GET", "a.safetensors", times=2, cut_after=90_000),
        Fault("GET", "b.safetensors", times=1, status=503, code="SlowDown"),
        Fault("HEAD", times=2, status=500),
    ]
    assert {entry["result"] for entry in in_s3.json("apply")["results"]} == {"created"}


def test_a_store_that_stops_in_the_middle_leaves_finished_layers_for_the_next_apply(
    in_s3: Applied, object_storage: ObjectStorage
) -> None:
    fault = Fault("GET", "a.safetensors", times=10_000, cut_after=90_000)
    object_storage.proxy.faults.append(fault)
    done = in_s3.tool("apply", expect=3)
    assert "a.safetensors cannot be read" in done.stderr
    assert in_s3.record_files("builds/") == []
    assert not set(in_s3.tags("minilm")) & {"1.0.0", "runtime-1.0.0", "weights-1.0.0"}
    fault.times = 0
    object_storage.proxy.requests.clear()
    in_s3.tool("apply")
    assert set(read_objects(object_storage)) == {"a.safetensors"}
    assert build_results(in_s3, "minilm/1.0.0") == [("succeeded", "")]
    assert in_s3.json("apply")["results"] == []


def test_a_store_that_is_down_is_waited_for(in_s3: Applied, object_storage: ObjectStorage) -> None:
    object_storage.proxy.stop()
    done = in_s3.tool("apply", expect=3)
    assert "Could not connect" in done.stderr
    assert "AWS_ENDPOINT_URL" in done.stderr
    assert in_s3.record_files() == []
    object_storage.proxy.start()
    in_s3.tool("apply")
    assert build_results(in_s3, "minilm/1.0.0") == [("succeeded", "")]


_APPLY = """
import sys
from registry_tool.cli.main import run

code = run(["-q", "apply"])
status = open("/proc/self/status").read()
print("MiB", int(status.split("VmHWM:")[1].split()[0]) >> 10, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
def test_memory_of_a_build_from_s3_stays_bounded(
    in_s3: Applied, object_storage: ObjectStorage, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 8 << 20)
    data = bytes(80 << 20)
    for name in "cdef":
        object_storage.put(f"s3://{bucket}/minilm/{name}.safetensors", data[: -ord(name)])
    in_s3.lock("minilm/1.0.0")
    in_s3.commit("Larger weights")
    done = subprocess.run(
        [sys.executable, "-c", _APPLY],
        cwd=in_s3.path,
        env=os.environ | object_storage.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split("MiB")[1]) < 256
