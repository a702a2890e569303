"""Kind BuildTemplate: how an image is made from a release's files."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from registry_tool.domain.digests import Digest
from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import Manifest, TemplateMetadata
from registry_tool.domain.names import DnsLabel
from registry_tool.domain.references import ImageReferenceText
from registry_tool.domain.release import Platform

TemplateText = Annotated[str, StringConstraints(max_length=8192)]
"""Text in which ``{{ … }}`` is replaced by the template variables."""
TemplateFile = Annotated[str, StringConstraints(pattern=r"^[^/\\\s][^\\\n]*$", max_length=1024)]
"""A path beside template.yaml."""


class CopyStep(Frozen):
    """Files of the template that are added to the image."""

    source: Annotated[TemplateFile, Field(alias="from")]
    """A file or directory beside template.yaml; a file that ends in ``.j2`` is rendered and loses the ending."""
    target: Annotated[TemplateText, Field(alias="to")]
    """An absolute path in the image; ending in ``/`` means into that directory."""
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")] | None = None
    """Permissions of the files, for example ``0755``; by default those in Git (0644 or 0755)."""


class ImageRecipe(Frozen):
    """An image that is assembled natively, without an engine."""

    base: TemplateText = "scratch"
    """``scratch``, or an image in the store, pinned by digest."""
    copy_: Annotated[tuple[CopyStep, ...], Field(alias="copy")] = ()
    """Files of the template to add."""
    env: dict[str, TemplateText] = Field(default_factory=dict)
    """Environment variables."""
    labels: dict[str, TemplateText] = Field(default_factory=dict)
    """OCI labels beside the standard ones."""
    workdir: TemplateText | None = None
    """The working directory."""
    user: TemplateText | None = None
    """The user that runs the image."""
    expose: tuple[TemplateText, ...] = ()
    """Ports such as ``8000/tcp``."""
    entrypoint: tuple[TemplateText, ...] | None = None
    """The entry point."""
    cmd: tuple[TemplateText, ...] | None = None
    """The command, or the arguments of the entry point."""


class BaseImage(Frozen):
    """A base that a Dockerfile builds on."""

    name: DnsLabel
    """How the Dockerfile names it: ``{{ bases.<name> }}``."""
    reference: ImageReferenceText
    """Where it is pulled from."""
    digest: Digest
    """What it must be."""


class DockerfileRecipe(Frozen):
    """An image that an engine builds."""

    file: TemplateFile = "Dockerfile.j2"
    """The Dockerfile's Jinja2 template."""
    bases: tuple[BaseImage, ...] = ()
    """Base images, pinned by digest."""
    files: tuple[Annotated[str, StringConstraints(min_length=1, max_length=1024)], ...] = ()
    """Globs of the files beside template.yaml that go into the build context."""


class BuildTemplateSpec(Frozen):
    """How an image is made from a release's files."""

    description: str = ""
    """What the template is for."""
    params: dict[str, JsonValue] = Field(default_factory=dict)
    """JSON Schema of the parameters (an object schema; properties may have defaults)."""
    platforms: tuple[Platform, ...] = ()
    """Platforms that the template can build; empty means any."""
    target: TemplateText = "/models/{{ model }}"
    """The directory in the image that receives the release's files."""
    probe: tuple[TemplateText, ...] = ()
    """A command that checks a port and path inside the image; ``{{ port }}`` and ``{{ path }}`` are filled in."""
    image: ImageRecipe | None = None
    """Assemble natively …"""
    dockerfile: DockerfileRecipe | None = None
    """… or build with an engine; exactly one of the two."""

    @model_validator(mode="after")
    def _one_recipe(self) -> Self:
        if (self.image is None) == (self.dockerfile is None):
            raise ValueError("a template has exactly one of image and dockerfile")
        return self


class BuildTemplate(Manifest):
    """How an image is made from a release's files."""

    kind: Literal["BuildTemplate"]
    metadata: TemplateMetadata
    spec: BuildTemplateSpec

    @property
    def subject(self) -> str:
        """``template/<name>``."""
        return f"template/{self.metadata.name}"
