"""Answers that are given again: only while the address means the same revision."""

from __future__ import annotations

import gzip

import pytest
from registries import RegistryFolder
from web_index import API, Index


@pytest.mark.parametrize("name", ["at", "%61t"])
def test_a_branch_is_followed_without_a_look_at_git(
    index: Index, applied: RegistryFolder, name: str
) -> None:
    path = f"{API}/models?{name}=side"
    applied.git("branch", "side")
    for _ in range(2):
        assert [item["id"] for item in index.client.get(path).json()["items"]] == ["minilm"]
    applied.model("bert")
    applied.commit("Add bert")
    applied.git("branch", "--force", "side")
    for _ in range(2):
        assert [item["id"] for item in index.client.get(path).json()["items"]] == ["bert", "minilm"]
    applied.git("branch", "--delete", "--force", "side")
    assert index.client.get(path).status_code == 404


def test_packed_refs_are_followed(index: Index, applied: RegistryFolder) -> None:
    applied.git("branch", "side")
    applied.git("pack-refs", "--all")
    assert index.items("/models", at="side") == ["minilm"]
    applied.model("bert")
    applied.commit("Add bert")
    applied.git("branch", "--force", "side")
    applied.git("pack-refs", "--all")
    assert index.items("/models", at="side") == ["bert", "minilm"]


def test_a_name_is_known_until_its_ref_moves(index: Index, applied: RegistryFolder) -> None:
    updater = index.context.updater
    assert updater.known("main~1") is None
    pair = updater.at("main~1")
    assert updater.known("main~1") == pair
    applied.git("commit", "--quiet", "--allow-empty", "--message", "Nothing")
    assert updater.known("main~1") is None
    assert updater.at("main~1") != pair


def test_a_new_look_at_git_forgets_names(index: Index) -> None:
    updater = index.context.updater
    updater.at("main")
    updater.refresh()
    assert updater.known("main") is None


def test_new_records_are_followed(index: Index, applied: RegistryFolder) -> None:
    updater = index.context.updater
    before = updater.at("main")
    applied.git("update-ref", "refs/heads/registry-records", "registry-records~1")
    assert updater.at("main").records != before.records


def test_an_answer_that_was_given_plain_is_compressed_when_asked(shared: Index) -> None:
    path = f"{API}/models?facet=company&limit=7"
    client = shared.client
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as packed:
        content = b"".join(packed.iter_raw())
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(content) == plain.content
    assert "Content-Encoding" not in plain.headers
