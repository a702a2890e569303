"""Lists: filters, facets, orders, pages, and questions that make no sense."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from registry_tool.catalog.files import Catalogs
from registry_tool.catalog.inputs import CatalogInputs, CatalogPair, ManifestFile
from registry_tool.catalog.kinds import KINDS
from registry_tool.catalog.listing import FacetValue, ListQuery, Range
from registry_tool.catalog.ordering import version_order
from registry_tool.catalog.queries import Catalog, Tie
from registry_tool.domain.kinds import MANIFEST_KINDS
from registry_tool.domain.revisions import Revision
from registry_tool.domain.versions import precedence
from registry_tool.errors import BadQuery

_PAIR = CatalogPair(Revision("main", "1" * 40), None)
_RANDOM = random.Random(7)
_MODELS = [
    {
        "name": f"model-{number:02d}",
        "company": _RANDOM.choice(["Acme", "Example", None]),
        "tags": _RANDOM.sample(["chat", "vision", "code"], _RANDOM.randint(0, 3)),
        "parameter_count": _RANDOM.choice([None, 7_000_000_000, 350_000_000]),
    }
    for number in range(12)
]
_VERSIONS = ("1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1")


def _file(kind: str, name: str, spec: dict[str, Any], metadata: dict[str, Any]) -> ManifestFile:
    document = {"apiVersion": "registry-tool/v1", "kind": kind, "metadata": metadata, "spec": spec}
    manifest: Any = MANIFEST_KINDS[kind].model_validate_json(json.dumps(document))
    return ManifestFile(f"manifests/{kind}/{name}.yaml", "3" * 40, kind, name, manifest)


def _files() -> Iterator[ManifestFile]:
    yield _file("Registry", "main", {"storage": {"allowed": ["/srv"]}}, {"name": "main"})
    for model in _MODELS:
        spec = {key: value for key, value in model.items() if key != "name"}
        spec["storage_path"] = f"/srv/{model['name']}"
        yield _file("Model", str(model["name"]), spec, {"name": model["name"]})
        for version in _VERSIONS:
            for quantization in ("none", "awq"):
                release = {"model": model["name"], "version": version, "quantization": quantization}
                spec = {
                    **release,
                    "template": {"name": "modelcar"},
                    "stage": _RANDOM.choice(["candidate", "released", "deprecated"]),
                    "release_notes": _RANDOM.choice(["Faster decoding", "Fewer refusals"]),
                }
                yield _file("Release", "/".join(map(str, release.values())), spec, {})


_FILES = list(_files())


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    catalogs = Catalogs(tmp_path_factory.mktemp("catalog"))
    with catalogs.changing():
        catalogs.build(CatalogInputs(_PAIR, _FILES, [], [_PAIR.manifests], []))
    with catalogs.open() as found:
        yield found
    catalogs.close()


def _items(catalog: Catalog, query: ListQuery) -> list[Any]:
    return [json.loads(item) for item in catalog.page(query).items]


def _everything(catalog: Catalog, kind: str) -> list[Any]:
    return _items(catalog, ListQuery(kind, limit=1000))


def test_filters_of_one_field_widen_and_of_several_narrow(catalog: Catalog) -> None:
    filters = {"stage": ("released", "candidate"), "company": ("Acme",), "quantization": ("awq",)}
    companies = {model["name"]: model["company"] for model in _MODELS}
    found = {item["id"] for item in _items(catalog, ListQuery("releases", filters, limit=1000))}
    assert found == {
        item["id"]
        for item in _everything(catalog, "releases")
        if item["stage"] in filters["stage"]
        and companies[item["model"]] == "Acme"
        and item["quantization"] == "awq"
    }
    assert found


def test_facets_count_with_all_filters_but_their_own(catalog: Catalog) -> None:
    filters = {"tags": ("chat",), "company": ("Acme",)}
    page = catalog.page(ListQuery("models", filters, facets=("company", "tags")))
    companies = Counter(m["company"] for m in _MODELS if "chat" in m["tags"] and m["company"])
    tags = Counter(tag for m in _MODELS if m["company"] == "Acme" for tag in m["tags"])
    assert {each.value: each.count for each in page.facets["company"]} == companies
    assert {each.value: each.count for each in page.facets["tags"]} == tags
    assert page.total == companies["Acme"]


def test_facets_come_by_count_and_are_limited(catalog: Catalog) -> None:
    page = catalog.page(ListQuery("releases", facets=("quantization", "model"), facet_limit=3))
    assert page.facets["quantization"] == (FacetValue("awq", 48), FacetValue("none", 48))
    assert [each.value for each in page.facets["model"]] == ["model-00", "model-01", "model-02"]


def test_ranges_leave_out_what_has_no_value(catalog: Catalog) -> None:
    query = ListQuery("models", ranges={"parameter_count": Range(None, 1e9)})
    assert {item["parameter_count"] for item in _items(catalog, query)} == {350_000_000}


@pytest.mark.parametrize(
    "sort",
    [(), ("-version", "model"), ("parameter_count",), ("-parameter_count", "name"), ("stage",)],
)
def test_pages_together_are_the_list(catalog: Catalog, sort: tuple[str, ...]) -> None:
    whole = [item["id"] for item in _items(catalog, ListQuery("releases", sort=sort, limit=1000))]
    assert len(set(whole)) == 96
    found: list[str] = []
    cursor: str | None = None
    while cursor is not None or not found:
        page = catalog.page(ListQuery("releases", sort=sort, limit=7, cursor=cursor))
        found += [json.loads(item)["id"] for item in page.items]
        cursor = page.next
        assert page.total == 96
    assert found == whole


def test_versions_are_ordered_as_versions(catalog: Catalog) -> None:
    query = ListQuery(
        "releases", {"model": ("model-00",), "quantization": ("none",)}, sort=("version",)
    )
    assert [item["version"] for item in _items(catalog, query)] == list(_VERSIONS)


@pytest.mark.parametrize("sort", [("parameter_count",), ("-parameter_count",)])
def test_items_without_a_value_come_last(catalog: Catalog, sort: tuple[str, ...]) -> None:
    values = [item["parameter_count"] for item in _items(catalog, ListQuery("models", sort=sort))]
    first_none = values.index(None)
    assert set(values[first_none:]) == {None}
    assert None not in values[:first_none]


def test_ranges_may_be_larger_than_any_number(catalog: Catalog) -> None:
    query = ListQuery("models", ranges={"parameter_count": Range(-(10**30), 10**30)})
    assert catalog.page(query).total == sum(bool(model["parameter_count"]) for model in _MODELS)


def test_words_find_their_beginnings_in_all_texts(catalog: Catalog) -> None:
    query = ListQuery("releases", q="model-03 decod", limit=100)
    found = _items(catalog, query)
    assert found
    assert all(item["model"] == "model-03" for item in found)
    assert all("decoding" in item["release_notes"] for item in found)


_HOSTILE = (
    *('"', "'", "*", "a AND", "NEAR(", "name:x", "^", "-", "(", "\0", "a\0b", "%", "--", "col : y"),
    *("\ud800", "a\ud800", "\u0301", "\u200f", "\U0001f600", "x" * 5000, "a" + " b" * 300),
    *('" OR 1=1 --', "model-03*", "\u202eabc", "sha256:abcdef0123"),
)


@pytest.mark.parametrize("q", _HOSTILE, ids=ascii)
def test_hostile_texts_are_only_words(catalog: Catalog, q: str) -> None:
    catalog.page(ListQuery("releases", q=q))
    catalog.search(q)
    catalog.search(q, kinds=("models", "audit"))
    assert catalog.page(ListQuery("releases", {"model": (q,), "company": (q,)})).total == 0
    assert catalog.get("models", q) is None


@pytest.mark.parametrize(
    "query",
    [
        ListQuery("nothing"),
        ListQuery("models", {"colour": ("red",)}),
        ListQuery("models", facets=("name",)),
        ListQuery("models", sort=("-colour",)),
        ListQuery("models", ranges={"colour": Range(1, 2)}),
        ListQuery("models", cursor="rubbish"),
        ListQuery("models", cursor="WyJ4Il0"),
        ListQuery("models", cursor="W10"),
        ListQuery("models", cursor="\u00e9"),
        ListQuery("models", cursor="W" * 100_000),
    ],
)
def test_questions_without_meaning_are_refused(catalog: Catalog, query: ListQuery) -> None:
    with pytest.raises(BadQuery):
        catalog.page(query)


def test_cursor_of_another_query_is_refused(catalog: Catalog) -> None:
    cursor = catalog.page(ListQuery("models", limit=2)).next
    with pytest.raises(BadQuery):
        catalog.page(ListQuery("models", q="model", cursor=cursor, limit=2))


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_everything_that_a_kind_offers_can_be_asked(catalog: Catalog, kind: Any) -> None:
    for field in (*kind.facets, *kind.exact):
        catalog.page(ListQuery(kind.name, {field: ("model/x", "y")}))
    for name in kind.ranges:
        catalog.page(ListQuery(kind.name, ranges={name: Range(0, 10)}))
    for name in kind.sorts:
        catalog.page(ListQuery(kind.name, sort=(name,)))
        catalog.page(ListQuery(kind.name, sort=(f"-{name}",)))
    catalog.page(ListQuery(kind.name, q="x", facets=kind.facets))


def test_latest_leaves_out_pre_releases_and_names_ties(catalog: Catalog) -> None:
    for model in (str(model["name"]) for model in _MODELS):
        usable = [
            (item["version"], item["quantization"])
            for item in _everything(catalog, "releases")
            if item["model"] == model
            and item["stage"] != "deprecated"
            and "-" not in item["version"]
        ]
        newest = max((version for version, _ in usable), key=precedence)
        tied = sorted(each for each in usable if each[0] == newest)
        found = catalog.latest(model)
        if len(tied) > 1:
            assert found == Tie(tuple(f"{model}/{version}/{name}" for version, name in tied))
        else:
            assert isinstance(found, str)
            assert json.loads(found)["id"] == f"{model}/{newest}/{tied[0][1]}"
    assert catalog.latest("nothing") is None


def test_text_order_of_versions_is_their_precedence() -> None:
    parts = [
        "alpha",
        "alpha-1",
        "alpha.1",
        "alpha.beta",
        "beta",
        "beta.2",
        "beta.11",
        "rc.1",
        "1",
        "a0",
    ]
    versions = [f"{core}-{part}" for core in ("1.0.0", "1.2.0") for part in parts]
    versions += ["0.0.1", "1.0.0", "1.2.0", "1.10.0", "10.0.0", "999999999999999999.0.0"]
    assert sorted(versions, key=version_order) == sorted(versions, key=precedence)


def test_page_is_one_json_document(catalog: Catalog) -> None:
    document = json.loads(catalog.page(ListQuery("models", limit=1, facets=("tags",))).to_json())
    assert list(document) == ["revision", "records", "items", "total", "next", "facets"]
    assert document["revision"] == f"main@sha1:{'1' * 40}"
    assert document["total"] == 12
