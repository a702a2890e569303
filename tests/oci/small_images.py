"""Small images in an embedded store; no test library, so that processes start fast with it."""

from __future__ import annotations

from registry_tool.domain.digests import digest_of
from registry_tool.oci.descriptors import LAYER, Descriptor
from registry_tool.oci.image import ImageConfig, ImageManifest, config_descriptor
from registry_tool.oci.layout import LayoutStore


def put_blob(store: LayoutStore, repository: str, data: bytes) -> str:
    digest = digest_of(data)
    store.write_blob(repository, digest, len(data), [data])
    return digest


def put_image(store: LayoutStore, repository: str, content: bytes) -> Descriptor:
    """An image whose only layer has this content."""
    layer = Descriptor(LAYER, put_blob(store, repository, content), len(content))
    config = ImageConfig("linux/amd64").with_layers([(layer.digest, "test")])
    put_blob(store, repository, config.to_bytes())
    manifest = ImageManifest(config_descriptor(config), (layer,))
    descriptor = manifest.descriptor("linux/amd64")
    store.write_manifest(repository, descriptor, manifest.to_bytes())
    return descriptor
