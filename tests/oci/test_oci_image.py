"""The documents of an image: round trips, canonical bytes, merging with a base."""

from __future__ import annotations

import json

import pytest

from registry_tool.domain.digests import digest_of
from registry_tool.errors import StoreProblem
from registry_tool.oci.descriptors import (
    IMAGE_CONFIG,
    IMAGE_INDEX,
    IMAGE_MANIFEST,
    LAYER,
    Descriptor,
    is_digest,
    oci_media_type,
    platform_from_json,
    same_platform,
)
from registry_tool.oci.image import (
    ImageConfig,
    ImageIndex,
    ImageManifest,
    ImageSettings,
    config_descriptor,
)

DIGEST = digest_of(b"content")
BASE = {
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "os.version": "1",
    "created": "2026-01-02T03:04:05.678Z",
    "author": "somebody",
    "config": {
        "Env": ["PATH=/bin", "EMPTY=", "LANG=C=x"],
        "Entrypoint": ["/init"],
        "Cmd": ["--default"],
        "WorkingDir": "/srv",
        "User": "10:10",
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"org.example": "base"},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD", "true"]},
    },
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [
        {"created": "2026-01-02T03:04:05Z", "created_by": "ADD rootfs", "comment": "c"},
        {"created": "2026-01-02T03:04:05Z", "created_by": "ENV", "empty_layer": True},
    ],
}


def parsed(document: object) -> ImageConfig:
    return ImageConfig.parse(json.dumps(document).encode(), "base:1")


def test_a_config_survives_reading_and_writing() -> None:
    config = parsed(BASE)
    assert config.platform == "linux/arm64/v8"
    assert json.loads(config.to_bytes()) == BASE
    assert ImageConfig.parse(config.to_bytes(), "again") == config


def test_equal_images_have_equal_bytes_whatever_the_order_of_settings() -> None:
    left = ImageSettings(labels={"a": "1", "b": "2"}, exposed_ports=("1/tcp", "2/tcp"))
    right = ImageSettings(labels={"b": "2", "a": "1"}, exposed_ports=("2/tcp", "1/tcp"))
    data = [ImageConfig("linux/amd64", settings).to_bytes() for settings in (left, right)]
    assert data[0] == data[1] == data[0].strip()
    assert b"1970-01-01T00:00:00Z" in data[0]


def test_variables_keep_their_order_because_some_build_on_others() -> None:
    settings = ImageSettings(env={"Z": "1", "A": "2"})
    assert settings.to_json()["Env"] == ["Z=1", "A=2"]


def test_layers_are_added_with_their_history() -> None:
    config = parsed(BASE).with_layers([("sha256:" + "1" * 64, "weights")])
    assert config.diff_ids == (DIGEST, "sha256:" + "1" * 64)
    assert [entry.created_by for entry in config.history] == ["ADD rootfs", "ENV", "weights"]
    assert config.history[-1].created == "1970-01-01T00:00:00Z"


def test_settings_are_merged_as_a_derived_image_does() -> None:
    base = parsed(BASE).settings
    over = ImageSettings(
        env={"PATH": "/opt/bin", "NEW": "1"},
        exposed_ports=("443/tcp",),
        labels={"org.example": "derived", "more": "x"},
        working_dir="/app",
    )
    merged = base.merged(over)
    assert merged.env == {"PATH": "/opt/bin", "EMPTY": "", "LANG": "C=x", "NEW": "1"}
    assert merged.exposed_ports == ("443/tcp", "80/tcp")
    assert merged.labels == {"org.example": "derived", "more": "x"}
    assert (merged.working_dir, merged.user) == ("/app", "10:10")
    assert (merged.entrypoint, merged.cmd) == (("/init",), ("--default",))
    assert merged.others["StopSignal"] == "SIGINT"


@pytest.mark.parametrize(
    ("over", "entrypoint", "cmd"),
    [
        (ImageSettings(entrypoint=("/serve",)), ("/serve",), None),
        (ImageSettings(entrypoint=("/serve",), cmd=("-x",)), ("/serve",), ("-x",)),
        (ImageSettings(cmd=("-x",)), ("/init",), ("-x",)),
    ],
)
def test_a_new_entry_point_drops_the_old_command(
    over: ImageSettings, entrypoint: tuple[str, ...], cmd: tuple[str, ...] | None
) -> None:
    merged = parsed(BASE).settings.merged(over)
    assert (merged.entrypoint, merged.cmd) == (entrypoint, cmd)


