"""The docker builder: what a Dockerfile says is run by an engine, and meets the weights in the store.

Only the runtime passes through the engine. Locked files that a build consumes go there in its context; the others are
put on top in the store, exactly as the native builder does it, and mostly are there already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

from registry_tool.builders.assembling import (
    Part,
    PlatformImage,
    native_layer,
    part_of,
    weights_layer,
)
from registry_tool.builders.build_context import BuildContext
from registry_tool.builders.build_log import EngineLog, without_command
from registry_tool.builders.buildkit_trace import Trace
from registry_tool.builders.dockerfiles import pinned_images
from registry_tool.builders.engine import Engine, EngineImage
from registry_tool.builders.engine_bases import Base, ensure_base
from registry_tool.builders.engine_build import BuildRequest, EngineBuild
from registry_tool.builders.engine_tree import read_tree
from registry_tool.builders.interface import BuildOrder, BuiltRelease, Check
from registry_tool.builders.layer_streams import publish_layer, publish_weights
from registry_tool.builders.native import SCRATCH, recipe_settings
from registry_tool.builders.native_layers import (
    NativeLayer,
    check_together,
    directories_layer,
    files_layer,
    placed_files,
    weights_paths,
)
from registry_tool.builders.publishing import adopt, label_images, publish_images, summarise
from registry_tool.builders.runtime_image import RuntimeTransfer
from registry_tool.builders.supervising import supervised
from registry_tool.builders.templates import BUILDER_VERSIONS
from registry_tool.domain.progress import Progress
from registry_tool.errors import BuildFailed, EngineProblem
from registry_tool.failpoints import reach
from registry_tool.oci.image import ImageConfig, ImageSettings
from registry_tool.oci.store import ImageStore
from registry_tool.storage.storage import Storage

_IMAGES = "registry-tool/build"
"""Names in the engine for what is being built; they are removed when it has left."""
_ARGUMENTS = {"SOURCE_DATE_EPOCH": "0"}
"""Known to BuildKit since 0.11: files and image get this time instead of the clock's."""


class DockerBuilder:
    """Builds templates that have a Dockerfile, and recipes where a registry wants their bases to come from an engine.

    The engine is connected when something is built.
    """

    name = "docker"

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine or Engine()

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
        log = EngineLog(order, progress)
        try:
            return _Build(self._engine, order, store, storage, progress, check, log).run()
        except BuildFailed as problem:
            problem.log = problem.log or str(log)
            raise


@dataclass(frozen=True, slots=True)
class _Runtime:
    """An image for one platform, without the weights and what belongs on top of them."""

    below: PlatformImage
    files: NativeLayer | None
    directories: NativeLayer | None

    def complete(self, order: BuildOrder) -> PlatformImage:
        """With the weights, and everything that the order says of the image."""
        weights = [weights_layer(layer) for layer in order.payload]
        below = [native_layer(Part.TEMPLATE, self.files)] if self.files else []
        above = [native_layer(Part.DIRECTORIES, self.directories)] if self.directories else []
        recipe = order.template.image
        settings = ImageSettings(labels=label_images(order))
        if recipe is not None:
            settings = recipe_settings(order, recipe)
        return self.below.with_layers([*below, *weights, *above]).with_settings(settings)


