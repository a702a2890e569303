"""The storage page: disks as they are, and what models occupy by locks and builds."""

from __future__ import annotations

import re
import shutil
from html import unescape

from registries import RegistryFolder
from web_index import Index

from registry_tool.web.pages.storage import Disk
from registry_tool.web.text import human_bytes


def test_the_disk_of_storage_and_store_is_named(shared: Index) -> None:
    text = unescape(shared.client.get("/storage").text)
    (disk,) = re.findall(r'<ul class="feed" id="disk-list">(.*?)</ul>', text, re.DOTALL)
    total = shutil.disk_usage(shared.context.store.root.parent).total
    assert f"of {human_bytes(total)} used" in disk
    assert re.search(r"\d+ % full", disk)
    assert "the embedded store" in disk
    (allowed,) = shared.get("/registry")["storage"]["allowed"]
    assert allowed in disk


def test_it_agrees_with_the_api(shared: Index) -> None:
    text = unescape(shared.client.get("/storage").text)
    document = shared.get("/system/storage")
    assert f"<b>{human_bytes(document['totals']['unique_files'])}</b>" in text
    assert f"in the embedded store, {document['store']['blobs']} blobs" in text
    (model,) = document["models"]
    assert f'data-label="Image layers">{human_bytes(model["images"])}' in text


def test_object_storage_has_no_disk(index: Index, applied: RegistryFolder) -> None:
    applied.replace("manifests/registry.yaml", "allowed: [", "allowed: [s3://bucket/models, ")
    applied.commit("Allow a bucket")
    index.refresh()
    text = index.client.get("/storage").text
    assert "<code>s3://bucket/models</code>" in text
    assert "object storage" in text


def test_the_dashboard_shows_the_same_disks(shared: Index) -> None:
    text = shared.client.get("/").text
    assert re.search(r'hx-get="/storage"[^>]*hx-select="#disk-list"', text)


def test_a_disk_that_is_nearly_full_stands_out() -> None:
    full = Disk("/srv", ("models",), total=100, used=88, free=2)
    assert (full.percent, full.nearly_full) == (98, True)
    empty = Disk("/srv", (), total=0, used=0, free=0)
    assert (empty.percent, empty.nearly_full) == (0, False)
