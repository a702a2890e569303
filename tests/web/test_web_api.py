"""The JSON API: lists, items, errors, entity tags, time travel."""

from __future__ import annotations

import gzip
import json
import shutil
from typing import Any

import pytest
from registries import RegistryFolder
from web_index import API, Index

from registry_tool import __version__
from registry_tool.catalog.kinds import KINDS
from registry_tool.web.api.examples import EXAMPLES

RELEASE = "/releases/minilm/1.0.0/none"


@pytest.mark.parametrize("kind", KINDS)
def test_every_list_has_the_same_shape(
    shared: Index, shared_folder: RegistryFolder, kind: str
) -> None:
    page = shared.get(f"/{kind}")
    assert set(page) == {"revision", "records", "items", "total", "next", "facets"}
    assert page["records"] == shared_folder.git("rev-parse", "registry-records")
    assert page["revision"] == f"main@sha1:{shared_folder.git('rev-parse', 'HEAD')}"
    assert page["total"] == len(page["items"])
    assert page["next"] is None
    assert page["facets"] == {}


@pytest.mark.parametrize("kind", KINDS)
def test_every_facet_and_sort_that_is_documented_works(shared: Index, kind: str) -> None:
    known = KINDS[kind]
    for facet in known.facets:
        page = shared.get(f"/{kind}", params={"facet": facet})
        assert sum(value["count"] for value in page["facets"][facet]) <= 10 * page["total"]
    for sort in known.sorts:
        down = shared.items(f"/{kind}", sort=f"-{sort}")
        assert sorted(down) == sorted(shared.items(f"/{kind}", sort=sort))


@pytest.mark.parametrize(
    "path",
    [
        "/models/minilm",
        RELEASE,
        "/deployments/staging/search",
        "/environments/staging",
        "/templates/weights",
        "/registry",
        "/models/minilm/latest",
    ],
)
def test_single_items_are_found(shared: Index, path: str) -> None:
    item = shared.get(path)
    assert item["subject"]


def test_items_of_a_list_can_be_looked_up(shared: Index) -> None:
    for kind in ("artifacts", "audit"):
        for item_id in shared.items(f"/{kind}"):
            assert shared.get(f"/{kind}/{item_id}")["id"] == item_id
    for kind, folder in (("builds", "builds"), ("deployment-records", "deployments")):
        (item_id,) = shared.items(f"/{kind}")
        assert shared.get(f"/{kind}/{item_id.removeprefix(folder + '/')}")["id"] == item_id


def test_a_build_is_found_by_its_key(shared: Index) -> None:
    (item,) = shared.get("/builds")["items"]
    assert shared.get(f"/builds/{item['key']}")["id"] == item["id"]


def test_versions_are_understood_in_any_spelling(shared: Index) -> None:
    assert shared.get("/releases/minilm/v1.0/none") == shared.get(RELEASE)


@pytest.mark.parametrize(
    "path",
    [
        "/models/resnet",
        "/models/resnet/latest",
        "/models/resnet/releases",
        "/releases/minilm/9.0.0/none",
        "/releases/minilm/not-a-version/none",
        "/releases/minilm/9.0.0/none/deployments",
        "/deployments/staging/other",
        "/environments/other",
        "/templates/other",
        "/api-keys/other",
        "/artifacts/" + "0" * 64,
        "/artifacts/zzz",
        f"/artifacts/{'0' * 64}/download",
        "/builds/" + "0" * 64,
        f"/builds/{'0' * 64}/log",
        "/builds/zzz",
        "/audit/" + "0" * 40,
        "/models?at=nowhere",
        "/models?at=" + "0" * 40,
        "/nothing",
    ],
)
def test_what_is_not_there_is_404(shared: Index, path: str) -> None:
    assert shared.get(path, 404)["detail"]


