"""Images as they are in a store: documents of one platform, and the file tree of the layers."""

from __future__ import annotations

from dataclasses import dataclass

from registry_tool.errors import StoreProblem
from registry_tool.oci.descriptors import (
    IMAGE_CONFIG,
    MANIFEST_TYPES,
    Descriptor,
    malformed,
    oci_media_type,
    same_platform,
)
from registry_tool.oci.file_tree import FileTree, LayerEntries
from registry_tool.oci.image import ImageConfig, ImageIndex, ImageManifest
from registry_tool.oci.store import ImageStore

_NESTED = 3
_CONFIG_LIMIT = 8 << 20


@dataclass(frozen=True, slots=True)
class ImageView:
    """An image for one platform. Layers have OCI media types, also where Docker wrote them."""

    store: ImageStore
    repository: str
    descriptor: Descriptor
    """Of the image manifest of this platform."""
    manifest: ImageManifest
    config: ImageConfig

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """From the bottom up, one for each of the config's diff ids."""
        return self.manifest.layers

    def file_tree(self, cache: dict[str, LayerEntries] | None = None) -> FileTree:
        """The files of all layers; `cache` keeps what was read of a layer, by digest."""
        return FileTree.read(self.store, self.repository, self.layers, cache)


def open_image(store: ImageStore, repository: str, reference: str, platform: str) -> ImageView:
    """The image that a tag or digest names, for a platform; StoreProblem when there is none."""
    place = f"{repository}{'@' if ':' in reference else ':'}{reference}"
    descriptor = store.resolve(repository, reference)
    if descriptor is None:
        raise StoreProblem(
            f"there is no image {place} in the store {store.name}",
            code="RT608",
            help=f"copy it there, for example: skopeo copy docker://… oci:STORE/{repository}:TAG",
        )
    descriptor = _for_platform(store, repository, descriptor, platform, place)
    manifest = ImageManifest.parse(store.read_manifest(repository, descriptor.digest), place)
    if oci_media_type(manifest.config.media_type) != IMAGE_CONFIG:
        raise malformed(place, f"it is no image but an artifact ({manifest.config.media_type})")
    config = read_config(store, repository, manifest, place)
    if len(config.diff_ids) != len(manifest.layers):
        raise malformed(place, "config and image manifest disagree about the number of layers")
    if not same_platform(config.platform, platform):
        raise _no_platform(place, platform, [config.platform])
    layers = tuple(_as_oci(layer) for layer in manifest.layers)
    manifest = ImageManifest(manifest.config, layers, manifest.annotations, manifest.artifact_type)
    return ImageView(store, repository, descriptor, manifest, config)


def image_platforms(store: ImageStore, repository: str, descriptor: Descriptor) -> list[str]:
    """The platforms that an index offers, in its order; empty for a single image manifest."""
    if not descriptor.is_index:
        return []
    data = store.read_manifest(repository, descriptor.digest)
    index = ImageIndex.parse(data, f"{repository}@{descriptor.digest}")
    return [entry.platform for entry in index.manifests if entry.platform]


def read_config(
    store: ImageStore, repository: str, manifest: ImageManifest, place: str
) -> ImageConfig:
    """The config that an image manifest points to."""
    if manifest.config.size > _CONFIG_LIMIT:
        raise malformed(place, f"its config has {manifest.config.size} bytes")
    with store.open_blob(repository, manifest.config.digest) as file:
        data = file.read(_CONFIG_LIMIT)
    return ImageConfig.parse(data, f"{place} (config {manifest.config.digest})")


def _for_platform(
    store: ImageStore, repository: str, descriptor: Descriptor, platform: str, place: str
) -> Descriptor:
    for _ in range(_NESTED):
        if descriptor.media_type in MANIFEST_TYPES:
            return descriptor
        if not descriptor.is_index:
            break
        data = store.read_manifest(repository, descriptor.digest)
        entries = ImageIndex.parse(data, place).manifests
        offered = [entry.platform for entry in entries if entry.platform]
        fitting = [e for e in entries if e.platform and same_platform(e.platform, platform)]
        # An index of one entry need not name the platform; the config does.
        unnamed = [entry for entry in entries if not entry.platform and not offered]
        if not fitting and len(unnamed) != 1:
            raise _no_platform(place, platform, offered)
        descriptor = (fitting or unnamed)[0]
    else:
        raise malformed(place, f"indexes are nested more than {_NESTED} deep")
    raise malformed(place, f"it is no image ({descriptor.media_type})")


def _no_platform(place: str, platform: str, offered: list[str]) -> StoreProblem:
    return StoreProblem(
        f"{place} is not there for {platform}, only for {', '.join(offered) or 'no platform'}",
        code="RT608",
        help="build for one of these platforms, or choose another base",
    )


def _as_oci(layer: Descriptor) -> Descriptor:
    return Descriptor(
        oci_media_type(layer.media_type), layer.digest, layer.size, annotations=layer.annotations
    )
