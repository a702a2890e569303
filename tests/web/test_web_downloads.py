"""Files of releases from storage."""

from __future__ import annotations

import base64
import hashlib

import pytest
from registries import RegistryFolder
from web_index import API, Index

CONTENT = b"weights of minilm"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PATH = f"{API}/artifacts/{SHA256}/download"


def test_a_locked_file_is_sent_with_its_checksum(index: Index) -> None:
    response = index.client.get(PATH)
    assert response.status_code == 200
    assert response.content == CONTENT
    assert response.headers["Content-Length"] == str(len(CONTENT))
    assert response.headers["X-Checksum-Sha256"] == SHA256
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    assert response.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    assert "model.bin" in response.headers["Content-Disposition"]
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert response.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "asked, part, span",
    [
        ("bytes=0-6", CONTENT[:7], "0-6"),
        ("bytes=8-", CONTENT[8:], "8-16"),
        ("bytes=-6", CONTENT[-6:], "11-16"),
    ],
)
def test_a_broken_download_is_continued(index: Index, asked: str, part: bytes, span: str) -> None:
    response = index.client.get(PATH, headers={"Range": asked})
    assert response.status_code == 206
    assert response.content == part
    assert response.headers["Content-Range"] == f"bytes {span}/{len(CONTENT)}"


def test_a_range_beyond_the_end_is_416(index: Index) -> None:
    response = index.client.get(PATH, headers={"Range": "bytes=99-"})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


def test_head_sends_no_byte(index: Index) -> None:
    response = index.client.head(PATH)
    assert response.status_code == 200
    assert response.content == b""
    assert response.headers["Content-Length"] == str(len(CONTENT))


def test_a_client_that_has_it_gets_nothing(index: Index) -> None:
    etag = index.client.head(PATH).headers["ETag"]
    assert index.client.get(PATH, headers={"If-None-Match": etag}).status_code == 304


def test_a_file_of_another_size_is_a_conflict(index: Index, applied: RegistryFolder) -> None:
    (applied.storage / "minilm/model.bin").write_bytes(b"short")
    response = index.client.get(PATH)
    assert response.status_code == 409
    assert "5 bytes" in response.json()["detail"]


def test_a_file_that_is_gone_is_404(index: Index, applied: RegistryFolder) -> None:
    (applied.storage / "minilm/model.bin").unlink()
    assert index.client.get(PATH).status_code == 404


def test_other_content_of_the_same_size_never_arrives_whole(
    index: Index, applied: RegistryFolder
) -> None:
    (applied.storage / "minilm/model.bin").write_bytes(CONTENT[::-1])
    with index.client.stream("GET", PATH) as response:
        received = b"".join(response.iter_raw())
    assert received != CONTENT[::-1]


def test_storage_that_is_no_longer_allowed_is_not_read(
    index: Index, applied: RegistryFolder
) -> None:
    applied.model("bert")
    old = applied.git("rev-parse", "HEAD")
    applied.replace("manifests/registry.yaml", str(applied.storage), "/nowhere")
    applied.git(
        "rm", "-r", "--quiet", "manifests/models", "manifests/releases", "manifests/deployments"
    )
    applied.commit("Use other storage")
    index.refresh()
    assert index.client.get(PATH).status_code == 404
    assert index.client.get(f"{PATH}?at={old}").status_code == 404


def test_only_what_a_lock_names_is_sent(index: Index, applied: RegistryFolder) -> None:
    other = applied.storage / "minilm/notes.txt"
    other.write_text("not locked")
    sha256 = hashlib.sha256(other.read_bytes()).hexdigest()
    assert index.client.get(f"{API}/artifacts/{sha256}/download").status_code == 404


def test_a_second_place_of_the_same_content_will_do(index: Index, applied: RegistryFolder) -> None:
    applied.model("copy")
    (applied.storage / "copy/model.bin").write_bytes(CONTENT)
    applied.release("copy", "1.0.0")
    applied.commit("Add a copy")
    index.refresh()
    (applied.storage / "minilm/model.bin").unlink()
    assert index.client.get(PATH).content == CONTENT