def test_an_image_manifest_points_to_its_config_and_layers() -> None:
    config = ImageConfig("linux/amd64").with_layers([(DIGEST, "files")])
    layer = Descriptor(LAYER, DIGEST, 7, annotations={"part": "weights"})
    manifest = ImageManifest(config_descriptor(config), (layer,), {"note": "x"})
    data = manifest.to_bytes()
    assert json.loads(data) == {
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "config": {
            "mediaType": IMAGE_CONFIG,
            "digest": digest_of(config.to_bytes()),
            "size": len(config.to_bytes()),
        },
        "layers": [
            {"mediaType": LAYER, "digest": DIGEST, "size": 7, "annotations": {"part": "weights"}}
        ],
        "annotations": {"note": "x"},
    }
    assert ImageManifest.parse(data, "x") == manifest
    pointer = manifest.descriptor("linux/amd64")
    assert (pointer.digest, pointer.size) == (digest_of(data), len(data))


def test_an_index_names_platforms() -> None:
    entries = tuple(
        Descriptor(IMAGE_MANIFEST, DIGEST, 1, platform)
        for platform in ("linux/amd64", "linux/arm64/v8")
    )
    index = ImageIndex(entries)
    document = json.loads(index.to_bytes())
    assert document["mediaType"] == IMAGE_INDEX
    assert document["manifests"][1]["platform"] == {
        "os": "linux",
        "architecture": "arm64",
        "variant": "v8",
    }
    assert ImageIndex.parse(index.to_bytes(), "x") == index
    assert index.descriptor().is_index


def test_docker_documents_are_read_as_their_oci_equals() -> None:
    prefix = "application/vnd.docker"
    assert oci_media_type(f"{prefix}.image.rootfs.diff.tar.gzip") == LAYER + "+gzip"
    assert oci_media_type(f"{prefix}.container.image.v1+json") == IMAGE_CONFIG
    assert oci_media_type(LAYER) == LAYER
    assert Descriptor(f"{prefix}.distribution.manifest.list.v2+json", DIGEST, 1).is_index


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/arm/v6", "linux/arm", False),
        ("linux/amd64", "linux/arm64", False),
        ("windows/amd64", "linux/amd64", False),
    ],
)
def test_platforms_are_the_same_when_the_variant_is_implied(
    left: str, right: str, same: bool
) -> None:
    assert same_platform(left, right) is same


def test_an_attestation_has_no_platform() -> None:
    assert platform_from_json({"os": "unknown", "architecture": "unknown"}) is None


@pytest.mark.parametrize("text", ["sha256:abc", "sha512:" + "0" * 128, "1.0.0", DIGEST + "\n"])
def test_only_whole_sha256_digests_are_digests(text: str) -> None:
    assert not is_digest(text)
    assert is_digest(DIGEST)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"a": NaN}',
        b"[" * 100_000,
        b'{"manifests": [], "annotations": [1], "layers": [], "config": {"mediaType": "x",'
        b' "digest": "sha256:%064d", "size": 1, "annotations": "x"}}' % 0,
        b"{}",
        b'{"manifests": 1, "layers": 1, "config": 1, "os": "linux", "architecture": "amd64"}',
        b'{"manifests": [1], "layers": [{"mediaType": "x"}], "config": {"digest": "x"}}',
        b'{"manifests": [{"mediaType": "x", "digest": "sha256:../../etc", "size": 1}],'
        b' "config": {"mediaType": "x", "digest": "md5:1", "size": 1}, "layers": []}',
        b'{"os": "linux", "architecture": "amd64", "config": {"Env": 3}, "rootfs": {}}',
    ],
)
def test_a_malformed_document_is_named(document: bytes) -> None:
    for parse in (ImageConfig.parse, ImageManifest.parse, ImageIndex.parse):
        with pytest.raises(StoreProblem, match="store:tag is malformed") as caught:
            parse(document, "store:tag")
        assert caught.value.code == "RT608"
