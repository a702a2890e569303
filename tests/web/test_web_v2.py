"""The embedded store as a registry: the pull half of the OCI distribution specification."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from registries import RegistryFolder
from starlette.testclient import TestClient
from web_index import Index, Server, run_server

from registry_tool.domain.api_key import KeyText

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
NOWHERE = "sha256:" + "0" * 64


@pytest.fixture
def v2(shared: Index) -> TestClient:
    return shared.client


def code_of(response: Any) -> str:
    (error,) = response.json()["errors"]
    assert error["message"]
    return str(error["code"])


def test_there_is_a_registry(v2: TestClient) -> None:
    for path in ("/v2/", "/v2"):
        response = v2.get(path)
        assert response.status_code == 200
        assert response.headers["Docker-Distribution-API-Version"] == "registry/2.0"


def test_a_manifest_is_found_by_tag_and_by_digest(v2: TestClient) -> None:
    by_tag = v2.get("/v2/minilm/manifests/1.0.0")
    digest = by_tag.headers["Docker-Content-Digest"]
    assert by_tag.headers["Content-Type"] == MANIFEST
    assert digest == "sha256:" + hashlib.sha256(by_tag.content).hexdigest()
    assert v2.get(f"/v2/minilm/manifests/{digest}").content == by_tag.content


def test_head_says_what_get_would(v2: TestClient) -> None:
    layer = v2.get("/v2/minilm/manifests/1.0.0").json()["layers"][0]
    for path in ("/v2/minilm/manifests/1.0.0", f"/v2/minilm/blobs/{layer['digest']}"):
        got, headed = v2.get(path), v2.head(path)
        assert headed.status_code == 200
        assert headed.content == b""
        for name in ("Content-Length", "Content-Type", "Docker-Content-Digest", "ETag"):
            assert headed.headers[name] == got.headers[name]


def test_blobs_have_the_promised_content_and_parts_of_it(v2: TestClient) -> None:
    layer = v2.get("/v2/minilm/manifests/1.0.0").json()["layers"][0]
    path = f"/v2/minilm/blobs/{layer['digest']}"
    whole = v2.get(path)
    assert len(whole.content) == layer["size"]
    assert "sha256:" + hashlib.sha256(whole.content).hexdigest() == layer["digest"]
    part = v2.get(path, headers={"Range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert part.headers["Content-Range"] == f"bytes 100-199/{layer['size']}"
    beyond = v2.get(path, headers={"Range": f"bytes={layer['size']}-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == f"bytes */{layer['size']}"


def test_what_a_client_has_is_not_sent_again(v2: TestClient) -> None:
    layer = v2.get("/v2/minilm/manifests/1.0.0").json()["layers"][0]
    path = f"/v2/minilm/blobs/{layer['digest']}"
    response = v2.get(path, headers={"If-None-Match": v2.head(path).headers["ETag"]})
    assert response.status_code == 304
    assert response.content == b""


def test_a_part_of_something_else_is_the_whole(v2: TestClient) -> None:
    layer = v2.get("/v2/minilm/manifests/1.0.0").json()["layers"][0]
    headers = {"Range": "bytes=0-9", "If-Range": '"another"'}
    response = v2.get(f"/v2/minilm/blobs/{layer['digest']}", headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "path, status, code",
    [
        ("/v2/unknown/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/unknown/manifests/1.0.0", 404, "NAME_UNKNOWN"),
        ("/v2/Upper/tags/list", 400, "NAME_INVALID"),
        ("/v2/../minilm/tags/list", 400, "NAME_INVALID"),
        ("/v2/.blobs/tags/list", 400, "NAME_INVALID"),
        ("/v2/minilm/manifests/9.9.9", 404, "MANIFEST_UNKNOWN"),
        (f"/v2/minilm/manifests/{NOWHERE}", 404, "MANIFEST_UNKNOWN"),
        ("/v2/minilm/manifests/sha256:0", 400, "MANIFEST_INVALID"),
        (f"/v2/minilm/blobs/{NOWHERE}", 404, "BLOB_UNKNOWN"),
        ("/v2/minilm/blobs/sha256:..", 400, "DIGEST_INVALID"),
        ("/v2/minilm/blobs/index.json", 400, "DIGEST_INVALID"),
        ("/v2/_catalog?n=many", 400, "PAGINATION_NUMBER_INVALID"),
        ("/v2/minilm", 404, "NAME_UNKNOWN"),
    ],
)
def test_errors_are_those_of_the_specification(
    v2: TestClient, path: str, status: int, code: str
) -> None:
    response = v2.get(path.replace("..", "%2e%2e"))
    assert response.status_code == status
    assert code_of(response) == code


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    ["/v2/minilm/blobs/uploads/", "/v2/minilm/manifests/1.0.0", f"/v2/minilm/blobs/{NOWHERE}"],
)
def test_nothing_can_be_pushed_or_deleted(v2: TestClient, method: str, path: str) -> None:
    response = v2.request(method, path)
    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"
    assert code_of(response) == "UNSUPPORTED"


def test_tags_come_in_pages(v2: TestClient) -> None:
    every = v2.get("/v2/minilm/tags/list").json()
    assert every["name"] == "minilm"
    assert every["tags"] == sorted(every["tags"])
    assert {"1.0.0", "runtime-1.0.0", "weights-1.0.0"} <= set(every["tags"])
    seen, path = [], "/v2/minilm/tags/list?n=2"
    while path:
        response = v2.get(path)
        seen += response.json()["tags"]
        path = response.links.get("next", {}).get("url", "")
    assert seen == every["tags"]


def test_repositories_are_listed(v2: TestClient) -> None:
    assert v2.get("/v2/_catalog").json() == {"repositories": ["minilm"]}
    assert v2.get("/v2/_catalog?n=0").json() == {"repositories": []}
    assert v2.get("/v2/_catalog?last=minilm").json() == {"repositories": []}


def test_a_damaged_manifest_is_an_error_and_not_an_image(index: Index) -> None:
    v2 = index.client
    digest = v2.head("/v2/minilm/manifests/1.0.0").headers["Docker-Content-Digest"]
    blob = index.context.store.blob_path("minilm", digest)
    blob.chmod(0o644)
    blob.write_bytes(blob.read_bytes().replace(b"layers", b"Layers"))
    assert v2.get("/v2/minilm/manifests/1.0.0").status_code == 500


def require(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def test_skopeo_copies_an_image(server: Server, tmp_path: Path) -> None:
    skopeo = require("skopeo")
    source = f"docker://127.0.0.1:{server.port}/minilm:1.0.0"
    command = [skopeo, "copy", "--src-tls-verify=false", source, f"dir:{tmp_path / 'copy'}"]
    subprocess.run(command, check=True, capture_output=True)
    assert (tmp_path / "copy/manifest.json").is_file()


def test_pulling_asks_for_a_password_where_keys_are_needed(
    closed_index: tuple[Index, KeyText],
) -> None:
    index, key = closed_index
    response = index.client.get("/v2/")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    assert code_of(response) == "UNAUTHORIZED"
    login = base64.b64encode(f"anybody:{key}".encode()).decode()
    assert index.client.get("/v2/", headers={"Authorization": f"Basic {login}"}).status_code == 200
    wrong = base64.b64encode(b"anybody:wrong").decode()
    assert index.client.get("/v2/", headers={"Authorization": f"Basic {wrong}"}).status_code == 401


@pytest.mark.xdist_group("engine")
def test_docker_logs_in_and_pulls(
    closed: tuple[RegistryFolder, KeyText], docker_client: Any
) -> None:
    from docker.errors import APIError

    folder, key = closed
    login = {"username": "anybody", "password": str(key)}
    with run_server(folder) as server:
        place = f"127.0.0.1:{server.port}"
        engine = docker_client.api
        with pytest.raises(APIError, match=r"no basic auth credentials|unauthorized"):
            docker_client.images.pull(f"{place}/minilm", tag="1.0.0")
        with pytest.raises(APIError, match="401"):
            engine.login(**(login | {"password": "wrong"}), registry=place, reauth=True)
        assert engine.login(**login, registry=place, reauth=True)["Status"] == "Login Succeeded"
        image = docker_client.images.pull(f"{place}/minilm", tag="1.0.0", auth_config=login)
        docker_client.images.remove(f"{place}/minilm:1.0.0")
        asked = urllib.request.Request(f"http://{place}/v2/minilm/manifests/1.0.0", method="HEAD")
        asked.add_header("X-API-Key", str(key))
        asked.add_header("Accept", MANIFEST)
        with urllib.request.urlopen(asked) as answer:
            digest = answer.headers["Docker-Content-Digest"]
    assert f"{place}/minilm@{digest}" in image.attrs["RepoDigests"]
