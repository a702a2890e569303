"""The embedded store, as an independent program reads it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from registry_tool.domain.digests import digest_of
from registry_tool.oci.descriptors import LAYER, Descriptor
from registry_tool.oci.image import (
    ImageConfig,
    ImageIndex,
    ImageManifest,
    ImageSettings,
    config_descriptor,
)
from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.reading import open_image
from registry_tool.oci.tar import Member, layer_chunks

pytestmark = pytest.mark.skipif(
    shutil.which("skopeo") is None, reason="skopeo is not installed (apt-get install skopeo)"
)


def skopeo(*arguments: str) -> str:
    command = ["skopeo", "--insecure-policy", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    """minilm:1.0.0 for two platforms, with one layer."""
    store = LayoutStore(tmp_path / "store")
    content = os.urandom(100_000)
    members = [Member("models/minilm/modèle.bin", len(content))]
    file = tmp_path / "content"
    file.write_bytes(content)
    data = b"".join(map(bytes, layer_chunks(members, lambda _: file.open("rb"))))
    layer = Descriptor(LAYER, _add(store, data), len(data))
    entries = []
    for platform in ("linux/amd64", "linux/arm64/v8"):
        settings = ImageSettings(env={"A": "1"}, cmd=("/serve",), labels={"org.example": "x"})
        config = ImageConfig(platform, settings).with_layers([(layer.digest, "weights")])
        _add(store, config.to_bytes())
        manifest = ImageManifest(config_descriptor(config), (layer,))
        entries.append(manifest.descriptor(platform))
        store.write_manifest("minilm", entries[-1], manifest.to_bytes())
    index = ImageIndex(tuple(entries))
    store.write_manifest("minilm", index.descriptor(), index.to_bytes())
    store.put_tags("minilm", {"1.0.0": index.descriptor(), "amd64-1.0.0": entries[0]})
    return store


def _add(store: LayoutStore, data: bytes) -> str:
    digest = digest_of(data)
    store.write_blob("minilm", digest, len(data), [data])
    return digest


def test_it_inspects_an_image(store: LayoutStore) -> None:
    facts = json.loads(skopeo("--override-arch=arm64", "inspect", f"oci:{store.root}/minilm:1.0.0"))
    assert (facts["Os"], facts["Architecture"]) == ("linux", "arm64")
    assert facts["Labels"] == {"org.example": "x"}
    assert facts["Env"] == ["A=1"]
    assert facts["Created"] == "1970-01-01T00:00:00Z"


def test_it_copies_an_image_without_changing_a_digest(store: LayoutStore, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    source, destination = f"oci:{store.root}/minilm:1.0.0", f"oci:{copy}/other:x"
    skopeo("copy", "--all", "--preserve-digests", source, destination)
    copied = LayoutStore(copy).tags("other")["x"]
    assert copied.digest == store.tags("minilm")["1.0.0"].digest
    for path in (copy / "other" / "blobs" / "sha256").iterdir():
        assert store.has_blob("minilm", f"sha256:{path.name}")


def test_an_image_that_it_copied_in_can_be_opened_and_tagged(store: LayoutStore) -> None:
    source, base = f"oci:{store.root}/minilm:amd64-1.0.0", f"oci:{store.root}/bases/x"
    (store.root / "bases").mkdir()
    skopeo("copy", "--dest-compress", source, f"{base}:1")
    view = open_image(store, "bases/x", "1", "linux/amd64")
    assert view.file_tree().lookup("/models/minilm/modèle.bin")
    store.put_tags("bases/x", {"2": view.descriptor})
    digests = {json.loads(skopeo("inspect", f"{base}:{tag}"))["Digest"] for tag in ("1", "2")}
    assert digests == {view.descriptor.digest}
    assert store.mount_blob("bert", view.layers[0].digest, "bases/x")
