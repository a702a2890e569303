"""S3 as a real server speaks it: what is listed, pinned, read, written, and said about failures."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from services.http_proxy import Fault
from services.object_storage import ObjectStorage

from registry_tool.errors import ContentMismatch, StorageProblem
from registry_tool.storage import ranges, s3_upload
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import Absent, StoredFile

WEIGHTS = random.Random(3).randbytes(1_000_000)


@pytest.fixture
def root(object_storage: ObjectStorage) -> str:
    """A folder of a bucket without versions."""
    url = f"s3://{object_storage.bucket()}/minilm"
    object_storage.put(f"{url}/config.json", b"{}")
    object_storage.put(f"{url}/onnx/model.onnx", WEIGHTS)
    return url


@pytest.fixture
def storage(root: str) -> Storage:
    return Storage([root.rpartition("/")[0]])


@pytest.fixture
def versions(object_storage: ObjectStorage) -> str:
    """A folder of a bucket that keeps versions."""
    url = f"s3://{object_storage.bucket(versions=True)}/minilm"
    object_storage.put(f"{url}/config.json", b"{}")
    object_storage.put(f"{url}/model.onnx", WEIGHTS)
    return url


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE", 400_000)


def test_objects_below_a_folder_are_listed_with_entity_tags(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    object_storage.put(f"{root}-v2/other.bin", b"of another folder")
    object_storage.put(f"{root}/empty/", b"")  # a marker that some programs leave
    config, model = storage.files(f"{root}/")
    assert (config.path, config.size, config.version_id) == ("config.json", 2, None)
    assert config.etag == "99914b932bd37a50b983c5e7c90ae93b"  # the MD5 of {}
    assert (model.path, model.size) == ("onnx/model.onnx", len(WEIGHTS))


def test_lists_of_several_pages_are_read_to_their_end(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    for number in range(120):
        object_storage.put(f"{root}/many/{number:04}", b"")
    assert len(storage.files(f"{root}/many")) == 120
    assert object_storage.proxy.count("GET") == 3


@pytest.mark.parametrize("path", ["50% +plus & more.bin", "modèle?versionId=1.bin", "a/b c/d"])
def test_odd_names_survive(storage: Storage, root: str, path: str) -> None:
    storage.write(root, path, [b"odd"])
    assert path in {file.path for file in storage.files(root)}
    assert storage.stat(root, path).size == 3
    with storage.open(root, path) as file:
        assert file.read() == b"odd"


def test_a_missing_folder_a_missing_object_and_a_file_as_folder_are_named(
    storage: Storage, root: str
) -> None:
    with pytest.raises(StorageProblem, match="none does not exist") as caught:
        storage.files(f"{root}/none")
    assert (caught.value.code, caught.value.transient) == ("RT508", False)
    with pytest.raises(StorageProblem, match=r"config\.json is a file"):
        storage.files(f"{root}/config.json")
    with pytest.raises(StorageProblem, match=r"minilm/none\.bin does not exist"):
        storage.open(root, "none.bin")
    assert storage.find(root, "none.bin") == Absent("does not exist")
    with pytest.raises(StorageProblem, match=r"none\.bin does not exist"):
        storage.delete(root, "none.bin")


def test_a_missing_bucket_is_named_whatever_is_asked(object_storage: ObjectStorage) -> None:
    storage = Storage(["s3://no-such-bucket"])
    calls: list[Callable[[], object]] = [
        lambda: storage.files("s3://no-such-bucket/x"),
        lambda: storage.check("s3://no-such-bucket/x"),
        lambda: storage.write("s3://no-such-bucket/x", "file", [b"x"]),
    ]
    for call in calls:
        with pytest.raises(StorageProblem, match="there is no bucket no-such-bucket") as caught:
            call()
        assert not caught.value.transient
        assert object_storage.proxy.url in (caught.value.help or "")


def test_an_object_is_read_in_ranges_in_order_from_any_offset(
    storage: Storage, root: str, object_storage: ObjectStorage, small_ranges: None
) -> None:
    expected = storage.stat(root, "onnx/model.onnx")
    object_storage.proxy.requests.clear()
    with storage.open(root, "onnx/model.onnx", expected=expected) as file:
        assert file.read() == WEIGHTS
    asked = sorted(request.headers["range"] for request in object_storage.gets())
    assert asked == ["bytes=0-399999", "bytes=400000-799999", "bytes=800000-999999"]
    assert {request.headers["if-match"] for request in object_storage.gets()} == {
        f'"{expected.etag}"'
    }
    assert object_storage.proxy.count("HEAD") == 0
    with storage.open(root, "onnx/model.onnx", offset=700_001) as file:
        assert file.read() == WEIGHTS[700_001:]


def test_ranges_that_arrive_in_another_order_are_read_in_theirs(
    storage: Storage, root: str, object_storage: ObjectStorage, small_ranges: None
) -> None:
    # The first range is cut off and asked for again, so that it comes after the two others.
    object_storage.proxy.faults.append(Fault("GET", times=1, cut_after=50_000))
    with storage.open(root, "onnx/model.onnx") as file:
        assert file.read() == WEIGHTS
    assert len(object_storage.gets()) == 4


def test_an_empty_object_is_read_without_a_request(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    storage.write(root, "empty.txt", [])
    with storage.open(root, "empty.txt") as file:
        assert file.read() == b""
    assert object_storage.gets() == []


def test_an_object_that_is_overwritten_while_it_is_read_is_noticed(
    storage: Storage, root: str, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 100_000)
    monkeypatch.setattr(ranges, "AHEAD", 1)
    with storage.open(root, "onnx/model.onnx") as file:
        assert file.read(10) == WEIGHTS[:10]
        object_storage.put(f"{root}/onnx/model.onnx", WEIGHTS[::-1])
        with pytest.raises(ContentMismatch, match=r"model\.onnx was replaced") as caught:
            file.read()
    assert caught.value.code == "RT507"


def test_an_object_of_another_size_or_entity_tag_than_expected_is_not_read(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    path = "onnx/model.onnx"
    known = storage.stat(root, path)
    others = [
        StoredFile(path, known.size, etag="0" * 32),
        StoredFile(path, known.size - 1, etag=known.etag),
        StoredFile(path, known.size + 1, etag=known.etag),
        StoredFile(path, known.size - 1),
    ]
    for expected in others:
        with (
            pytest.raises(ContentMismatch, match="was replaced"),
            storage.open(root, path, expected=expected) as file,
        ):
            file.read()


def test_versions_are_found_by_head_requests_only_where_a_bucket_has_them(
    root: str, versions: str, object_storage: ObjectStorage
) -> None:
    storage = Storage([root, versions])
    for url, heads in ((root, 1), (versions, 2)):
        listed = storage.files(url)
        object_storage.proxy.requests.clear()
        found = storage.versioned(url, listed)
        assert [(file.path, file.size, file.etag) for file in found] == [
            (file.path, file.size, file.etag) for file in listed
        ]
        assert all((file.version_id is not None) is (url == versions) for file in found)
        assert object_storage.proxy.count("HEAD") == heads


def test_an_object_from_before_versions_were_kept_does_not_hide_the_others(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    bucket = root.removeprefix("s3://").partition("/")[0]
    object_storage.client.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    version = object_storage.put(f"{root}/onnx/model.onnx", WEIGHTS)
    config, model = storage.versioned(root, storage.files(root))
    assert config.version_id is None
    assert model.version_id == version


def test_a_version_stays_readable_after_the_object_was_overwritten_or_deleted(
    versions: str, object_storage: ObjectStorage
) -> None:
    storage = Storage([versions])
    (_, model) = storage.versioned(versions, storage.files(versions))
    object_storage.put(f"{versions}/model.onnx", b"new")
    for _ in range(2):
        with storage.open(versions, "model.onnx", expected=model) as file:
            assert file.read() == WEIGHTS
        assert storage.find(versions, "model.onnx", model.version_id) == model
        storage.delete(versions, "model.onnx") if storage.files(versions)[1:] else None
    assert storage.find(versions, "model.onnx") == Absent("does not exist")
    bucket, _, key = f"{versions}/model.onnx".removeprefix("s3://").partition("/")
    object_storage.client.delete_object(Bucket=bucket, Key=key, VersionId=model.version_id)
    missing = storage.find(versions, "model.onnx", model.version_id)
    assert missing == Absent(f"has no version {model.version_id}")


def test_access_denied_is_said_once_and_at_once(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    bucket = root.removeprefix("s3://").partition("/")[0]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    object_storage.client.put_bucket_policy(Bucket=bucket, Policy=policy)
    object_storage.proxy.requests.clear()
    with pytest.raises(StorageProblem, match="cannot be read: access denied") as caught:
        storage.open(root, "config.json")
    assert (caught.value.code, caught.value.transient) == ("RT508", False)
    assert "s3:GetObject" in (caught.value.help or "")
    assert len(object_storage.proxy.requests) == 1
    with pytest.raises(StorageProblem, match="cannot be written: access denied"):
        storage.write(root, "new.bin", [b"x"], replace=False)


@pytest.mark.parametrize(
    ("status", "code", "message", "help_"),
    [
        (403, "InvalidAccessKeyId", "credentials were refused", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "credentials were refused", "AWS_ACCESS_KEY_ID"),
        (400, "ExpiredToken", "credentials were refused", "AWS_ACCESS_KEY_ID"),
        (301, "PermanentRedirect", "in another region", "AWS_REGION"),
        (400, "InvalidRequest", r"as the test wants it \(InvalidRequest\)", ""),
    ],
)
def test_what_needs_a_person_is_not_tried_again(
    storage: Storage,
    root: str,
    object_storage: ObjectStorage,
    status: int,
    code: str,
    message: str,
    help_: str,
) -> None:
    object_storage.proxy.faults.append(Fault("GET", times=99, status=status, code=code))
    with pytest.raises(StorageProblem, match=message) as caught:
        storage.files(root)
    assert not caught.value.transient
    assert help_ in (caught.value.help or "")
    assert object_storage.proxy.count("GET") <= 2  # one more asks for the bucket's region


@pytest.mark.parametrize(("status", "code"), [(503, "SlowDown"), (500, "InternalError")])
def test_a_busy_server_is_asked_again(
    storage: Storage, root: str, object_storage: ObjectStorage, status: int, code: str
) -> None:
    fault = Fault("GET", times=2, status=status, code=code)
    object_storage.proxy.faults.append(fault)
    assert len(storage.files(root)) == 2
    fault.times = 2
    with storage.open(root, "config.json") as file:
        assert file.read() == b"{}"
    fault.times = 99
    with pytest.raises(StorageProblem, match=code) as caught:
        storage.files(root)
    assert caught.value.transient


def test_a_connection_that_is_cut_in_the_middle_is_made_again_for_that_range_only(
    storage: Storage, root: str, object_storage: ObjectStorage, small_ranges: None
) -> None:
    fault = Fault("GET", "model.onnx", times=2, cut_after=200_000)
    object_storage.proxy.faults.append(fault)
    with storage.open(root, "onnx/model.onnx") as file:
        assert file.read() == WEIGHTS
    assert len(object_storage.gets()) == 5
    assert object_storage.proxy.bytes_down < len(WEIGHTS) + 500_000
    fault.times = 99
    with storage.open(root, "onnx/model.onnx") as file, pytest.raises(StorageProblem) as caught:
        file.read()
    assert caught.value.transient


def test_a_server_that_is_down_is_named_and_used_again_when_it_is_back(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    object_storage.proxy.stop()
    with pytest.raises(StorageProblem, match="Could not connect") as caught:
        storage.files(root)
    assert caught.value.transient
    assert f"AWS_ENDPOINT_URL ({object_storage.proxy.url})" in (caught.value.help or "")
    object_storage.proxy.start()
    assert len(storage.files(root)) == 2


def test_closing_a_reader_early_ends_its_requests(
    storage: Storage, root: str, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 10_000)
    with storage.open(root, "onnx/model.onnx") as file:
        assert file.read(5) == WEIGHTS[:5]
    assert len(object_storage.gets()) <= ranges.AHEAD + 1


# --- Writing -------------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Five MiB: no server takes smaller ones."""
    monkeypatch.setattr(s3_upload, "PART", 5 << 20)
    monkeypatch.setattr(s3_upload, "_UNKNOWN_SIZE_PART", 5 << 20)
    return 5 << 20


