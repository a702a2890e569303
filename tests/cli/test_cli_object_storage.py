"""Locks and files of releases that live in S3, on the command line."""

from __future__ import annotations

import hashlib
import os
import random
import sys
from pathlib import Path

import pytest
from registries import RegistryFolder
from services.http_proxy import Fault
from services.object_storage import ObjectStorage

from registry_tool.manifests.loading import load
from registry_tool.oci import packing
from registry_tool.repository.repository import Repository
from registry_tool.storage import local, ranges, s3_upload

WEIGHTS = random.Random(11).randbytes(300_000)
LOCK = "manifests/releases/minilm/1.0.0/none.lock.yaml"


@pytest.fixture(params=["plain", "versions"])
def url(request: pytest.FixtureRequest, object_storage: ObjectStorage) -> str:
    """Where the files of minilm are: in a bucket without and in one with versions."""
    bucket = object_storage.bucket(versions=request.param == "versions")
    object_storage.put(f"s3://{bucket}/minilm/model.bin", WEIGHTS)
    object_storage.put(f"s3://{bucket}/minilm/config.json", b"{}")
    return f"s3://{bucket}/minilm"


@pytest.fixture
def locked(cli, registry: RegistryFolder, url: str) -> RegistryFolder:
    """minilm/1.0.0, moved to S3 and locked there."""
    root = url.rpartition("/")[0]
    registry.replace("manifests/registry.yaml", str(registry.storage), root)
    registry.replace("manifests/models/minilm.yaml", str(registry.storage), root)
    ran = cli("lock", "minilm/1.0.0")
    assert ran.code == 0, ran.err
    registry.commit("Move to S3")
    return registry


def lock_of(registry: RegistryFolder, release: str = "minilm/1.0.0/none"):
    with Repository.open(registry.path) as repository:
        desired = load(repository.work_tree_snapshot()).desired
        assert desired is not None
        return {str(name): lock.manifest.spec for name, lock in desired.locks.items()}[release]


def test_a_lock_has_entity_tags_and_versions_where_there_are_any(
    locked: RegistryFolder, url: str, object_storage: ObjectStorage
) -> None:
    config, model = lock_of(locked).files
    assert config.etag == hashlib.md5(b"{}").hexdigest()
    assert model.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    bucket = url.removeprefix("s3://").partition("/")[0]
    head = object_storage.client.head_object(Bucket=bucket, Key="minilm/model.bin")
    assert model.version_id == head.get("VersionId")


def test_locking_again_reads_nothing_unless_it_is_told_to(
    cli, locked: RegistryFolder, object_storage: ObjectStorage
) -> None:
    object_storage.proxy.requests.clear()
    ran = cli("lock", "minilm/1.0.0")
    assert ran.out.startswith("unchanged release/minilm/1.0.0/none")
    assert "2 of 2 files are unchanged: not read again" in ran.err
    assert object_files(object_storage) == []
    assert cli("lock", "minilm/1.0.0", "--rehash").out.startswith("unchanged")
    assert object_files(object_storage) == ["config.json", "model.bin"]


def object_files(object_storage: ObjectStorage) -> list[str]:
    """Names of the objects whose content was asked for."""
    targets = {request.target.partition("?")[0] for request in object_storage.gets()}
    return sorted(target.rpartition("/")[2] for target in targets if target.count("/") > 1)


def test_another_release_of_the_same_files_reads_nothing(
    cli, locked: RegistryFolder, object_storage: ObjectStorage
) -> None:
    locked.release("minilm", "2.0.0", lock=False)
    object_storage.proxy.requests.clear()
    assert cli("lock", "minilm/2.0.0").code == 0
    assert object_files(object_storage) == []
    assert lock_of(locked, "minilm/2.0.0/none").layers == lock_of(locked).layers


def test_an_overwritten_object_is_found_by_head_requests_alone(
    cli, locked: RegistryFolder, url: str, object_storage: ObjectStorage
) -> None:
    object_storage.proxy.requests.clear()
    ran = cli("artifact", "verify", "minilm/1.0.0")
    expected = "verified release/minilm/1.0.0/none: 2 files, presence, size, entity tag\n"
    assert (ran.code, ran.out) == (0, expected)
    object_storage.put(f"{url}/model.bin", WEIGHTS[::-1])
    ran = cli("artifact", "verify", "minilm/1.0.0")
    assert ran.code == 1
    assert "  model.bin: " in ran.out
    assert {request.method for request in object_storage.proxy.requests} == {"HEAD"}
    assert object_storage.proxy.count("HEAD") == 4
    ran = cli("artifact", "verify", "minilm/1.0.0", "--deep", "--format", "json")
    ((mismatch,),) = [item["mismatches"] for item in ran.json["items"]]
    assert (mismatch["path"], mismatch["kind"]) == ("model.bin", "sha256")


