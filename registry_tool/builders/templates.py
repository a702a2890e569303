"""Build templates, rendered: pure functions from manifests and template files to what is built.

A rendered template is everything that a builder adds to an image besides the locked files. Its
parts are part of the build key, so rendering depends on the documented variables alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from registry_tool.builders.sandbox import Text
from registry_tool.builders.template_compiling import CompiledTemplate
from registry_tool.builders.template_files import RenderedFile
from registry_tool.builders.template_params import ParameterSchema
from registry_tool.builders.template_problem import TemplateFault, TemplateProblem, raise_all
from registry_tool.builders.template_variables import TemplateVariables, pinned
from registry_tool.domain.build_template import BaseImage, ImageRecipe
from registry_tool.domain.desired import TemplateSource
from registry_tool.domain.digests import canonical_json, canonical_sha256, digest_of
from registry_tool.domain.model import Model
from registry_tool.domain.release import ArtifactLockSpec, LockedLayer, Release
from registry_tool.domain.storage import image_path_problem
from registry_tool.oci.packing import is_context

if TYPE_CHECKING:
    from registry_tool.builders.native_layers import NativeLayer

__all__ = [
    "BUILDER_VERSIONS",
    "RenderedFile",
    "RenderedTemplate",
    "TemplateProblem",
    "TemplateRenderer",
    "TemplateVariables",
    "render_template",
]

BUILDER_VERSIONS: Mapping[str, int] = {"native": 1, "docker": 1}
"""By builder; raised when equal inputs would give other images than before."""


@dataclass(frozen=True)
class RenderedTemplate:
    """A template with everything filled in for one release."""

    name: str
    target: str
    """The directory in the image that receives the release's files."""
    params: Mapping[str, Any]
    """Parameters with defaults filled in."""
    given: Mapping[str, Any]
    """Parameters as the release gives them."""
    image: ImageRecipe | None
    """The rendered recipe of a native image; its files are in `files`."""
    dockerfile: str | None
    """The rendered Dockerfile of an image that an engine builds."""
    files: tuple[RenderedFile, ...]
    """Files for the image (absolute paths), or for the build context (relative), by path."""
    bases: tuple[BaseImage, ...]
    """Base images of the Dockerfile."""
    _probe: tuple[Text, ...] = ()
    _values: Mapping[str, Any] = field(default_factory=dict)

    @property
    def builder(self) -> str:
        """Which builder the template is written for: ``native`` or ``docker``."""
        return "docker" if self.image is None else "native"

    def payload(self, lock: ArtifactLockSpec) -> tuple[LockedLayer, ...]:
        """The locked layers that are put into the image as they are.

        A Dockerfile gets code, wheels and the like in its build context and installs them as it likes: their layers
        stay out.
        """
        if self.image is not None:
            return lock.layers
        roles = {file.path: file.role for file in lock.files}
        return tuple(
            layer
            for layer in lock.layers
            if not all(path in roles and is_context(roles[path]) for path in layer.files)
        )

    def probe(self, port: int | None = None, path: str | None = None) -> tuple[str, ...]:
        """The command that checks a port and a path in the image; empty when there is none.

        What is None is the template's to choose, with the filter `default`. Where it does not, the
        path is ``/``, and without a port nothing is checked. Raises TemplateProblem.
        """
        needed: frozenset[str] = frozenset().union(*(text.needed for text in self._probe))
        if port is None and "port" in needed:
            return ()
        if path is None and "path" in needed:
            path = "/"
        asked = {"port": port, "path": path}
        values = {**self._values, **{name: value for name, value in asked.items() if value}}
        return tuple(
            _rendered(text, values, "spec", "probe", n) for n, text in enumerate(self._probe)
        )

    def digest_parts(self) -> dict[str, Any]:
        """JSON values of the parts of the build key that come from the template."""
        template: dict[str, Any] = {
            "files": [[file.path, file.mode, file.digest] for file in self.files],
            "name": self.name,
        }
        if self.image is not None:
            # Without defaults: a field that recipes gain one day must not change today's keys.
            template["image"] = self.image.model_dump(
                mode="json", exclude={"base", "copy_"}, exclude_defaults=True
            )
            bases = [] if self.image.base == "scratch" else [self.image.base]
        else:
            template["dockerfile"] = digest_of((self.dockerfile or "").encode())
            bases = [f"{base.name}={pinned(base)}" for base in self.bases]
        return {"base": bases, "parameters": dict(self.given), "template": template}

    @cached_property
    def files_layer(self) -> NativeLayer | None:
        """The layer of the files of a native image, as it is on a base without symbolic links."""
        from registry_tool.builders.native_layers import files_layer

        return files_layer(self.files) if self.image is not None else None

    @cached_property
    def part_digests(self) -> Mapping[str, str]:
        """SHA-256 of each of the parts."""
        return {name: canonical_sha256(value) for name, value in self.digest_parts().items()}


