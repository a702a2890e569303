"""Images in a registry: documents, tags, blobs, mounts, and what is wrong when it does not work."""

from __future__ import annotations

from collections import deque

import pytest
from registry_parts import MIB, Client, blob, put, put_image
from services.fault_registry import fault_registry

from registry_tool.domain.digests import digest_of
from registry_tool.errors import ContentMismatch, StoreProblem, UsageProblem
from registry_tool.oci.descriptors import IMAGE_MANIFEST
from registry_tool.oci.reading import open_image
from registry_tool.oci.registry_store import RegistryStore


def test_an_image_comes_back_by_tag_and_by_digest(client: Client) -> None:
    store = client.store()
    image = put_image(store)
    store.put_tags("minilm", {"1.0.0": image})
    assert store.name == f"{client.registry.host}/team"
    assert store.resolve("minilm", "1.0.0") == store.resolve("minilm", image.digest) == image
    view = open_image(client.store(), "minilm", "1.0.0", "linux/amd64")
    with client.store().open_blob("minilm", view.layers[0].digest) as file:
        assert file.read() == b"weights"
    assert client.store().blob_size("minilm", view.layers[0].digest) == 7


def test_what_is_not_there_is_none(client: Client) -> None:
    store = client.store()
    nothing = "sha256:" + "0" * 64
    assert store.resolve("minilm", "1.0.0") is None
    assert store.resolve("minilm", nothing) is None
    assert store.tags("minilm") == {}
    assert store.blob_size("minilm", nothing) is None
    assert not store.has_blob("minilm", nothing)
    assert not store.mount_blob("minilm", nothing)
    with pytest.raises(StoreProblem, match="has no blob"):
        store.open_blob("minilm", nothing).read()
    with pytest.raises(StoreProblem, match="has no image manifest"):
        store.read_manifest("minilm", nothing)


def test_a_registry_that_says_little_about_a_manifest_is_asked_for_it(client: Client) -> None:
    store = client.store()
    image = put_image(store)
    client.registry.faults.quiet = True
    assert client.store().resolve("minilm", image.digest) == image


def test_tags_are_listed_page_by_page(client: Client) -> None:
    store = client.store()
    image = put_image(store)
    names = [f"1.0.{number}" for number in range(7)]
    store.put_tags("minilm", dict.fromkeys(names, image))
    client.registry.faults.page = 3
    assert store.tags("minilm") == dict.fromkeys(names, image)
    assert client.registry.counted("GET", "/tags/list") == 3


def test_tags_are_put_in_order_and_not_again(client: Client) -> None:
    store = client.store()
    first, second = put_image(store), put_image(store, content=b"others")
    store.put_tags("minilm", {"1.0.0": first, "runtime-1.0.0": first, "build-0123456789ab": first})
    assert client.registry.tags_put == ["1.0.0", "runtime-1.0.0", "build-0123456789ab"]
    client.store().put_tags("minilm", {"1.0.0": second, "build-0123456789ab": first})
    assert client.registry.tags_put[3:] == ["1.0.0"]
    assert client.store().resolve("minilm", "1.0.0") == second


def test_a_document_whose_blobs_are_missing_is_refused(client: Client) -> None:
    image = put_image(client.store())
    data = client.store().read_manifest("minilm", image.digest)
    with pytest.raises(StoreProblem, match="MANIFEST_BLOB_UNKNOWN"):
        client.store().write_manifest("bert", image, data)


@pytest.mark.parametrize("name", ["Minilm", "../x", "a b", "x?y", "x:1", "x@y", ""])
def test_a_name_that_is_no_repository_is_refused(client: Client, name: str) -> None:
    with pytest.raises(StoreProblem, match="cannot be a repository"):
        client.store().resolve(name, "1.0.0")
    assert client.registry.requests == []


@pytest.mark.parametrize("tag", ["", "a b", "a/b", "-x", "x" * 129])
def test_a_name_that_is_no_tag_is_refused(client: Client, tag: str) -> None:
    store = client.store()
    image = put_image(store)
    with pytest.raises(StoreProblem, match="tag"):
        store.put_tags("minilm", {tag: image})
    with pytest.raises(StoreProblem, match="tag"):
        store.resolve("minilm", tag)
    with pytest.raises(StoreProblem, match="not a sha256 digest"):
        store.has_blob("minilm", "sha256:1")