def test_a_deleted_object_and_a_deleted_bucket_are_told_apart(
    cli, locked: RegistryFolder, url: str, object_storage: ObjectStorage
) -> None:
    bucket = url.removeprefix("s3://").partition("/")[0]
    object_storage.client.delete_object(Bucket=bucket, Key="minilm/model.bin")
    ran = cli("artifact", "verify", "minilm/1.0.0")
    assert (ran.code, ran.out.splitlines()[1]) == (1, "  model.bin is missing")
    locked.replace("manifests/models/minilm.yaml", bucket, bucket + "-gone")
    locked.replace("manifests/registry.yaml", bucket, bucket + "-gone")
    ran = cli("artifact", "verify", "minilm/1.0.0")
    assert ran.code == 3
    assert f"there is no bucket {bucket}-gone" in ran.err


def test_add_uploads_and_locks_without_reading_anything_back(
    cli,
    locked: RegistryFolder,
    url: str,
    object_storage: ObjectStorage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_upload, "PART", 5 << 20)
    monkeypatch.setattr(packing, "ALONE_SIZE", 200_000)
    assert cli("lock", "minilm/1.0.0").code == 0
    data = random.Random(13).randbytes(6 << 20)
    (tmp_path / "draft.safetensors").write_bytes(data)
    object_storage.proxy.requests.clear()
    ran = cli("artifact", "add", "minilm/1.0.0", tmp_path / "draft.safetensors", "--to", "onnx/")
    assert ran.code == 0, ran.err
    assert object_storage.read(f"{url}/onnx/draft.safetensors") == data
    assert object_storage.proxy.count("PUT") == 2
    assert object_files(object_storage) == []
    _, model, draft = lock_of(locked).files
    assert draft.sha256 == hashlib.sha256(data).hexdigest()
    assert draft.etag is not None
    assert draft.etag.endswith("-2")
    assert (draft.version_id is None) is (model.version_id is None)
    assert cli("artifact", "verify", "minilm/1.0.0", "--deep").code == 0
    ran = cli("lock", "minilm/1.0.0", "--rehash")
    assert ran.out.startswith("unchanged"), ran.out  # the layers were right, too


def test_add_never_overwrites_update_does(
    cli, locked: RegistryFolder, url: str, object_storage: ObjectStorage, tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"mine")
    ran = cli("artifact", "add", "minilm/1.0.0", tmp_path / "model.bin")
    assert ran.code == 1
    assert "exists already, and add never overwrites" in ran.err
    assert object_storage.read(f"{url}/model.bin") == WEIGHTS
    ran = cli("artifact", "update", "minilm/1.0.0", tmp_path / "model.bin")
    assert ran.code == 0, ran.err
    assert object_storage.read(f"{url}/model.bin") == b"mine"
    assert cli("artifact", "verify", "minilm/1.0.0").code == 0
    assert cli("artifact", "remove", "minilm/1.0.0", "config.json").code == 0
    assert [file.path for file in lock_of(locked).files] == ["model.bin"]


def test_the_first_file_of_a_release_needs_no_folder(
    cli, locked: RegistryFolder, url: str, object_storage: ObjectStorage, tmp_path: Path
) -> None:
    root = url.rpartition("/")[0]
    locked.write(
        "manifests/models/bert.yaml",
        f"apiVersion: registry-tool/v1\nkind: Model\nmetadata: {{name: bert}}\n"
        f"spec: {{storage_path: '{root}/bert'}}\n",
    )
    locked.release("bert", "1.0.0", lock=False)
    (tmp_path / "bert.gguf").write_bytes(b"gguf")
    ran = cli("artifact", "add", "bert/1.0.0", tmp_path / "bert.gguf")
    assert ran.code == 0, ran.err
    assert object_storage.read(f"{root}/bert/bert.gguf") == b"gguf"


def test_a_file_that_changes_between_upload_and_lock_is_noticed(
    cli, locked: RegistryFolder, object_storage: ObjectStorage, tmp_path: Path, monkeypatch
) -> None:
    file = tmp_path / "draft.bin"
    file.write_bytes(b"before")
    real = s3_upload.upload

    def changing(*arguments, **options) -> None:
        real(*arguments, **options)
        file.write_bytes(b"behind")

    monkeypatch.setattr("registry_tool.storage.s3.upload", changing)
    ran = cli("artifact", "add", "minilm/1.0.0", file)
    assert ran.code == 1
    assert "draft.bin is not what was copied from" in ran.err
    assert [entry.path for entry in lock_of(locked).files] == ["config.json", "model.bin"]