def _rendered(text: Text, values: Mapping[str, Any], *pointer: str | int) -> str:
    try:
        return text.render(values)
    except TemplateFault as fault:
        raise fault.at(*pointer) from fault


class TemplateRenderer:
    """One template, compiled once for all of its releases.

    Releases whose used variables are equal share one RenderedTemplate.
    """

    def __init__(self, source: TemplateSource) -> None:
        self._name = source.manifest.metadata.name
        self._source = source
        self._schema = ParameterSchema(source.manifest.spec.params)
        self._rendered: dict[tuple[Any, ...], RenderedTemplate] = {}

    @cached_property
    def _compiled(self) -> CompiledTemplate:
        return CompiledTemplate(self._source.manifest.spec, self._source.files)

    @cached_property
    def _problems(self) -> list[TemplateProblem]:
        try:
            self._schema.check()
        except TemplateProblem as problem:
            return [*problem.all, *self._compiled.problems]
        return self._compiled.problems

    def check(self) -> None:
        """Refuse a template that renders for no release at all; raises TemplateProblem."""
        raise_all(self._problems)

    def target(self, release: Release, model: Model) -> str:
        """The directory in the image, as the template has it now; raises TemplateProblem."""
        self.check()
        params = self._schema.effective(release.spec.template.params)
        values = TemplateVariables.of(release, model, params, None).values()
        target = _rendered(self._compiled.target, values, "spec", "target")
        problem = image_path_problem(target)
        if problem:
            raise TemplateProblem(
                "RT406", ("spec", "target"), f'"{target}" cannot be the target', help=problem
            )
        return target

    def render(self, release: Release, model: Model, target: str | None = None) -> RenderedTemplate:
        """Everything filled in for one release; raises TemplateProblem.

        `target` is that of the release's lock: its files are where the lock says, whatever the
        template has come to say since. Without it the template's target is used.
        """
        self.check()
        given = release.spec.template.params
        params = self._schema.effective(given)
        if target is None:
            target = self.target(release, model)
        values = TemplateVariables.of(release, model, params, target).values()
        used = (values.get(name) for name in self._compiled.names)
        key = (target, canonical_json(given), *used)
        if key not in self._rendered:
            self._rendered[key] = self._render(given, values, target)
        return self._rendered[key]

    def _render(
        self, given: Mapping[str, Any], values: Mapping[str, Any], target: str
    ) -> RenderedTemplate:
        image: ImageRecipe | None = None
        dockerfile: str | None = None
        files: list[RenderedFile] = []
        if self._compiled.native is not None:
            image, files = self._compiled.native.render(values, target)
        elif self._compiled.docker is not None:
            dockerfile, files = self._compiled.docker.render(values)
        recipe = self._source.manifest.spec.dockerfile
        rendered = RenderedTemplate(
            name=self._name,
            target=target,
            params=values["params"],
            given=given,
            image=image,
            dockerfile=dockerfile,
            files=tuple(sorted(files, key=lambda file: file.path)),
            bases=recipe.bases if recipe else (),
            _probe=self._compiled.probe,
            _values=values,
        )
        rendered.probe(8000)  # a probe that does not render is found here, not at deploy time
        return rendered


def render_template(
    source: TemplateSource, *, release: Release, model: Model, target: str | None = None
) -> RenderedTemplate:
    """Render a template for one release; many releases are faster with a TemplateRenderer.

    Raises TemplateProblem.
    """
    return TemplateRenderer(source).render(release, model, target)
