"""Blobs on their way: whole or in chunks, over connections that break, to registries with habits of their own."""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Iterator

import pytest
from registry_parts import MIB, Chunks, Client, blob, put
from services.fault_registry import digest_of

from registry_tool.errors import ContentMismatch, StorageProblem, StoreProblem
from registry_tool.oci.registry_profiles import PROFILES, RegistryProfile, profile_for
from registry_tool.oci.registry_store import RegistryStore


def kept(client: Client, data: bytes, repository: str = "team/minilm") -> bool:
    return client.registry.blobs.get((repository, digest_of(data))) == data


def send(store: RegistryStore, chunks: Chunks | Iterator[bytes], data: bytes) -> None:
    store.write_blob("minilm", digest_of(data), len(data), chunks)


def with_profile(store: RegistryStore, **settings: int | bool) -> RegistryStore:
    """The store of a registry that is known for these limits."""
    store.profile = store._style.profile = RegistryProfile("test", **settings)  # type: ignore[arg-type]
    return store


# --- As it should be ---


@pytest.mark.parametrize("size", [0, 1, MIB, 5 * MIB + 17])
def test_a_blob_goes_in_one_put(client: Client, size: int) -> None:
    data = blob(size)
    send(client.store(), iter(Chunks(data)), data)
    assert kept(client, data)
    assert client.registry.counted("PUT") == 1
    assert client.registry.counted("PATCH") == 0