def test_pull_asks_only_for_the_missing_end_of_a_file(
    cli, locked: RegistryFolder, object_storage: ObjectStorage, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 100_000)
    # The server gives up in the middle, more often than anybody tries again.
    fault = Fault("GET", "model.bin", times=99, cut_after=20_000)
    object_storage.proxy.faults.append(fault)
    folder = tmp_path / "pulled"
    ran = cli("artifact", "pull", "minilm/1.0.0", folder)
    assert ran.code == 3
    fault.times = 0
    partial = folder / f".model.bin.{hashlib.sha256(WEIGHTS).hexdigest()[:12]}.partial"
    partial.write_bytes(WEIGHTS[:150_000])
    object_storage.proxy.requests.clear()
    ran = cli("artifact", "pull", "minilm/1.0.0", folder)
    assert ran.code == 0, ran.err
    asked = [request for request in object_storage.gets() if "model.bin" in request.target]
    assert sorted(request.headers["range"] for request in asked) == [
        "bytes=150000-249999",
        "bytes=250000-299999",
    ]
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.bin"]


def test_pull_brings_the_locked_version_or_says_that_it_is_gone(
    cli, locked: RegistryFolder, url: str, object_storage: ObjectStorage, tmp_path: Path
) -> None:
    kept = lock_of(locked).files[1].version_id is not None
    object_storage.put(f"{url}/model.bin", b"new weights")
    ran = cli("artifact", "pull", "minilm/1.0.0", tmp_path / "pulled")
    if kept:
        assert ran.code == 0, ran.err
        assert (tmp_path / "pulled/model.bin").read_bytes() == WEIGHTS
    else:
        assert ran.code == 1
        assert "error[RT507]" in ran.err
        assert "model.bin was replaced" in ran.err


def test_the_same_bytes_uploaded_again_may_be_locked_also_when_released(
    cli, locked: RegistryFolder, url: str, object_storage: ObjectStorage
) -> None:
    cli("promote", "minilm/1.0.0", "--commit")
    before = lock_of(locked)
    parts = object_storage.client.create_multipart_upload(
        Bucket=url.split("/")[2], Key="minilm/model.bin"
    )
    request = {
        "Bucket": url.split("/")[2],
        "Key": "minilm/model.bin",
        "UploadId": parts["UploadId"],
    }
    part = object_storage.client.upload_part(**request, PartNumber=1, Body=WEIGHTS)
    object_storage.client.complete_multipart_upload(
        **request, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    assert cli("artifact", "verify", "minilm/1.0.0").code == 1
    ran = cli("lock", "minilm/1.0.0", "--commit")
    assert ran.code == 0, ran.err
    after = lock_of(locked)
    assert after.files[1].etag != before.files[1].etag
    assert (after.set_digest, after.layers) == (before.set_digest, before.layers)
    assert cli("validate").code == 0
    object_storage.put(f"{url}/model.bin", b"other bytes")
    ran = cli("lock", "minilm/1.0.0")
    assert ran.code == 1
    assert "error[RT301]" in ran.err


def test_local_files_are_read_again_only_when_they_were_written(
    cli, registry: RegistryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.release("minilm", "2.0.0", lock=False)
    model = registry.storage / "minilm/model.bin"
    # Young files are never believed to be unchanged; here all are old.
    monkeypatch.setattr(local, "_SETTLED", -(10**18))
    ran = cli("lock", "minilm/2.0.0")
    assert "Hashing 1 file" in ran.err
    assert "Hashing 1 files" not in ran.err
    assert "1 of 1 files are unchanged" in cli("lock", "minilm/2.0.0").err
    status = model.stat()
    model.write_bytes(model.read_bytes()[::-1])
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    ran = cli("lock", "minilm/2.0.0")
    assert "unchanged: not read" not in ran.err
    assert ran.out.startswith("locked anew")


def test_a_missing_extra_is_named(cli, locked: RegistryFolder, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    ran = cli("lock", "minilm/1.0.0")
    assert ran.code == 3
    assert (
        "error[RT508]: s3:// cannot be used: the library for this scheme is not installed"
        in ran.err
    )
    assert "help: pip install 'registry-tool[s3]'" in ran.err
