"""The variables of build templates: a closed set, so that nothing else can cause a rebuild."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry_tool.domain.build_template import BaseImage
from registry_tool.domain.model import Model
from registry_tool.domain.references import ImageReference
from registry_tool.domain.release import Release

VARIABLES: Mapping[str, str] = {
    "model": "the model's name",
    "version": "the release's version, in canonical spelling",
    "quantization": "the release's quantization",
    "target": "the directory in the image that receives the release's files",
    "params": "the template's parameters, defaults included: {{ params.<name> }}",
    "company": "who made the model, where the model says so",
    "license": "the model's license, where the model says so",
    "base_model": "the model that this one was made from, where the model says so",
    "parameter_count": "the model's number of parameters, an integer, where the model says so",
}
"""Variables of every text of a template."""
DOCKERFILE_VARIABLES: Mapping[str, str] = {
    "bases": "the declared base images, pinned: {{ bases.<name> }} is reference@digest",
}
"""Further variables of a Dockerfile and the rendered files of its context."""
PROBE_VARIABLES: Mapping[str, str] = {
    "port": "the port to check",
    "path": "the path to check",
}
"""Further variables of a probe."""


def pinned(base: BaseImage) -> str:
    """``reference@digest``."""
    return str(ImageReference.parse(base.reference)._replace(digest=base.digest))


@dataclass(frozen=True)
class TemplateVariables:
    """What a template sees of a release and its model.

    Stage, notes, tags, labels and other metadata are left out: changing them must not rebuild.
    """

    model: str
    version: str
    quantization: str
    target: str | None
    """None while the target itself is rendered."""
    params: Mapping[str, Any]
    company: str | None = None
    license: str | None = None
    base_model: str | None = None
    parameter_count: int | None = None

    @classmethod
    def of(
        cls,
        release: Release,
        model: Model,
        params: Mapping[str, Any],
        target: str | None,
    ) -> TemplateVariables:
        """The variables of a release; `params` with defaults filled in."""
        facts = model.spec
        return cls(
            model=release.spec.model,
            version=release.spec.version,
            quantization=release.spec.quantization,
            target=target,
            params=params,
            company=facts.company,
            license=facts.license,
            base_model=facts.base_model,
            parameter_count=facts.parameter_count,
        )

    def values(self) -> dict[str, Any]:
        """By name, without those that have no value."""
        return {name: value for name, value in vars(self).items() if value is not None}
