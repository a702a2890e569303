"""The templates that come with the product, rendered for a release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from registry_tool.builders.templates import RenderedTemplate, render_template
from registry_tool.domain.build_template import BuildTemplate
from registry_tool.domain.desired import Located, TemplateFileContent, TemplateSource
from registry_tool.domain.model import Model
from registry_tool.domain.release import Release

TEMPLATES = Path(__file__).parents[2] / "build_templates"


def rendered(name: str, substitute: str | None = None, **params: Any) -> RenderedTemplate:
    """A template; an image of that id takes the place of its bases."""
    folder = TEMPLATES / name
    document = yaml.safe_load((folder / "template.yaml").read_text())
    for each in document["spec"].get("dockerfile", {}).get("bases", []) if substitute else []:
        each["digest"] = substitute
    files = {
        path.relative_to(folder).as_posix(): TemplateFileContent(path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "template.yaml"
    }
    manifest = BuildTemplate.model_validate_json(json.dumps(document))
    source = TemplateSource(Located(manifest, f"build_templates/{name}/template.yaml", ""), files)
    return render_template(source, release=release(name, params), model=MODEL)


def release(template: str, params: dict[str, Any]) -> Release:
    spec = {
        "model": "minilm",
        "version": "1.2.0",
        "quantization": "int8",
        "template": {"name": template, "params": params},
    }
    document = {"apiVersion": "registry-tool/v1", "kind": "Release", "spec": spec}
    return Release.model_validate_json(json.dumps(document))


MODEL = Model.model_validate_json(
    json.dumps(
        {
            "apiVersion": "registry-tool/v1",
            "kind": "Model",
            "metadata": {"name": "minilm"},
            "spec": {"storage_path": "/srv/models/minilm"},
        }
    )
)