# --- Blobs that are somewhere already ---


def test_a_blob_that_is_there_is_not_sent_again(client: Client) -> None:
    digest = put(client.store(), blob(3 * MIB))
    before = client.registry.bytes_uploaded

    def never() -> None:
        pytest.fail("its bytes were asked for")

    client.store().write_blob("minilm", digest, 3 * MIB, (never() or b"" for _ in range(1)))
    assert client.registry.bytes_uploaded == before == 3 * MIB


def test_a_blob_is_mounted_from_where_it_is_known_to_be(client: Client) -> None:
    digest = put(client.store(), blob(MIB))
    assert not client.store().mount_blob("bert", digest)
    assert client.store().mount_blob("bert", digest, "minilm")
    assert client.store().has_blob("bert", digest)
    assert client.registry.bytes_uploaded == MIB


def test_a_blob_is_mounted_from_where_this_process_saw_it(client: Client) -> None:
    store = client.store()
    digest = put(store, blob(MIB))
    assert store.mount_blob("bert", digest)
    other = client.store()
    assert other.has_blob("minilm", digest)
    assert other.mount_blob("gpt2", digest)


def test_a_blob_is_mounted_from_elsewhere_in_the_registry(client: Client) -> None:
    digest = put(client.store("library"), blob(MIB), "python")
    source = f"{client.registry.host}/library/python"
    assert client.store().mount_blob("minilm", digest, source)
    assert ("team/minilm", digest) in client.registry.blobs


def test_a_mount_that_is_not_made_leaves_no_upload_behind(client: Client) -> None:
    digest = put(client.store(), blob(MIB))
    client.registry.faults.mounts = False
    assert not client.store().mount_blob("bert", digest, "minilm")
    assert client.registry.uploads == {}


def test_a_mount_from_a_forbidden_repository_is_no_failure(client: Client) -> None:
    digest = put(client.store(), blob(MIB))
    client.registry.faults.refusals = deque([("POST", "bert", 403, {})])
    assert not client.store().mount_blob("bert", digest, "minilm")


# --- Reading ---


def test_a_read_that_breaks_off_goes_on(client: Client) -> None:
    data = blob(5 * MIB)
    digest = put(client.store(), data)
    client.registry.faults.cuts = deque([2 * MIB, MIB])
    with client.store().open_blob("minilm", digest) as file:
        assert file.read() == data
    assert client.registry.counted("GET", "/blobs/") == 3


def test_a_read_that_breaks_off_starts_again_where_there_are_no_ranges(client: Client) -> None:
    data = blob(5 * MIB)
    digest = put(client.store(), data)
    client.registry.faults.ranges = False
    client.registry.faults.cuts = deque([2 * MIB])
    with client.store().open_blob("minilm", digest) as file:
        assert file.read() == data


def test_content_that_rotted_is_noticed(client: Client) -> None:
    store = client.store()
    image = put_image(store)
    digest = put(store, blob(MIB))
    client.registry.faults.rots = True
    fresh = client.store()
    with pytest.raises(ContentMismatch, match=digest), fresh.open_blob("minilm", digest) as file:
        file.read()
    with pytest.raises(ContentMismatch, match="other content"):
        fresh.read_manifest("minilm", image.digest)


def test_a_redirect_of_a_blob_is_followed_without_the_login(client: Client) -> None:
    client.log_in()
    client.registry.faults.auth = "basic"
    digest = put(client.store(), blob(MIB))
    with fault_registry() as elsewhere:
        elsewhere.blobs["cache", digest] = blob(MIB)
        elsewhere.faults.auth = "basic"  # so that it would show who comes with a login
        target = f"http://{elsewhere.host}/v2/cache/blobs/{digest}"
        store = client.store()
        assert store.has_blob("minilm", digest)
        client.registry.faults.refusals = deque([("GET", "/blobs/", 307, {"Location": target})])
        with pytest.raises(StoreProblem, match="login"):
            store.open_blob("minilm", digest).read()
        elsewhere.faults.auth = None
        client.registry.faults.refusals = deque([("GET", "/blobs/", 307, {"Location": target})])
        assert store.open_blob("minilm", digest).read() == blob(MIB)