@pytest.mark.parametrize(
    "query, word",
    [
        ("compny=x", "company"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("cursor=xyz", "cursor"),
        ("sort=colour", "colour"),
        ("facet=colour", "colour"),
        ("parameter_count_min=many", "parameter_count_min"),
        ("created_max=nan", "created_max"),
        ("q=%00", "q"),
    ],
)
def test_what_cannot_be_meant_is_422_and_names_it(shared: Index, query: str, word: str) -> None:
    assert word in shared.get(f"/models?{query}", 422)["detail"]


def test_filters_narrow_a_list(applied: RegistryFolder, index: Index) -> None:
    for name, company, count in (
        ("bert", "Acme", "110M"),
        ("gpt", "Acme", "7B"),
        ("t5", "Best", "1B"),
    ):
        applied.model(name)
        applied.replace(
            f"manifests/models/{name}.yaml",
            "spec:",
            f"spec:\n  company: {company}\n  parameter_count: {count}\n  tags: [nlp, {name}]",
        )
    applied.commit("Add models")
    index.refresh()
    assert index.items("/models", company="Acme") == ["bert", "gpt"]
    assert index.items("/models", company=["Acme", "Best"], sort="-parameter_count") == [
        "gpt",
        "t5",
        "bert",
    ]
    assert index.items("/models", parameter_count_min="1B", parameter_count_max=7_000_000_000) == [
        "gpt",
        "t5",
    ]
    assert index.items("/models", tags="t5") == ["t5"]
    assert index.items("/models", q="ber") == ["bert"]
    page = index.get("/models", params={"company": "Acme", "facet": "company,tags"})
    assert {value["value"]: value["count"] for value in page["facets"]["company"]} == {
        "Acme": 2,
        "Best": 1,
    }
    assert {value["value"] for value in page["facets"]["tags"]} == {"nlp", "bert", "gpt"}


def test_cursors_lead_through_the_whole_list_once(applied: RegistryFolder, index: Index) -> None:
    for number in range(7):
        applied.model(f"model-{number}")
    applied.commit("Add models")
    index.refresh()
    seen: list[str] = []
    parameters: dict[str, Any] = {"limit": 3, "sort": "-name"}
    for _ in range(5):
        page = index.get("/models", params=parameters)
        assert page["total"] == 8
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == 8


def test_releases_of_a_model_and_deployments_of_a_release(shared: Index) -> None:
    assert shared.items("/models/minilm/releases") == ["minilm/1.0.0/none"]
    assert shared.items(f"{RELEASE}/deployments") == ["staging/search"]
    assert "model" in shared.get("/models/minilm/releases?model=other", 422)["detail"]


def test_latest_passes_over_what_is_not_meant(applied: RegistryFolder, index: Index) -> None:
    for version, stage in (
        ("1.1.0", "released"),
        ("1.2.0", "deprecated"),
        ("2.0.0-rc.1", "candidate"),
    ):
        applied.release("minilm", version, stage=stage, lock=False)
    applied.commit("Add releases")
    index.refresh()
    assert index.get("/models/minilm/latest")["version"] == "1.1.0"
    assert index.get("/models/minilm/latest?stage=candidate")["version"] == "1.0.0"
    assert "no release" in index.get("/models/minilm/latest?quantization=int8", 404)["detail"]


def test_latest_asks_which_quantization_is_meant(applied: RegistryFolder, index: Index) -> None:
    text = (applied.path / "manifests/releases/minilm/1.0.0/none.yaml").read_text()
    applied.write(
        "manifests/releases/minilm/1.0.0/int8.yaml",
        text.replace("  version: 1.0.0", "  version: 1.0.0\n  quantization: int8"),
    )
    applied.commit("Add int8")
    index.refresh()
    detail = index.get("/models/minilm/latest", 409)["detail"]
    assert "minilm/1.0.0/int8" in detail
    assert "minilm/1.0.0/none" in detail
    found = index.get("/models/minilm/latest", params={"quantization": "int8"})
    assert found["quantization"] == "int8"


def test_search_finds_items_of_all_kinds(shared: Index) -> None:
    hits = shared.get("/search", params={"q": "minilm"})["items"]
    assert {"models", "releases"} <= {hit["kind"] for hit in hits}
    assert all(hit["item"]["id"] == hit["key"] for hit in hits)
    only = shared.get("/search", params={"q": "minilm", "kind": "models"})["items"]
    assert [hit["key"] for hit in only] == ["minilm"]


def test_an_entity_tag_saves_the_second_answer(index: Index, applied: RegistryFolder) -> None:
    path = f"{API}/models"
    first = index.client.get(path)
    etag = first.headers["ETag"]
    assert applied.git("rev-parse", "HEAD") in etag
    assert applied.git("rev-parse", "registry-records") in etag
    again = index.client.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == etag
    applied.model("bert")
    applied.commit("Add bert")
    index.refresh()
    changed = index.client.get(path, headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.json()["total"] == 2


def test_a_tag_of_a_thing_that_is_not_there_does_not_make_it_appear(shared: Index) -> None:
    etag = shared.client.get(f"{API}/models").headers["ETag"]
    response = shared.client.get(f"{API}/models/resnet", headers={"If-None-Match": etag})
    assert response.status_code == 404


def test_answers_are_compressed_for_clients_that_can(shared: Index) -> None:
    plain = shared.client.get(f"{API}{RELEASE}", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    for accepted in ("gzip", "br, gzip;q=0.5", "*"):
        with shared.client.stream(
            "GET", f"{API}{RELEASE}", headers={"Accept-Encoding": accepted}
        ) as packed:
            content = b"".join(packed.iter_raw())
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert gzip.decompress(content) == plain.content
    refused = shared.client.get(f"{API}{RELEASE}", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers


def test_a_second_answer_equals_the_first(shared: Index) -> None:
    paths = ("/models?facet=company", RELEASE, "/stats", "/search?q=minilm", "/audit")
    for path in paths:
        first, second = (shared.client.get(API + path) for _ in range(2))
        assert first.content == second.content
        assert dict(first.headers) == dict(second.headers)


def test_head_is_get_without_a_body(shared: Index) -> None:
    for path in ("/models", "/models", "/stats"):
        got, headed = shared.client.get(API + path), shared.client.head(API + path)
        assert headed.content == b""
        assert headed.status_code == 200
        assert headed.headers == got.headers


def test_another_revision_is_shown_as_it_was(index: Index, applied: RegistryFolder) -> None:
    before = applied.git("rev-parse", "HEAD")
    applied.model("bert")
    after = applied.commit("Add bert")
    index.refresh()
    assert index.items("/models", at=before) == ["minilm"]
    assert index.items("/models", at="HEAD~1") == ["minilm"]
    assert index.items("/models", at="main") == ["bert", "minilm"]
    assert index.items("/models", at=f"main@sha1:{before}") == ["minilm"]
    page = index.get("/models", params={"at": before})
    assert page["revision"].endswith(before)
    index.get("/models/bert", 404, params={"at": before})
    assert after in index.client.get(f"{API}/models?at={after}").headers["ETag"]


def test_an_old_revision_is_found_again_after_its_catalog_was_dropped(
    index: Index, applied: RegistryFolder
) -> None:
    before = applied.git("rev-parse", "HEAD")
    applied.model("bert")
    applied.commit("Add bert")
    index.refresh()
    assert index.items("/models", at=before) == ["minilm"]
    for file in (applied.path / ".git/registry-tool/catalog/at").iterdir():
        file.unlink()
    assert index.items("/models", at=before, limit=10) == ["minilm"]


def test_a_deleted_catalog_is_derived_again(index: Index, applied: RegistryFolder) -> None:
    shutil.rmtree(applied.path / ".git/registry-tool/catalog")
    (applied.path / ".git/registry-tool/catalog").mkdir()
    assert index.items("/releases") == ["minilm/1.0.0/none"]


def test_statistics_count_what_there_is(shared: Index) -> None:
    stats = shared.get("/stats")
    assert stats["counts"]["models"] == 1
    assert stats["releases"]["stage"] == {"candidate": 1}
    assert stats["deployments"] == {"environment": {"staging": 1}, "state": {"deployed": 1}}
    assert stats["builds"]["result"] == {"succeeded": 1}
    assert stats["storage"]["files"] > 0
    assert stats["problems"] == []


def test_storage_says_how_full_everything_is(shared: Index, shared_folder: RegistryFolder) -> None:
    found = shared.get("/system/storage")
    held = [name for mount in found["mounts"] for name in mount["holds"]]
    assert str(shared_folder.storage) in held
    assert "the embedded store" in held
    for mount in found["mounts"]:
        assert 0 < mount["used"] <= mount["total"]
    blobs = list((shared.context.store.root / ".blobs").iterdir())
    assert found["store"] == {
        "name": "embedded",
        "blobs": len(blobs),
        "bytes": sum(blob.stat().st_size for blob in blobs),
    }
    (model,) = found["models"]
    assert model["model"] == "minilm"
    assert model["unique_files"] == found["totals"]["unique_files"] > 0


def test_health_is_ok_and_names_what_is_served(
    shared: Index, shared_folder: RegistryFolder
) -> None:
    health = shared.client.get("/health").json()
    assert health["status"] == "ok"
    assert health["version"] == __version__
    assert health["revision"].endswith(shared_folder.git("rev-parse", "HEAD"))
    assert health["problem"] is None


def test_a_revision_that_cannot_be_served_leaves_the_one_before(
    index: Index, applied: RegistryFolder
) -> None:
    good = applied.git("rev-parse", "HEAD")
    applied.write("manifests/registry.yaml", "not: a manifest\n")
    applied.commit("Break it")
    index.refresh()
    assert index.items("/models") == ["minilm"]
    assert index.get("/models")["revision"].endswith(good)
    assert index.get("/stats")["problems"] != []


def test_the_log_of_a_build_is_text(shared: Index) -> None:
    (build,) = shared.get("/builds")["items"]
    response = shared.client.get(f"{API}/builds/{build['key']}/log")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert build["key"] in response.text
    assert response.headers["X-Log-Complete"] == "true"


def test_the_openapi_document_describes_every_route(shared: Index) -> None:
    document = shared.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    for kind in KINDS:
        assert f"{API}/{kind}" in document["paths"]
    names = {
        parameter["name"] for parameter in document["paths"][f"{API}/models"]["get"]["parameters"]
    }
    assert {
        "company",
        "parameter_count_min",
        "q",
        "facet",
        "cursor",
        "limit",
        "sort",
        "at",
    } <= names
    for path, operations in document["paths"].items():
        assert set(operations) == {"get"}, path
        success = operations["get"]["responses"]["200"]
        assert success["content"], path
        assert json.dumps(operations).count('"example') > 0, path


def test_examples_have_the_members_of_real_items(shared: Index) -> None:
    for kind, example in EXAMPLES.items():
        if kind in {"requests", "api-keys"}:
            continue
        real = shared.get("/registry") if kind == "registry" else shared.get(f"/{kind}")["items"][0]
        assert set(example) <= set(real), kind
