"""Files of a template: which of them a recipe takes, and their rendered contents."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from registry_tool.builders.sandbox import FILE_LIMIT, Text, compiled
from registry_tool.builders.template_problem import TemplateFault, TemplateProblem
from registry_tool.domain.build_template import CopyStep
from registry_tool.domain.desired import TemplateFileContent
from registry_tool.domain.digests import digest_of
from registry_tool.domain.globs import glob_problem, matches
from registry_tool.domain.names import did_you_mean

_RENDERED = ".j2"


@dataclass(frozen=True)
class RenderedFile:
    """A file as it reaches the image or the build context."""

    path: str
    """Absolute in an image, relative in a build context."""
    content: bytes
    mode: int
    """Permission bits, for example ``0o644``."""

    @cached_property
    def digest(self) -> str:
        """The digest of the content."""
        return digest_of(self.content)


@dataclass(frozen=True)
class PlannedFile:
    """A file beside template.yaml and the place in template.yaml that asks for it."""

    source: str
    file: TemplateFileContent
    name: str
    """Path below the target, without `.j2`."""
    mode: int
    pointer: tuple[str | int, ...]
    step: int = 0
    """The copy step that asks for it."""
    alone: bool = False
    """Whether the target may name the file itself rather than its directory."""
    always_text: bool = False
    """Whether it is rendered whatever it is called."""

    @cached_property
    def text(self) -> Text | None:
        """The compiled text of a file that is rendered; raises TemplateProblem."""
        if not self.always_text and not self.source.endswith(_RENDERED):
            return None
        try:
            return compiled(self.file.content.decode())
        except UnicodeDecodeError as problem:
            raise self.problem(TemplateFault("RT401", "the file is not UTF-8")) from problem
        except TemplateFault as fault:
            raise self.problem(fault) from fault

    def problem(self, fault: TemplateFault) -> TemplateProblem:
        """A fault in this file, at the place that asks for it."""
        return fault.at(*self.pointer, prefix=f"{self.source}: ")

    def path_at(self, target: str) -> str:
        """Where the file goes when its step copies to `target`."""
        if self.alone and not target.endswith("/"):
            return target
        return f"{target.rstrip('/')}/{self.name}" if target else self.name

    def render(self, target: str, values: Mapping[str, Any]) -> RenderedFile:
        """The file at a rendered target; raises TemplateProblem."""
        path = self.path_at(target)
        if self.text is None:
            return self._verbatim(path)
        try:
            content = self.text.render(values, FILE_LIMIT).encode()
        except TemplateFault as fault:
            raise self.problem(fault) from fault
        return RenderedFile(path, content, self.mode)

    @cached_property
    def _unchanged(self) -> RenderedFile:
        return RenderedFile("", self.file.content, self.mode)

    def _verbatim(self, path: str) -> RenderedFile:
        # Thousands of releases share these files: their digest is computed once.
        shared = RenderedFile(path, self.file.content, self.mode)
        shared.__dict__["digest"] = self._unchanged.digest
        return shared


def _mode(file: TemplateFileContent, mode: str | None) -> int:
    if mode is not None:
        return int(mode, 8)
    return 0o755 if file.executable else 0o644


def _missing(
    source: str, files: Mapping[str, TemplateFileContent], *pointer: str | int
) -> TemplateProblem:
    known = {*files, *(posixpath.dirname(path) for path in files)} - {""}
    return TemplateProblem(
        "RT404",
        pointer,
        f'there is no "{source}" beside template.yaml',
        help=did_you_mean(source, known) or "add the file to the template's directory",
    )


def copied(
    step: CopyStep, index: int, files: Mapping[str, TemplateFileContent]
) -> list[PlannedFile]:
    """The files of one copy step, by path; raises TemplateProblem when there are none."""
    pointer = ("spec", "image", "copy", index, "from")
    source = posixpath.normpath(step.source)
    if source in files:
        name = posixpath.basename(source).removesuffix(_RENDERED)
        mode = _mode(files[source], step.mode)
        return [PlannedFile(source, files[source], name, mode, pointer, index, alone=True)]
    inside = "" if source == "." else source + "/"
    found = sorted(path for path in files if path.startswith(inside))
    if not found:
        raise _missing(step.source, files, *pointer)
    return [
        PlannedFile(
            path,
            files[path],
            path[len(inside) :].removesuffix(_RENDERED),
            _mode(files[path], step.mode),
            pointer,
            index,
        )
        for path in found
    ]


def context(
    globs: tuple[str, ...], dockerfile: str, files: Mapping[str, TemplateFileContent]
) -> list[PlannedFile]:
    """The files of a build context, by path; raises TemplateProblem for a file that is missing."""
    for index, glob in enumerate(globs):
        place = ("spec", "dockerfile", "files", index)
        problem = glob_problem(glob)
        if problem:
            raise TemplateProblem("RT404", place, f'"{glob}" cannot be a glob: {problem}')
        plain = not any(map(glob.__contains__, "*?[!"))
        if plain and not any(matches(path, (glob,)) for path in files):
            raise _missing(glob, files, *place)
    pointer = ("spec", "dockerfile", "files")
    return [
        PlannedFile(
            path, files[path], path.removesuffix(_RENDERED), _mode(files[path], None), pointer
        )
        for path in sorted(files)
        if path != posixpath.normpath(dockerfile) and matches(path, globs)
    ]


def dockerfile(name: str, files: Mapping[str, TemplateFileContent]) -> PlannedFile:
    """The Dockerfile of a template; raises TemplateProblem when it is missing."""
    pointer = ("spec", "dockerfile", "file")
    source = posixpath.normpath(name)
    if source not in files:
        raise _missing(name, files, *pointer)
    return PlannedFile(source, files[source], "Dockerfile", 0o644, pointer, always_text=True)
