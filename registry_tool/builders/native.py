"""The native builder: images from a base's layers, files and settings, put together without an engine.

Nothing is run and nothing depends on the time or the machine, so equal orders give equal digests anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from registry_tool.builders.assembling import Part, PlatformImage, native_layer, weights_layer
from registry_tool.builders.build_log import BuildLog
from registry_tool.builders.interface import BuildOrder, BuiltRelease, Check
from registry_tool.builders.layer_streams import publish_layer, publish_weights, take_blob
from registry_tool.builders.native_layers import (
    NativeLayer,
    check_together,
    directories_layer,
    files_layer,
    placed_files,
    weights_paths,
)
from registry_tool.builders.publishing import adopt, label_images, publish_images, summarise
from registry_tool.builders.templates import BUILDER_VERSIONS
from registry_tool.domain.build_template import ImageRecipe
from registry_tool.domain.progress import Progress
from registry_tool.domain.references import ImageReference
from registry_tool.errors import BuildFailed, StoreProblem
from registry_tool.failpoints import reach
from registry_tool.oci.file_tree import LayerEntries
from registry_tool.oci.image import ImageConfig, ImageSettings
from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.reading import ImageView, open_image
from registry_tool.oci.store import ImageStore
from registry_tool.storage.storage import Storage

_CACHED_LAYERS = 64
SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class _Assembly:
    """What is put on the base of one platform."""

    base: ImageView | None
    platform: str
    files: NativeLayer | None
    directories: NativeLayer | None

    @property
    def layers(self) -> list[tuple[Part, NativeLayer]]:
        """The layers that are made here."""
        made = ((Part.TEMPLATE, self.files), (Part.DIRECTORIES, self.directories))
        return [(part, layer) for part, layer in made if layer is not None]

    def image(self, order: BuildOrder, recipe: ImageRecipe) -> PlatformImage:
        """The complete image."""
        image = PlatformImage(ImageConfig(self.platform))
        if self.base is not None:
            image = PlatformImage.on(self.base.config, self.base.layers)
        below = [native_layer(Part.TEMPLATE, self.files)] if self.files else []
        above = [native_layer(Part.DIRECTORIES, self.directories)] if self.directories else []
        weights = [weights_layer(layer) for layer in order.payload]
        return image.with_layers([*below, *weights, *above]).with_settings(
            recipe_settings(order, recipe)
        )


def recipe_settings(order: BuildOrder, recipe: ImageRecipe) -> ImageSettings:
    """The settings of an image, as its recipe and the release's identity have them."""
    return ImageSettings(
        # Sorted: the order of a mapping in YAML is no part of the build key.
        env=dict(sorted(recipe.env.items())),
        entrypoint=recipe.entrypoint,
        cmd=recipe.cmd,
        working_dir=recipe.workdir,
        user=recipe.user,
        exposed_ports=tuple(_port(port) for port in recipe.expose),
        labels={**recipe.labels, **label_images(order)},
    )


def _port(text: str) -> str:
    return text if "/" in text else f"{text}/tcp"


class NativeBuilder:
    """Builds templates that have an `image:` recipe."""

    name = "native"

    def __init__(self) -> None:
        self._entries: Mapping[str, LayerEntries] = {}

    @property
    def version(self) -> int:
        """See `Builder`."""
        return BUILDER_VERSIONS[self.name]

    def build(
        self,
        order: BuildOrder,
        store: ImageStore,
        storage: Storage,
        progress: Progress,
        check: Check,
    ) -> BuiltRelease:
        """See `Builder`."""
        reach("build-started")
        check()
        adopted = adopt(store, order, check)
        if adopted is not None:
            progress.message(f"{order.release}: adopted from the store")
            return adopted
        log = BuildLog(order)
        try:
            return self._build(order, store, storage, progress, check, log)
        except BuildFailed as problem:
            problem.log = problem.log or str(log)
            raise

    def _build(
        self,
        order: BuildOrder,
        store: ImageStore,
        storage: Storage,
        progress: Progress,
        check: Check,
        log: BuildLog,
    ) -> BuiltRelease:
        recipe = order.template.image
        if recipe is None:
            raise BuildFailed(
                f"the template {order.template.name} has a Dockerfile, which needs an engine",
                help="configure an engine, or write an image: recipe",
            )
        assemblies = [self._assembly(order, recipe, store, each, log) for each in order.platforms]
        images = [assembly.image(order, recipe) for assembly in assemblies]
        repository = order.release.model
        _take_bases(assemblies, store, repository, check)
        uploaded = publish_weights(order, store, storage, progress, check)
        for locked in order.payload:
            log.layer("locked files", locked.digest, locked.size, locked.digest in uploaded)
        made = {layer.digest: layer for each in assemblies for _, layer in each.layers}
        for layer in made.values():
            source = order.sources.get(layer.digest)
            written = publish_layer(store, repository, layer, check, source)
            uploaded |= {layer.digest} if written else frozenset()
            log.layer(layer.what, layer.digest, layer.size, written)
        published = publish_images(order, store, images, check)
        for image in published:
            log.line(f"{image.role}: {image.reference}@{image.digest}")
        return summarise(images, published, uploaded, str(log))

    def _assembly(
        self,
        order: BuildOrder,
        recipe: ImageRecipe,
        store: ImageStore,
        platform: str,
        log: BuildLog,
    ) -> _Assembly:
        base = None if recipe.base == SCRATCH else _open_base(store, recipe.base, platform)
        log.line(f"base for {platform}: {recipe.base}")
        tree = None
        if base is not None:
            # A copy: other builds may run at the same time.
            entries = dict(self._entries)
            tree = base.file_tree(entries)
            self._entries = entries if len(entries) <= _CACHED_LAYERS else {}
        files = placed_files(order.template.files, tree)
        locked = weights_paths(order.lock.target, order.payload, tree)
        paths = (*(file.path for file in files), *locked)
        check_together(paths)
        return _Assembly(base, platform, files_layer(files), directories_layer(paths, tree))


def _open_base(store: ImageStore, base: str, platform: str) -> ImageView:
    """The base in the store. A host in its reference says where it is copied from, not where it is."""
    reference = ImageReference.parse(base)
    digest = reference.digest or ""
    if store.resolve(reference.path, digest) is None:
        raise StoreProblem(
            f"the base image {base} is not in the store {store.name}",
            code="RT608",
            help=_how_to_copy(store, reference),
        )
    return open_image(store, reference.path, digest, platform)


def _how_to_copy(store: ImageStore, reference: ImageReference) -> str:
    host = reference.host or "docker.io"
    source = f"docker://{host}/{reference.path}@{reference.digest}"
    tag = reference.tag or "latest"
    if isinstance(store, LayoutStore):
        target = f"oci:{store.root}/{reference.path}:{tag}"
    else:
        target = f"docker://{store.name}/{reference.path}:{tag}"
    return f"copy it there: skopeo copy --all --preserve-digests {source} {target}"


def _take_bases(
    assemblies: Sequence[_Assembly], store: ImageStore, repository: str, check: Check
) -> None:
    for assembly in assemblies:
        if assembly.base is None:
            continue
        source = assembly.base.repository
        for layer in assembly.base.layers:
            if not take_blob(store, repository, layer.digest, check, source):
                raise StoreProblem(
                    f"the layer {layer.digest} of the base image {source} is not in the store",
                    code="RT608",
                    help="copy the base image into the store again",
                )
