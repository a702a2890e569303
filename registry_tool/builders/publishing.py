"""Into the store: image documents, tags, logs; and finding there what was finished before.

The order of effects is what makes a killed build harmless: blobs first, then the documents that point to them, and all
tags in the end. What is left behind without a tag is found again by its digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from registry_tool.builders.assembling import BUILD_KEY_LABEL, Part, PlatformImage, part_of
from registry_tool.builders.interface import BuildOrder, BuiltRelease, Check
from registry_tool.builders.layer_streams import publish_layer
from registry_tool.builders.native_layers import empty_layer
from registry_tool.domain.digests import digest_of
from registry_tool.domain.records import BuiltImage, BuiltLayer, BytesMoved, ImageRole
from registry_tool.domain.references import (
    ImageReference,
    build_tag,
    image_tag,
    log_tag,
    runtime_tag,
    weights_tag,
)
from registry_tool.errors import ContentMismatch, StoreProblem
from registry_tool.failpoints import reach
from registry_tool.oci.descriptors import EMPTY, EMPTY_DATA, Descriptor, is_digest
from registry_tool.oci.image import ImageIndex, ImageManifest
from registry_tool.oci.reading import open_image
from registry_tool.oci.store import ImageStore

LOG_TYPE = "application/vnd.registry-tool.log.v1"
_LOG_MEDIA_TYPE = "text/plain; charset=utf-8"


def reference_in(store: ImageStore, repository: str, tag: str) -> str:
    """How records name an image or log: repository and tag, after the store's name unless it is the embedded one."""
    prefix = "" if store.name == "embedded" else f"{store.name}/"
    return f"{prefix}{repository}:{tag}"


def label_images(order: BuildOrder) -> dict[str, str]:
    """The labels that all three images of an order carry, the full build key among them."""
    return {**order.labels, BUILD_KEY_LABEL: order.key}


def publish_images(
    order: BuildOrder, store: ImageStore, images: Sequence[PlatformImage], check: Check
) -> tuple[BuiltImage, ...]:
    """Write the documents of the three images, cut from complete ones, and put all tags. Their layers are there."""
    labels = label_images(order)
    variants: Mapping[ImageRole, Sequence[PlatformImage]] = {
        ImageRole.COMPLETE: images,
        ImageRole.RUNTIME: [image.without_weights() for image in images],
        ImageRole.WEIGHTS: [image.weights_only(labels) for image in images],
    }
    tags = {
        ImageRole.COMPLETE: image_tag(order.release),
        ImageRole.RUNTIME: runtime_tag(order.release),
        ImageRole.WEIGHTS: weights_tag(order.release),
    }
    repository = order.release.model
    built = []
    descriptors: dict[str, Descriptor] = {}
    for role, variant in variants.items():
        descriptors[tags[role]] = descriptor = _write_image(store, repository, variant, check)
        reference = reference_in(store, repository, tags[role])
        size = _image_size(variant, descriptor)
        built.append(
            BuiltImage(role=role, reference=reference, digest=descriptor.digest, size=size)
        )
    descriptors[build_tag(order.key)] = descriptors[tags[ImageRole.COMPLETE]]
    reach("blobs-published")
    check()
    store.put_tags(repository, descriptors)
    return tuple(built)


def _top_descriptor(images: Sequence[PlatformImage]) -> Descriptor:
    if len(images) == 1:
        return images[0].manifest.descriptor()
    return _index(images).descriptor()


def _index(images: Sequence[PlatformImage]) -> ImageIndex:
    return ImageIndex(
        tuple(image.manifest.descriptor(platform=image.config.platform) for image in images)
    )


def _write_image(
    store: ImageStore, repository: str, images: Sequence[PlatformImage], check: Check
) -> Descriptor:
    nothing = empty_layer()
    for image in images:
        if any(layer.digest == nothing.digest for layer in image.layers):
            publish_layer(store, repository, nothing, check)
        manifest = image.manifest
        check()
        config = image.config.to_bytes()
        store.write_blob(repository, manifest.config.digest, manifest.config.size, [config])
        check()
        store.write_manifest(repository, manifest.descriptor(), manifest.to_bytes())
    top = _top_descriptor(images)
    if len(images) > 1:
        check()
        store.write_manifest(repository, top, _index(images).to_bytes())
    return top


def _image_size(images: Sequence[PlatformImage], top: Descriptor) -> int:
    blobs = {top.digest: top.size}
    for image in images:
        manifest = image.manifest
        for descriptor in (manifest.descriptor(), manifest.config, *image.layers):
            blobs[descriptor.digest] = descriptor.size
    return sum(blobs.values())