def uploads(object_storage: ObjectStorage, root: str) -> list[object]:
    """What was begun in parts and neither finished nor taken back."""
    bucket = root.removeprefix("s3://").partition("/")[0]
    found: list[object] = object_storage.client.list_multipart_uploads(Bucket=bucket).get(
        "Uploads", []
    )
    return found


def pieces(data: bytes, size: int = 1 << 20) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("known", [True, False])
def test_a_large_file_is_uploaded_in_parts_and_a_small_one_at_once(
    storage: Storage, root: str, object_storage: ObjectStorage, small_parts: int, known: bool
) -> None:
    data = random.Random(5).randbytes(2 * small_parts + 17)
    size = len(data) if known else None
    object_storage.proxy.requests.clear()
    storage.write(root, "big.bin", pieces(data), size=size)
    assert object_storage.read(f"{root}/big.bin") == data
    assert object_storage.proxy.count("PUT") == 3
    assert storage.stat(root, "big.bin").etag == s3_etag(data, small_parts)
    storage.write(root, "small.bin", pieces(data[:small_parts]))
    assert object_storage.proxy.count("PUT") == 4
    assert all(
        request.headers["content-md5"]
        for request in object_storage.proxy.requests
        if request.method == "PUT"
    )


def s3_etag(data: bytes, part: int) -> str:
    import hashlib

    digests = [hashlib.md5(piece).digest() for piece in pieces(data, part)]
    return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def test_nothing_is_overwritten_unless_it_is_to_be_replaced(
    storage: Storage, root: str, object_storage: ObjectStorage, small_parts: int
) -> None:
    with pytest.raises(StorageProblem, match=r"config\.json exists already"):
        storage.write(root, "config.json", [b"[]"], replace=False)
    assert object_storage.proxy.count("PUT") == 0
    storage.write(root, "config.json", [b"[]"])
    assert object_storage.read(f"{root}/config.json") == b"[]"