def test_redirects_in_circles_end(client: Client) -> None:
    circle = {"Location": "/v2/team/minilm/manifests/1.0.0"}
    client.registry.faults.refusals = deque([("HEAD", "", 307, circle)] * 20)
    with pytest.raises(StoreProblem, match="circles"):
        client.store().resolve("minilm", "1.0.0")


# --- Failures ---


def test_a_registry_that_lies_about_a_document_is_not_believed(client: Client) -> None:
    store = client.store()
    image = put_image(store)
    client.registry.faults.lies = True
    with pytest.raises(StoreProblem, match="not as it was"):
        store.put_tags("minilm", {"1.0.0": image})


def test_trouble_that_passes_is_waited_for(client: Client) -> None:
    store = client.store()
    image = put_image(store)
    busy = ("HEAD", "/manifests/", 503, {})
    told = ("HEAD", "/manifests/", 429, {"Retry-After": "7"})
    client.registry.faults.refusals = deque([busy, told, busy])
    assert store.resolve("minilm", image.digest) == image
    assert len(client.naps) == 3
    assert client.naps[1] == 7


def test_trouble_that_stays_is_transient(client: Client) -> None:
    client.registry.faults.refusals = deque([("HEAD", "", 503, {})] * 50)
    with pytest.raises(StoreProblem, match="503 Service Unavailable") as caught:
        client.store().resolve("minilm", "1.0.0")
    assert caught.value.transient
    assert len(client.registry.requests) < 10


def test_a_registry_that_is_down_is_transient(client: Client) -> None:
    with fault_registry() as gone:
        pass
    store = RegistryStore(f"{gone.host}/team", insecure=True, sleep=client.naps.append)
    with pytest.raises(StoreProblem, match=f"{gone.host} cannot be reached: .*refused") as caught:
        store.resolve("minilm", "1.0.0")
    assert caught.value.transient
    assert caught.value.code == "RT608"
    assert client.naps


def test_a_host_that_does_not_exist_is_named(client: Client) -> None:
    store = RegistryStore("registry.invalid/team", insecure=True, sleep=client.naps.append)
    with pytest.raises(StoreProblem, match=r"registry\.invalid cannot be reached"):
        store.resolve("minilm", "1.0.0")


def test_a_registry_without_tls_is_told_from_a_broken_one(client: Client) -> None:
    with pytest.raises(StoreProblem, match="speaks plain HTTP") as caught:
        client.store(insecure=False).resolve("minilm", "1.0.0")
    assert "spec.images.insecure: true" in (caught.value.help or "")
    assert client.naps == []


@pytest.mark.parametrize(
    ("status", "error", "words", "advice"),
    [
        (403, {"code": "DENIED", "message": "no"}, "needs a login", "docker login"),
        (404, {"code": "NAME_UNKNOWN", "message": "x"}, "repository does not exist", "create it"),
        (413, {}, "too large", "registry-profile chunked"),
        (403, {"code": "DENIED", "message": "storage quota exceeded"}, "quota", "raise the quota"),
        (507, {}, "quota", "raise the quota"),
        (400, {"code": "TAG_INVALID", "message": "tag is immutable"}, "cannot be moved", "version"),
        (418, {}, "418", "OCI registry"),
    ],
)
def test_refusals_say_what_to_do(
    client: Client, status: int, error: dict[str, str], words: str, advice: str
) -> None:
    store = client.store()
    image = put_image(store)
    client.registry.faults.refusals = deque([("PUT", "/manifests/", status, {})])
    client.registry.faults.message = error
    with pytest.raises(StoreProblem, match=words) as caught:
        store.put_tags("minilm", {"1.0.0": image})
    assert advice in (caught.value.help or "")
    assert not caught.value.transient
    assert caught.value.code == "RT608"
    assert "\n" not in caught.value.message


def test_a_profile_that_does_not_exist_is_named() -> None:
    with pytest.raises(UsageProblem, match='no registry profile "gchr"') as caught:
        RegistryStore("registry.example/team", profile="gchr")
    assert "ghcr" in (caught.value.help or "")


def test_a_document_is_found_by_its_own_bytes(client: Client) -> None:
    """What is written is what is read, byte for byte."""
    store = client.store()
    image = put_image(store)
    data = client.store().read_manifest("minilm", image.digest)
    assert digest_of(data) == image.digest
    assert image.media_type == IMAGE_MANIFEST