def summarise(
    images: Sequence[PlatformImage],
    published: tuple[BuiltImage, ...],
    uploaded: frozenset[str],
    log: str,
    *,
    adopted: bool = False,
) -> BuiltRelease:
    """What a build left in the store; `uploaded` are the digests of blobs that it wrote."""
    layers = {layer.digest: layer for image in images for layer in image.layers}
    counted = [
        layer for layer in layers.values() if part_of(layer) in {Part.WEIGHTS, Part.TEMPLATE}
    ]
    upload = sum(layer.size for layer in counted if layer.digest in uploaded)
    return BuiltRelease(
        images=published,
        layers=tuple(
            BuiltLayer(
                digest=layer.digest,
                size=layer.size,
                source=part_of(layer).source,
                uploaded=layer.digest in uploaded,
            )
            for layer in layers.values()
        ),
        bytes=BytesMoved(upload=upload, reuse=sum(layer.size for layer in counted) - upload),
        log=log,
        adopted=adopted,
    )


def adopt(store: ImageStore, order: BuildOrder, check: Check) -> BuiltRelease | None:
    """Give the release the tags of a finished build of the same key, or return None when there is none.

    Finished means: tagged `build-<key12>`, the config names the full key, the locked layers are those of the lock, and
    nothing is missing.
    """
    repository = order.release.model
    found = store.resolve(repository, build_tag(order.key))
    if found is None:
        return None
    images = _finished(store, order, found)
    if images is None:
        return None
    published = publish_images(order, store, images, check)
    name = reference_in(store, repository, build_tag(order.key))
    log = f"found finished in the store: {name}@{found.digest}\n"
    return summarise(images, published, frozenset(), log, adopted=True)


def _finished(
    store: ImageStore, order: BuildOrder, found: Descriptor
) -> list[PlatformImage] | None:
    images = []
    try:
        for platform in order.platforms:
            view = open_image(store, order.release.model, found.digest, platform)
            images.append(PlatformImage(view.config, view.layers))
    except StoreProblem as problem:
        if problem.transient:
            raise
        return None
    whole = all(_as_ordered(store, order, image) for image in images)
    return images if whole and _top_descriptor(images).digest == found.digest else None


def _as_ordered(store: ImageStore, order: BuildOrder, image: PlatformImage) -> bool:
    locked = [(layer.digest, layer.size) for layer in order.payload]
    weights = [
        (layer.digest, layer.size) for layer in image.layers if part_of(layer) is Part.WEIGHTS
    ]
    return (
        image.config.settings.labels.get(BUILD_KEY_LABEL) == order.key
        and weights == locked
        and all(store.has_blob(order.release.model, layer.digest) for layer in image.layers)
    )


def publish_log(store: ImageStore, repository: str, key: str, sequence: int, text: str) -> str:
    """Keep the full log of a build as an artifact beside the images; returns its reference."""
    data = text.encode(errors="replace")
    config = Descriptor(EMPTY, digest_of(EMPTY_DATA), len(EMPTY_DATA))
    layer = Descriptor(_LOG_MEDIA_TYPE, digest_of(data), len(data))
    manifest = ImageManifest(config, (layer,), artifact_type=LOG_TYPE)
    store.write_blob(repository, config.digest, config.size, [EMPTY_DATA])
    store.write_blob(repository, layer.digest, layer.size, [data])
    store.write_manifest(repository, manifest.descriptor(), manifest.to_bytes())
    tag = log_tag(key, sequence)
    store.put_tags(repository, {tag: manifest.descriptor()})
    reach("log-published")
    return reference_in(store, repository, tag)


def read_log(store: ImageStore, repository: str, reference: str) -> str:
    """The text of a log, by its tag, its digest, or the reference that a record holds; raises StoreProblem."""
    found = store.resolve(repository, _tag_or_digest(reference))
    if found is None:
        raise StoreProblem(
            f"there is no log {reference} in the store {store.name}",
            code="RT608",
            help="logs are removed together with their images; build again to get a new one",
        )
    manifest = ImageManifest.parse(store.read_manifest(repository, found.digest), reference)
    if manifest.artifact_type != LOG_TYPE or len(manifest.layers) != 1:
        raise StoreProblem(f"{reference} is not a build log", code="RT608")
    with store.open_blob(repository, manifest.layers[0].digest) as file:
        data = file.read()
    if digest_of(data) != manifest.layers[0].digest:
        raise ContentMismatch(
            f"the log {reference} does not have the digest {manifest.layers[0].digest}",
            help="the disk or somebody changed it",
        )
    return data.decode(errors="replace")


def _tag_or_digest(reference: str) -> str:
    if is_digest(reference) or not set(reference) & set(":@"):
        return reference
    try:
        parsed = ImageReference.parse(reference)
    except ValueError as problem:
        raise StoreProblem(f"{reference} does not name a log: {problem}", code="RT608") from problem
    return parsed.digest or parsed.tag or reference