@pytest.mark.parametrize("size", [10, 7 << 20])
def test_somebody_who_writes_the_same_object_meanwhile_wins(
    storage: Storage, root: str, object_storage: ObjectStorage, small_parts: int, size: int
) -> None:
    def chunks() -> Iterator[bytes]:
        object_storage.put(f"{root}/new.bin", b"theirs")
        yield bytes(size)

    with pytest.raises(StorageProblem, match=r"new\.bin exists already"):
        storage.write(root, "new.bin", chunks(), replace=False)
    assert object_storage.read(f"{root}/new.bin") == b"theirs"
    assert uploads(object_storage, root) == []


@pytest.mark.parametrize(("method", "size"), [("PUT", 10), ("POST", 7 << 20)])
def test_an_upload_whose_answer_was_lost_is_not_taken_for_somebody_elses(
    storage: Storage,
    root: str,
    object_storage: ObjectStorage,
    small_parts: int,
    method: str,
    size: int,
) -> None:
    target = "" if method == "PUT" else "uploadId="
    object_storage.proxy.faults.append(Fault(method, target, cut_after=0))
    data = random.Random(7).randbytes(size)
    storage.write(root, "new.bin", pieces(data), replace=False)
    assert object_storage.read(f"{root}/new.bin") == data


def test_an_upload_that_is_given_up_leaves_no_parts(
    storage: Storage, root: str, object_storage: ObjectStorage, small_parts: int
) -> None:
    def failing() -> Iterator[bytes]:
        yield bytes(small_parts * 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write(root, "new.bin", failing())
    object_storage.proxy.faults.append(
        Fault("PUT", "partNumber=2", times=99, status=503, code="SlowDown")
    )
    with pytest.raises(StorageProblem, match="SlowDown"):
        storage.write(root, "new.bin", pieces(bytes(small_parts * 3)))
    assert uploads(object_storage, root) == []
    assert isinstance(storage.find(root, "new.bin"), Absent)


def test_a_part_that_was_cut_off_is_sent_again_alone(
    storage: Storage, root: str, object_storage: ObjectStorage, small_parts: int
) -> None:
    data = random.Random(9).randbytes(3 * small_parts)
    object_storage.proxy.faults.append(Fault("PUT", "partNumber=2", times=2, cut_after=0))
    object_storage.proxy.requests.clear()
    storage.write(root, "new.bin", pieces(data), size=len(data))
    assert object_storage.read(f"{root}/new.bin") == data
    assert object_storage.proxy.count("PUT") == 5


def test_a_server_without_conditional_writes_is_asked_before(
    storage: Storage, root: str, object_storage: ObjectStorage
) -> None:
    object_storage.proxy.faults.append(Fault("PUT", status=501, code="NotImplemented"))
    storage.write(root, "new.bin", [b"new"], replace=False)
    assert object_storage.read(f"{root}/new.bin") == b"new"
    with pytest.raises(StorageProblem, match="exists already"):
        storage.write(root, "new.bin", [b"newer"], replace=False)


# --- Settings ------------------------------------------------------------------------------------


def test_the_endpoint_for_s3_wins_over_the_general_one(
    storage: Storage, root: str, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", object_storage.proxy.url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert len(storage.files(root)) == 2


def test_a_profile_brings_endpoint_region_and_credentials(
    root: str, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in object_storage.environment:
        monkeypatch.delenv(name)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(
        f"[profile ceph]\nendpoint_url = {object_storage.proxy.url}\nregion = eu-central-1\n"
    )
    (tmp_path / ".aws" / "credentials").write_text(
        "[ceph]\naws_access_key_id = grace\naws_secret_access_key = hopper\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_PROFILE", "ceph")
    assert len(Storage([root]).files(root)) == 2
    signed = object_storage.proxy.requests[-1].headers["authorization"]
    assert re.search("Credential=grace/[0-9]+/eu-central-1/s3", signed)
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    assert len(Storage([root]).files(root)) == 2
    assert "/us-west-2/s3" in object_storage.proxy.requests[-1].headers["authorization"]


def test_missing_credentials_and_profiles_are_named(
    root: str, object_storage: ObjectStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    with pytest.raises(StorageProblem, match=r"profile \(nowhere\)") as caught:
        Storage([root]).files(root)
    assert "AWS_PROFILE" in (caught.value.help or "")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(StorageProblem, match="credentials") as caught:
        Storage([root]).files(root)
    assert "AWS_ACCESS_KEY_ID" in (caught.value.help or "")
    assert not caught.value.transient
    assert object_storage.proxy.requests == []


# --- Memory --------------------------------------------------------------------------------------

_READER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from registry_tool.storage.storage import Storage

root = sys.argv[1]
storage = Storage([root])

def high_water():
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) >> 10

def read(path):
    buffer, size = bytearray(1 << 20), 0
    with storage.open(root, path) as file:
        while count := file.readinto(buffer):
            size += count
    return size

read("small.bin")
before = high_water()
with ThreadPoolExecutor(4) as pool:
    sizes = list(pool.map(read, ["a.bin", "b.bin", "c.bin", "d.bin"]))
print(sum(sizes) >> 20, high_water() - before)
"""


@pytest.mark.slow
def test_memory_stays_bounded_however_large_the_objects_and_many_the_readers(
    object_storage: ObjectStorage,
) -> None:
    root = f"s3://{object_storage.bucket()}/big"
    data = bytes(96 << 20)
    object_storage.put(f"{root}/small.bin", b"small")
    for name in "abcd":
        object_storage.put(f"{root}/{name}.bin", data)
    done = subprocess.run(
        [sys.executable, "-c", _READER, root],
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    total, grown = map(int, done.stdout.split())
    assert total == 4 * 96
    window = (ranges.IN_WINDOW * ranges.RANGE) >> 20
    assert grown < window + 48  # MiB: besides the window, what one event loop receives at a time