@pytest.mark.parametrize("size", [2 * MIB + 1, 6 * MIB, 6 * MIB + 1])
def test_a_registry_that_wants_chunks_gets_them(client: Client, size: int) -> None:
    data = blob(size)
    send(with_profile(client.store(), chunk=2 * MIB), iter(Chunks(data, 3 * MIB)), data)
    assert kept(client, data)
    assert client.registry.counted("PATCH") == -(-size // (2 * MIB))
    assert client.registry.bytes_uploaded == size


def test_a_registry_may_want_larger_chunks(client: Client) -> None:
    client.registry.faults.least_chunk = 4 * MIB
    put(with_profile(client.store(), chunk=2 * MIB), blob(9 * MIB))
    assert kept(client, blob(9 * MIB))
    assert client.registry.counted("PATCH") == 3


def test_a_small_blob_needs_no_chunks(client: Client) -> None:
    data = blob(MIB)
    send(with_profile(client.store(), chunk=2 * MIB), Chunks(data), data)
    assert client.registry.counted("PATCH") == 0


def test_only_what_a_put_cannot_carry_goes_in_chunks(client: Client) -> None:
    store = with_profile(client.store(), max_put=4 * MIB)
    for size in (4 * MIB, 5 * MIB):
        send(store, Chunks(blob(size)), blob(size))
    assert client.registry.counted("PATCH") == 3


def test_locations_may_be_relative(client: Client) -> None:
    client.registry.faults.relative = True
    put(with_profile(client.store(), chunk=MIB), blob(3 * MIB))
    assert kept(client, blob(3 * MIB))


def test_memory_stays_bounded(client: Client) -> None:
    """The registry forgets the bytes; what is left is what the client holds."""
    piece = blob(MIB)

    class Forgetful(bytearray):
        def __iadd__(self, other: object) -> Forgetful:  # type: ignore[misc, override]
            return self

    client.registry.uploads = _Forgetting(Forgetful)  # type: ignore[assignment]
    tracemalloc.start()
    try:
        with pytest.raises(ContentMismatch):  # since nothing of it arrived
            client.store().write_blob(
                "minilm", "sha256:" + "1" * 64, 64 * MIB, (bytes(piece) for _ in range(64))
            )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * MIB


class _Forgetting(dict[str, bytearray]):
    def __init__(self, kind: type[bytearray]) -> None:
        super().__init__()
        self._kind = kind

    def __setitem__(self, key: str, value: bytearray) -> None:
        super().__setitem__(key, self._kind(value))


# --- Sources that are not what they should be ---


@pytest.mark.parametrize(
    ("size", "words"), [(5, "expected 5 bytes, got more"), (9, "expected 9 bytes, got 7")]
)
def test_a_source_of_another_size_is_refused(client: Client, size: int, words: str) -> None:
    with pytest.raises(ContentMismatch, match=words):
        client.store().write_blob("minilm", digest_of(b"weights"), size, iter([b"wei", b"ghts"]))
    assert client.registry.blobs == {}
    assert client.registry.uploads == {}


def test_a_source_with_other_content_is_refused(client: Client) -> None:
    with pytest.raises(ContentMismatch, match="DIGEST_INVALID"):
        client.store().write_blob("minilm", digest_of(b"weights"), 7, iter([b"w", b"eighty"]))
    with pytest.raises(ContentMismatch, match="the content has the digest"):
        client.store().write_blob("minilm", digest_of(b"weights"), 7, [b"weighty"])
    assert client.registry.blobs == {}


@pytest.mark.parametrize(
    "failure",
    [StorageProblem("the disk is gone"), ConnectionResetError("S3"), BrokenPipeError(), KeyError()],
)
def test_what_a_source_raises_is_passed_on(client: Client, failure: Exception) -> None:
    def failing() -> Iterator[bytes]:
        yield blob(MIB)
        yield blob(MIB)
        raise failure

    with pytest.raises(type(failure)) as caught:
        client.store().write_blob("minilm", "sha256:" + "1" * 64, 5 * MIB, failing())
    assert caught.value is failure
    assert client.registry.uploads == {}
    assert client.naps == []


def test_a_source_is_closed_when_the_registry_refuses(client: Client) -> None:
    closed = []

    def source() -> Iterator[bytes]:
        try:
            for _ in range(64):
                yield blob(MIB)
        finally:
            closed.append(True)

    client.registry.faults.refusals = deque([("PUT", "", 403, {})])
    with pytest.raises(StoreProblem, match="needs a login"):
        client.store().write_blob("minilm", "sha256:" + "1" * 64, 64 * MIB, source())
    assert closed == [True]


# --- Connections that break ---


@pytest.mark.parametrize("chunk", [None, 2 * MIB])
def test_a_broken_upload_goes_on_where_it_stopped(client: Client, chunk: int | None) -> None:
    data = blob(7 * MIB)
    client.registry.faults.breaks = deque([int(1.5 * MIB), MIB // 2])
    source = Chunks(data)
    store = client.store() if chunk is None else with_profile(client.store(), chunk=chunk)
    send(store, source, data)
    assert kept(client, data)
    assert client.registry.bytes_uploaded == len(data), "bytes were sent twice"
    assert client.naps


@pytest.mark.parametrize("resumes", [True, False])
def test_only_the_broken_blob_is_sent_again(client: Client, resumes: bool) -> None:
    client.registry.faults.resumes = resumes
    store = client.store()
    first, second = blob(3 * MIB, 1), blob(3 * MIB, 2)
    put(store, first)
    client.registry.faults.breaks = deque([2 * MIB])
    put(store, second)
    assert kept(client, first)
    assert kept(client, second)
    assert client.registry.bytes_uploaded == (6 if resumes else 8) * MIB


def test_a_profile_may_say_that_nothing_can_be_resumed(client: Client) -> None:
    client.registry.faults.breaks = deque([2 * MIB])
    put(with_profile(client.store(), resumes=False), blob(3 * MIB))
    assert client.registry.bytes_uploaded == 5 * MIB
    assert client.registry.uploads == {}


def test_a_source_that_is_used_up_makes_the_failure_transient(client: Client) -> None:
    """The build is tried again from outside, and asks for the blob first."""
    data = blob(5 * MIB)
    client.registry.faults.resumes = False
    client.registry.faults.breaks = deque([3 * MIB])
    with pytest.raises(StoreProblem, match="broke off: ") as caught:
        send(client.store(), iter(Chunks(data)), data)
    assert caught.value.transient
    assert client.registry.uploads == {}


def test_a_source_that_is_used_up_is_enough_when_nothing_was_lost(client: Client) -> None:
    """Broken between two chunks: the next byte is the one that comes anyway."""
    data = blob(6 * MIB)
    client.registry.faults.refusals = deque([("PATCH", "", 502, {})])
    send(with_profile(client.store(), chunk=2 * MIB), Chunks(data), data)
    assert kept(client, data)


def test_a_connection_that_breaks_for_ever_is_given_up(client: Client) -> None:
    client.registry.faults.resumes = False
    client.registry.faults.breaks = deque([MIB] * 100)
    with pytest.raises(StoreProblem, match="broke off: ") as caught:
        put(client.store(), blob(3 * MIB))
    assert caught.value.transient
    assert len(client.naps) < 10


def test_a_connection_that_breaks_often_gets_there_as_long_as_it_gets_on(client: Client) -> None:
    client.registry.faults.breaks = deque([MIB // 2] * 20)
    data = blob(11 * MIB)
    put(client.store(), data)
    assert kept(client, data)
    assert client.registry.bytes_uploaded == len(data)


def test_an_answer_that_was_lost_is_not_asked_for_with_the_bytes(client: Client) -> None:
    """The registry has the blob, and its answer got lost: the next question finds it."""
    data = blob(3 * MIB)
    digest = digest_of(data)
    client.registry.faults.breaks = deque([3 * MIB])
    client.registry.blobs["team/bert", digest] = data
    store = client.store()

    class Landing(Chunks):
        def __iter__(self) -> Iterator[bytes]:
            yield from super().__iter__()
            client.registry.blobs["team/minilm", digest] = data

    store.write_blob("minilm", digest, len(data), Landing(data))
    assert client.registry.bytes_uploaded == len(data)


def test_an_upload_that_was_resumed_in_vain_starts_anew(client: Client) -> None:
    """What a registry says it has need not be what was sent."""
    data = blob(4 * MIB)
    client.registry.faults.breaks = deque([2 * MIB])

    class Spoiling(Chunks):
        spoilt = False

        def __iter__(self) -> Iterator[bytes]:
            for upload in client.registry.uploads.values():
                if upload and not self.spoilt:
                    upload[0] ^= 1
                    self.spoilt = True
            yield from super().__iter__()

    source = Spoiling(data)
    client.store().write_blob("minilm", digest_of(data), len(data), source)
    assert source.spoilt
    assert kept(client, data)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_busy_registries_are_asked_again(client: Client, status: int) -> None:
    client.registry.faults.refusals = deque(
        [
            ("POST", "", status, {"Retry-After": "3"}),
            ("PUT", "", status, {}),
            ("PUT", "", status, {}),
        ]
    )
    data = blob(3 * MIB)
    put(client.store(), data)
    assert kept(client, data)
    assert client.naps[0] == 3
    assert len(client.naps) == 3


@pytest.mark.parametrize("status", [404, 416])
def test_an_upload_that_the_registry_forgot_starts_anew(client: Client, status: int) -> None:
    """Registries behind a load balancer may not share their uploads."""
    client.registry.faults.refusals = deque([("PUT", "", status, {})])
    data = blob(3 * MIB)
    put(client.store(), data)
    assert kept(client, data)
    assert client.registry.counted("POST") == 2


# --- Habits ---


def test_a_body_that_is_too_large_goes_in_chunks_from_then_on(client: Client) -> None:
    client.registry.faults.put_limit = 20 * MIB
    store = client.store()
    for seed in (1, 2):
        put(store, blob(40 * MIB, seed), step=8 * MIB)
        assert kept(client, blob(40 * MIB, seed))
    assert client.registry.counted("PUT") == 1 + 2
    assert client.registry.counted("PATCH") == 2 * 3


def test_chunks_that_are_too_large_go_in_one_put_from_then_on(client: Client) -> None:
    client.registry.faults.patch_limit = 4 * MIB
    store = client.store(profile="chunked")
    store._style.profile = RegistryProfile("test", chunk=5 * MIB)
    for seed in (1, 2):
        put(store, blob(9 * MIB, seed))
        assert kept(client, blob(9 * MIB, seed))
    assert client.registry.counted("PATCH") == 1


def test_a_registry_that_takes_neither_is_too_small(client: Client) -> None:
    client.registry.faults.put_limit = client.registry.faults.patch_limit = 4 * MIB
    with pytest.raises(StoreProblem, match="REQUESTED_RANGE") as caught:
        put(client.store(), blob(40 * MIB), step=8 * MIB)
    assert not caught.value.transient
    with pytest.raises(StoreProblem, match="too large"):
        put(client.store(), blob(9 * MIB))


def test_a_registry_that_answers_201_to_chunks_is_understood(client: Client) -> None:
    client.registry.faults.patch_status = 201
    put(with_profile(client.store(), chunk=2 * MIB), blob(5 * MIB))
    assert kept(client, blob(5 * MIB))


def test_a_registry_that_drops_chunks_is_noticed(client: Client) -> None:
    client.registry.faults.patch_status = 201
    client.registry.faults.drops_later_chunks = True
    put(with_profile(client.store(), chunk=2 * MIB), blob(5 * MIB))
    assert kept(client, blob(5 * MIB))


def test_a_registry_that_keeps_something_else_is_not_believed(client: Client) -> None:
    client.registry.faults.lies = True
    with pytest.raises(StoreProblem, match="is not what was sent"):
        put(client.store(), blob(MIB))


def test_a_layer_beyond_the_limit_is_refused_before_anything_is_sent(client: Client) -> None:
    store = with_profile(client.store(), max_layer=MIB, max_layers=3)
    with pytest.raises(StoreProblem, match=f"no more than {MIB} bytes") as caught:
        put(store, blob(2 * MIB))
    assert "split the file" in (caught.value.help or "")
    with pytest.raises(StoreProblem, match="no more than 3 layers"):
        store.check_layers([1] * 4)
    store.check_layers([MIB] * 3)
    store.check_layers([])
    assert client.registry.requests == []


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("ghcr.io", "ghcr"),
        ("GHCR.IO:443", "ghcr"),
        ("eu.gcr.io", "google"),
        ("gcr.io", "google"),
        ("europe-west1-docker.pkg.dev", "google"),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "ecr"),
        ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", "ecr"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "ecr"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "ecr"),
        ("public.ecr.aws", "ecr-public"),
        ("team.azurecr.io", "azure"),
        ("quay.io", "quay"),
        ("registry.example:5000", "default"),
        ("notghcr.io", "default"),
        ("ghcr.io.example", "default"),
        ("127.0.0.1:5000", "default"),
    ],
)
def test_profiles_follow_from_the_host(host: str, name: str) -> None:
    assert profile_for(host).name == name


def test_profiles_can_be_chosen() -> None:
    assert {profile_for("x", profile.name) for profile in PROFILES} == set(PROFILES)


def test_profiles_choose_the_way() -> None:
    by_name = {profile.name: profile for profile in PROFILES}
    large = 21_000_000_000
    assert by_name["ghcr"].chunk_for(large) is None
    assert by_name["google"].chunk_for(large) is None
    assert by_name["ecr"].chunk_for(large) is None
    assert by_name["default"].chunk_for(large) is None
    assert by_name["quay"].chunk_for(large) == 5_000_000_000
    assert by_name["quay"].chunk_for(20_000_000_000) is None
    assert by_name["azure"].chunk_for(20 * MIB) == 16 * MIB
    assert by_name["azure"].chunk_for(16 * MIB) is None
