"""Every field that a manifest or record declares is in its item."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from registry_tool.catalog.files import Catalogs
from registry_tool.catalog.inputs import CatalogInputs, CatalogPair, ManifestFile, RecordFile
from registry_tool.catalog.queries import Catalog
from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS
from registry_tool.domain.revisions import Revision
from registry_tool.manifests.parsing import parse

sys.path.insert(0, str(Path(__file__).parent.parent / "manifests"))
from manifests_samples import FULL

_NAMES = {
    "Registry": "main",
    "Model": "minilm",
    "Release": "minilm/1.10.0/Q4_K_M",
    "ArtifactLock": "minilm/1.10.0/Q4_K_M",
    "Environment": "production",
    "Deployment": "production/search",
    "ApiKey": "dashboard",
    "BuildTemplate": "python-server",
}
_KINDS = {
    "Model": "models",
    "Release": "releases",
    "Environment": "environments",
    "Deployment": "deployments",
    "ApiKey": "api-keys",
    "BuildTemplate": "templates",
}
_RECORDS = {
    "Build": ("builds", "builds/minilm/1.10.0/Q4_K_M/000001-0123456789ab"),
    "DeploymentRecord": (
        "deployment-records",
        "deployments/production/search/000001-0123456789ab",
    ),
    "Request": ("requests", "requests/000001-0123456789ab"),
}
_PAIR = CatalogPair(Revision("main", "1" * 40), "2" * 40)


def _sample(kind: str) -> Any:
    kinds = {**MANIFEST_KINDS, **RECORD_KINDS}
    return kinds[kind].model_validate_json(json.dumps(parse(FULL[kind])))


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    catalogs = Catalogs(tmp_path_factory.mktemp("catalog"))
    manifests = [
        ManifestFile(f"manifests/{kind}.yaml", "3" * 40, kind, name, _sample(kind))
        for kind, name in _NAMES.items()
    ]
    records = [RecordFile(f"{key}.yaml", 1, _sample(kind)) for kind, (_, key) in _RECORDS.items()]
    with catalogs.changing():
        catalogs.build(CatalogInputs(_PAIR, manifests, records, [_PAIR.manifests], []))
    with catalogs.open() as found:
        yield found
    catalogs.close()


def _declared(sample: BaseModel) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(sample.model_dump_json(by_alias=True))
    metadata = {name: value for name, value in fields["metadata"].items() if name != "name"}
    return {**metadata, **fields["spec"]}


@pytest.mark.parametrize("kind", _KINDS)
def test_item_has_every_declared_field_of_its_manifest(catalog: Catalog, kind: str) -> None:
    text = catalog.get(_KINDS[kind], _NAMES[kind])
    assert text is not None
    item = json.loads(text)
    declared = _declared(_sample(kind))
    if kind == "ApiKey":
        del declared["sha256"]
        assert "sha256" not in item, "the hash of a key is for checking requests only"
    assert {name: item[name] for name in declared} == declared
    assert item["id"] == _NAMES[kind]
    assert item["name"] == _NAMES[kind].rpartition("/")[2] or kind == "Release"


def test_registry_item_has_every_declared_field(catalog: Catalog) -> None:
    item = json.loads(catalog.registry_item())
    declared = _declared(_sample("Registry"))
    assert {name: item[name] for name in declared} == declared
    assert catalog.registry() == _sample("Registry").spec


def test_release_item_has_every_declared_field_of_its_lock(catalog: Catalog) -> None:
    item = json.loads(catalog.get("releases", _NAMES["Release"]) or "")
    declared = _declared(_sample("ArtifactLock"))
    identity = {name: declared.pop(name) for name in ("model", "version", "quantization")}
    assert {name: item[name] for name in identity} == identity
    assert {name: item["lock"][name] for name in declared} == declared


def test_artifact_item_has_every_declared_field_of_its_file(catalog: Catalog) -> None:
    (file,) = _declared(_sample("ArtifactLock"))["files"]
    found = json.loads(catalog.get("artifacts", file["sha256"]) or "")
    (item,) = found["releases"]
    assert {name: item[name] for name in file} == file
    assert item["release"] == _NAMES["Release"]
    assert item["storage_path"] == "/mnt/ceph/models/minilm/1.10"


@pytest.mark.parametrize("kind", _RECORDS)
def test_item_has_every_declared_field_of_its_record(catalog: Catalog, kind: str) -> None:
    collection, key = _RECORDS[kind]
    item = json.loads(catalog.get(collection, key) or "")
    declared = _declared(_sample(kind))
    assert {name: item[name] for name in declared} == declared


def test_api_key_is_found_with_its_hash(catalog: Catalog) -> None:
    key = catalog.api_key("AbCd1234")
    assert key is not None
    assert (key.name, key.sha256, key.revoked) == ("dashboard", _sample("ApiKey").spec.sha256, True)
    assert catalog.api_key("unknown") is None
