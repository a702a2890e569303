"""A template, compiled once for all of its releases, with everything that is always wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from registry_tool.builders import dockerfiles, template_files
from registry_tool.builders.sandbox import Text, compiled
from registry_tool.builders.template_files import PlannedFile, RenderedFile
from registry_tool.builders.template_problem import TemplateFault, TemplateProblem, raise_all
from registry_tool.builders.template_recipe import RecipeTexts, check_base, check_places
from registry_tool.builders.template_variables import (
    DOCKERFILE_VARIABLES,
    PROBE_VARIABLES,
    VARIABLES,
    pinned,
)
from registry_tool.domain.build_template import (
    BuildTemplateSpec,
    DockerfileRecipe,
    ImageRecipe,
)
from registry_tool.domain.desired import TemplateFileContent


class Texts:
    """Compiles texts, and collects what is wrong with them and which variables they use."""

    def __init__(self) -> None:
        self.problems: list[TemplateProblem] = []
        self.names: set[str] = set()

    def text(self, source: str, known: Sequence[str], *pointer: str | int) -> Text:
        """The compiled text, or an empty one in place of a faulty one."""
        try:
            text = compiled(source)
            text.check_names(known)
        except TemplateFault as fault:
            self.problems.append(fault.at(*pointer))
            return compiled("")
        self.names.update(text.names)
        return text

    def file(self, planned: PlannedFile, known: Sequence[str]) -> None:
        """Compile the text of a file that is rendered."""
        try:
            text = planned.text
            if text is not None:
                text.check_names(known)
                self.names.update(text.names)
        except TemplateProblem as problem:
            self.problems.append(problem)
        except TemplateFault as fault:
            self.problems.append(planned.problem(fault))

    def files(self, find: Callable[[], list[PlannedFile]]) -> list[PlannedFile]:
        """What `find` finds; nothing when it raises TemplateProblem, which is kept."""
        try:
            return find()
        except TemplateProblem as problem:
            self.problems += problem.all
            return []


class NativeTexts:
    """An `image:` recipe and its files."""

    def __init__(
        self, recipe: ImageRecipe, files: Mapping[str, TemplateFileContent], texts: Texts
    ) -> None:
        self._texts = RecipeTexts(recipe, texts.text)
        self._planned: list[PlannedFile] = []
        for index, step in enumerate(recipe.copy_):
            self._planned += texts.files(
                lambda step=step, index=index: template_files.copied(step, index, files)  # type: ignore[misc]
            )
        for planned in self._planned:
            texts.file(planned, list(VARIABLES))

    def render(
        self, values: Mapping[str, Any], target: str
    ) -> tuple[ImageRecipe, list[RenderedFile]]:
        """The recipe and the files in the image; raises TemplateProblem."""
        recipe, targets = self._texts.render(values)
        files = [planned.render(targets[planned.step], values) for planned in self._planned]
        check_base(recipe.base)
        check_places(list(zip(self._planned, files, strict=True)), target)
        return recipe, files


class DockerfileTexts:
    """A `dockerfile:` recipe and its build context."""

    def __init__(
        self, recipe: DockerfileRecipe, files: Mapping[str, TemplateFileContent], texts: Texts
    ) -> None:
        self._bases = {base.name: pinned(base) for base in recipe.bases}
        self._dockerfile = texts.files(lambda: [template_files.dockerfile(recipe.file, files)])
        self._context = texts.files(
            lambda: template_files.context(recipe.files, recipe.file, files)
        )
        for planned in (*self._dockerfile, *self._context):
            texts.file(planned, [*VARIABLES, *DOCKERFILE_VARIABLES])

    def render(self, values: Mapping[str, Any]) -> tuple[str, list[RenderedFile]]:
        """The Dockerfile and the files of its context; raises TemplateProblem."""
        values = {**values, "bases": self._bases}
        (planned,) = self._dockerfile
        used = planned.text.names if planned.text else ()
        if _continues([value for name, value in values.items() if name in used]):
            raise planned.problem(
                TemplateFault("RT406", "a substituted value ends in a backslash, which joins lines")
            )
        content = planned.render("", values).content.decode()
        raise_all([planned.problem(fault) for fault in dockerfiles.faults(content)])
        return content, [file.render("", values) for file in self._context]


def _continues(value: Any) -> bool:
    if isinstance(value, str):
        return value.endswith("\\")
    if isinstance(value, Mapping):
        return any(map(_continues, value.values()))
    return isinstance(value, list | tuple) and any(map(_continues, value))


class CompiledTemplate:
    """All texts of a template. `problems` is what is wrong with it whatever the release."""

    def __init__(self, spec: BuildTemplateSpec, files: Mapping[str, TemplateFileContent]) -> None:
        texts = Texts()
        without_target = [name for name in VARIABLES if name != "target"]
        self.target = texts.text(spec.target, without_target, "spec", "target")
        self.probe = tuple(
            texts.text(text, [*VARIABLES, *PROBE_VARIABLES], "spec", "probe", index)
            for index, text in enumerate(spec.probe)
        )
        self.native = NativeTexts(spec.image, files, texts) if spec.image else None
        self.docker = DockerfileTexts(spec.dockerfile, files, texts) if spec.dockerfile else None
        self.problems = texts.problems
        self.names = sorted(texts.names & VARIABLES.keys() - {"params", "target"})
        """Variables whose values decide what is rendered, besides parameters and target."""