class _Build:
    """One build, of all platforms."""

    def __init__(
        self,
        engine: Engine,
        order: BuildOrder,
        store: ImageStore,
        storage: Storage,
        progress: Progress,
        check: Check,
        log: EngineLog,
    ) -> None:
        self._engine = engine
        self._order = order
        self._store = store
        self._storage = storage
        self._progress = progress
        self._check = check
        self._log = log
        self._uploaded: frozenset[str] = frozenset()

    def run(self) -> BuiltRelease:
        """Everything, in order."""
        order = self._order
        dockerfile = order.template.dockerfile is not None
        engine = self._engine.require_buildkit() if dockerfile else self._engine.info
        self._log.line(f"engine: {engine}")
        built = [self._platform(platform) for platform in order.platforms]
        self._uploaded |= publish_weights(
            order, self._store, self._storage, self._progress, self._check
        )
        for locked in order.payload:
            self._note("locked files", locked.digest, locked.size)
        images = [runtime.complete(order) for runtime in built]
        published = publish_images(order, self._store, images, self._check)
        for each in published:
            self._log.line(f"{each.role}: {each.reference}@{each.digest}")
        return summarise(images, published, self._uploaded, str(self._log))

    def _platform(self, platform: str) -> _Runtime:
        """Everything but the weights for one platform, in the store."""
        template = self._order.template
        name = f"{self._order.key[:12]}-{platform.replace('/', '-')}"
        if template.image is not None:
            pinned = [] if template.image.base == SCRATCH else [template.image.base]
            bases = [self._base(reference, platform) for reference in pinned]
            return self._runtime(bases[0].image if bases else None, bases, platform, name)
        bases = [self._base(reference, platform) for reference in pinned_images(self._dockerfile)]
        with self._temporary_name(name) as tag:
            image = self._in_engine(self._run(bases, platform, tag))
            return self._runtime(image, bases, platform, name)

    def _runtime(
        self, image: EngineImage | None, bases: Sequence[Base], platform: str, name: str
    ) -> _Runtime:
        order = self._order
        # With a Dockerfile these are in the context; here they go into the image as they are.
        files = order.template.files if order.template.image is not None else ()
        tree = None
        if image is not None:
            locked = weights_paths(order.lock.target, order.payload, None)
            wanted = (*(file.path for file in files), *locked)
            tree = read_tree(self._engine, image, f"registry-tool-{name}", wanted, self._check)
        files = placed_files(files, tree)
        paths = (
            *(file.path for file in files),
            *weights_paths(order.lock.target, order.payload, tree),
        )
        check_together(paths)
        below = PlatformImage(ImageConfig(platform))
        if image is not None:
            below = self._transferred(image, bases)
        return _Runtime(
            below,
            self._published(files_layer(files)),
            self._published(directories_layer(paths, tree)),
        )

    def _transferred(self, image: EngineImage, bases: Sequence[Base]) -> PlatformImage:
        transfer = RuntimeTransfer(
            self._order, self._engine, self._store, self._progress, self._check
        )
        runtime = transfer.run(image, bases)
        self._uploaded |= runtime.written
        for layer in runtime.image.layers:
            self._note(part_of(layer).value, layer.digest, layer.size)
        return runtime.image

    def _published(self, layer: NativeLayer | None) -> NativeLayer | None:
        if layer is not None:
            repository = self._order.release.model
            source = self._order.sources.get(layer.digest)
            written = publish_layer(self._store, repository, layer, self._check, source)
            self._uploaded |= {layer.digest} if written else frozenset()
            self._note(layer.what, layer.digest, layer.size)
        return layer

    @contextmanager
    def _temporary_name(self, name: str) -> Iterator[str]:
        """A name for an image in the engine, and the end of it."""
        tag = f"{_IMAGES}:{name}"
        try:
            yield tag
        finally:
            try:
                self._engine.forget_image(tag)
            except EngineProblem as problem:
                # The next build of this order takes the name over; what happened until now counts more.
                self._log.line(f"left in the engine: {tag} ({problem.message})")

    @property
    def _dockerfile(self) -> str:
        return self._order.template.dockerfile or ""

    def _base(self, pinned: str, platform: str) -> Base:
        try:
            base = ensure_base(self._engine, pinned, platform, self._progress, self._check)
        except ValueError as problem:
            raise BuildFailed(f"the Dockerfile takes from {pinned}: {problem}") from problem
        self._log.line(f"base for {platform}: {pinned}, in the engine as {base.image.id}")
        return base

    def _run(self, bases: Sequence[Base], platform: str, tag: str) -> str:
        """Let the engine build; the id of the image."""
        text = self._dockerfile
        for base in bases:
            text = text.replace(base.pinned, base.name)
        context = BuildContext(self._order, text)
        seconds = self._order.timeout.total_seconds()
        build = EngineBuild(
            self._engine, BuildRequest(uuid4().hex, tag, platform, seconds, _ARGUMENTS)
        )
        task = f"build {self._order.release} {platform}"
        self._progress.start(task, f"Building {self._order.release} for {platform}")
        try:
            chunks = context.chunks(self._storage, self._progress, self._check)
            return supervised(lambda: self._followed(build.run(chunks)), self._check, build.cancel)
        except BuildFailed as problem:
            raise self._failure(problem) from problem
        finally:
            self._progress.finish(task)
            self._log.end_steps()

    def _followed(self, events: Iterator[Trace | str]) -> str:
        image = ""
        for event in events:
            if isinstance(event, Trace):
                self._log.take(event)
            else:
                image = event
        return image

    def _failure(self, problem: BuildFailed) -> BuildFailed:
        step = self._log.failed_step
        message = f"{step}: {without_command(problem.message)}" if step else problem.message
        return BuildFailed(message, log=str(self._log), help=problem.help)

    def _in_engine(self, image: str) -> EngineImage:
        found = self._engine.find_image(image)
        if found is None:
            raise EngineProblem(
                f"the engine built {image} and does not have it any more",
                help="let nobody prune images while a build runs",
                code="RT611",
                transient=True,
            )
        return found

    def _note(self, what: str, digest: str, size: int) -> None:
        self._log.layer(what, digest, size, digest in self._uploaded)
