"""The recipe of a native image: its texts, and where its files may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from registry_tool.builders.sandbox import Text
from registry_tool.builders.template_files import PlannedFile, RenderedFile
from registry_tool.builders.template_problem import TemplateFault, TemplateProblem
from registry_tool.builders.template_variables import VARIABLES
from registry_tool.domain.build_template import ImageRecipe
from registry_tool.domain.references import ImageReference
from registry_tool.domain.storage import image_path_problem

_IMAGE = ("spec", "image")


class Compile(Protocol):
    """Compiles the text at a pointer, or notes what is wrong with it."""

    def __call__(self, source: str, known: Sequence[str], *pointer: str | int) -> Text:
        """The compiled text."""


class RecipeTexts:
    """All texts of a recipe, compiled."""

    def __init__(self, recipe: ImageRecipe, compile_text: Compile) -> None:
        known = list(VARIABLES)
        self.texts: list[Text] = []
        self._recipe = recipe

        def text(source: str, *pointer: str | int) -> tuple[Text, tuple[str | int, ...]]:
            compiled = compile_text(source, known, *_IMAGE, *pointer)
            self.texts.append(compiled)
            return compiled, (*_IMAGE, *pointer)

        self._singles = {
            name: text(value, name)
            for name in ("base", "workdir", "user")
            if (value := getattr(recipe, name)) is not None
        }
        self._lists = {
            name: [text(item, name, index) for index, item in enumerate(value)]
            for name in ("expose", "entrypoint", "cmd")
            if (value := getattr(recipe, name)) is not None
        }
        self._mappings = {
            name: {key: text(item, name, key) for key, item in getattr(recipe, name).items()}
            for name in ("env", "labels")
        }
        self._targets = [
            text(step.target, "copy", index, "to") for index, step in enumerate(recipe.copy_)
        ]

    def render(self, values: Mapping[str, Any]) -> tuple[ImageRecipe, list[str]]:
        """The rendered recipe and the rendered target of each copy step."""

        def fill(compiled: tuple[Text, tuple[str | int, ...]]) -> str:
            text, pointer = compiled
            try:
                return text.render(values)
            except TemplateFault as fault:
                raise fault.at(*pointer) from fault

        targets = [fill(text) for text in self._targets]
        fields: dict[str, Any] = {name: fill(text) for name, text in self._singles.items()}
        fields |= {name: tuple(map(fill, texts)) for name, texts in self._lists.items()}
        fields |= {
            name: {key: fill(text) for key, text in texts.items()}
            for name, texts in self._mappings.items()
        }
        fields["copy_"] = tuple(
            step if target == step.target else step.model_copy(update={"target": target})
            for step, target in zip(self._recipe.copy_, targets, strict=True)
        )
        return self._recipe.model_copy(update=fields), targets


def check_base(base: str) -> None:
    """Refuse a base that is not pinned; raises TemplateProblem."""
    if base == "scratch":
        return
    try:
        pinned = ImageReference.parse(base).digest is not None
    except ValueError:
        pinned = False
    if not pinned:
        raise TemplateProblem(
            "RT405",
            (*_IMAGE, "base"),
            f'the base "{base}" is not pinned by digest',
            help="write scratch, or host/path:tag@sha256:…",
        )


def check_places(files: Sequence[tuple[PlannedFile, RenderedFile]], target: str) -> None:
    """Refuse files at impossible places, or in each other's way; raises TemplateProblem."""
    found = _misplaced(tuple(file.path for _, file in files), target)
    if found is None:
        return
    index, problem = found
    planned, file = files[index]
    raise TemplateProblem(
        "RT406",
        (*_IMAGE, "copy", planned.step, "to"),
        f'"{planned.source}" cannot be copied to "{file.path}": {problem}',
    )


@lru_cache(maxsize=1024)
def _misplaced(paths: tuple[str, ...], target: str) -> tuple[int, str] | None:
    """The first path that cannot be, and why. Releases of a model mostly have the same paths."""
    taken: set[str] = {target}
    parents = set(_above(target))
    for index, path in enumerate(paths):
        problem = image_path_problem(path)
        if problem is not None:
            return index, problem
        if path in taken or path in parents:
            return index, "another file or directory is there"
        above = _above(path)
        if any(parent in taken and parent != target for parent in above):
            return index, "its directory is a file"
        parents.update(above)
        taken.add(path)
    return None


def _above(path: str) -> list[str]:
    return [path[:at] for at, character in enumerate(path) if character == "/" and at]
