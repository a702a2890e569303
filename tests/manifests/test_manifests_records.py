"""Records: parsed strictly, found by folder, read when looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from manifests_samples import FULL

from registry_tool.domain.recorded import parse_record_file_name
from registry_tool.domain.records import Build
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.errors import InvalidManifests
from registry_tool.manifests.records import load_recorded, parse_record
from registry_tool.manifests.source import DictSource

RELEASE = ReleaseId("minilm", "1.10.0", "Q4_K_M")
FOLDER = "builds/minilm/1.10.0/Q4_K_M"
FILES = {
    f"{FOLDER}/000001-0123456789ab.yaml": FULL["Build"],
    f"{FOLDER}/000010-0123456789ab.yaml": FULL["Build"].replace(
        b"adopted: true", b"adopted: false"
    ),
    f"{FOLDER}/000002-0123456789ab.yaml": FULL["Build"].replace(b"failed", b"succeeded"),
    "deployments/production/search/000001-0123456789ab.yaml": FULL["DeploymentRecord"],
    "requests/000001-0123456789ab.yaml": FULL["Request"],
    "requests/000002-0123456789ab.yaml": FULL["Request"].replace(b"retry", b"build"),
    "README.md": b"# records",
    f"{FOLDER}/notes.yaml": b"[",
}


class Reader:
    """Reads from memory and remembers how often."""

    def __init__(self, source: DictSource) -> None:
        self._source = source
        self.calls: list[int] = []

    def __call__(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        self.calls.append(len(oids))
        return self._source.read(oids)


class Cache(dict[str, bytes]):
    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self[key] for key in keys if key in self}

    def put_many(self, items: Mapping[str, bytes]) -> None:
        self.update(items)


def test_records_are_found_in_their_folders_in_order_of_sequence() -> None:
    source = DictSource(FILES)
    recorded = load_recorded("0" * 40, source.entries(), source.read)
    assert [entry.sequence for entry in recorded.builds[RELEASE]] == [1, 2, 10]
    assert recorded.builds[RELEASE][-1].record.spec.adopted is False
    assert recorded.builds[RELEASE][1:][0].sequence == 2
    latest = recorded.latest_deployment(DeploymentId("production", "search"))
    assert latest is not None
    assert latest.record.spec.health == "unhealthy"
    assert [entry.record.spec.action for entry in recorded.requests] == ["retry", "build"]
    assert recorded.oid == "0" * 40


def test_nothing_is_read_before_it_is_looked_at_and_the_newest_come_together() -> None:
    source = DictSource(FILES)
    reader = Reader(source)
    recorded = load_recorded(None, source.entries(), reader)
    assert (list(recorded.builds), reader.calls) == ([RELEASE], [])
    assert recorded.latest_build(RELEASE, "embedded") is not None
    recorded.latest_deployment(DeploymentId("production", "search"))
    assert list(recorded.requests)
    assert reader.calls == [4]
    assert recorded.succeeded_build(RELEASE, "embedded") is not None
    assert reader.calls == [4, 1]


def test_a_cache_saves_reading() -> None:
    source, cache = DictSource(FILES), Cache()
    first = load_recorded(None, source.entries(), source.read, cache)
    expected = list(first.builds[RELEASE]), list(first.requests)
    reader = Reader(source)
    second = load_recorded(None, source.entries(), reader, cache)
    assert (list(second.builds[RELEASE]), list(second.requests)) == expected
    assert reader.calls == []


def test_a_damaged_cache_only_costs_reading() -> None:
    source, cache = DictSource(FILES), Cache()
    expected = list(load_recorded(None, source.entries(), source.read, cache).requests)
    cache.update(dict.fromkeys(cache, b'{"kind": "Build"}'))
    assert list(load_recorded(None, source.entries(), source.read, cache).requests) == expected


def test_no_records_yet() -> None:
    recorded = load_recorded(None, [], Reader(DictSource({})))
    assert (dict(recorded.builds), dict(recorded.deployments), list(recorded.requests)) == (
        {},
        {},
        [],
    )


def test_a_bad_record_says_what_is_wrong_and_where() -> None:
    with pytest.raises(InvalidManifests) as caught:
        parse_record("builds/x.yaml", FULL["Build"].replace(b"adopted: true", b"adopted: maybe"))
    (entry,) = caught.value.diagnostics
    assert (entry.path, entry.code) == ("builds/x.yaml", "RT103")


@pytest.mark.parametrize("data", [b"", b"\xff", b"a: [", FULL["Model"], b"kind: 1", b"- 1"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidManifests) as caught:
        parse_record("x.yaml", data)
    assert caught.value.diagnostics


def test_a_record_in_the_folder_of_another_subject_is_refused() -> None:
    source = DictSource({"builds/other/1.10.0/Q4_K_M/000001-0123456789ab.yaml": FULL["Build"]})
    recorded = load_recorded(None, source.entries(), source.read)
    with pytest.raises(InvalidManifests, match="does not hold a Build of release/other/"):
        recorded.latest_build(ReleaseId("other", "1.10.0", "Q4_K_M"), "embedded")


def test_output_with_escape_characters_survives() -> None:
    record = parse_record("x.yaml", FULL["Build"])
    assert isinstance(record, Build)
    assert record.spec.error == "exit 1\x1b[0m"


def test_long_sequences_still_sort() -> None:
    assert parse_record_file_name("1000000-0123456789ab.yaml") == (1000000, "0123456789ab")
