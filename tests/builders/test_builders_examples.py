"""The templates that come with the product, rendered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from native_orders import Entry, Workshop, files_of, image_config, put_base, unpack

from registry_tool.builders.templates import RenderedTemplate, TemplateProblem, render_template
from registry_tool.domain.build_template import BuildTemplate, ImageRecipe
from registry_tool.domain.desired import Located, TemplateFileContent, TemplateSource
from registry_tool.domain.model import Model
from registry_tool.domain.release import Release

TEMPLATES = Path(__file__).parents[2] / "build_templates"


def rendered(name: str, **params: Any) -> RenderedTemplate:
    folder = TEMPLATES / name
    document = yaml.safe_load((folder / "template.yaml").read_text())
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


def recipe(template: RenderedTemplate) -> dict[str, Any]:
    assert isinstance(template.image, ImageRecipe)
    return template.image.model_dump(exclude_defaults=True, exclude={"copy_"})


def test_modelcar_is_the_weights_and_nothing_else() -> None:
    template = rendered("modelcar")

    assert template.target == "/models/minilm"
    assert recipe(template) == {}
    assert template.files == ()


def test_static_adds_its_files_to_scratch() -> None:
    template = rendered("static")

    assert template.target == "/models/minilm"
    assert recipe(template) == {
        "env": {
            "MODEL_NAME": "minilm",
            "MODEL_VERSION": "1.2.0",
            "MODEL_PATH": "/models/minilm",
        }
    }
    assert [(file.path, file.mode, file.content.decode()) for file in template.files] == [
        (
            "/etc/model-release.json",
            0o644,
            "{\n"
            '  "model": "minilm",\n'
            '  "version": "1.2.0",\n'
            '  "quantization": "int8",\n'
            '  "path": "/models/minilm"\n'
            "}\n",
        )
    ]


def test_static_takes_a_pinned_base() -> None:
    base = "registry.example/python:3.12@sha256:" + "0" * 64
    assert recipe(rendered("static", base=base))["base"] == base
    with pytest.raises(TemplateProblem, match="not pinned"):
        rendered("static", base="registry.example/python:3.12")


def test_modelcar_builds_an_image_that_kubernetes_can_mount(workshop: Workshop) -> None:
    template = rendered("modelcar")
    workshop.build(replace(workshop.order(), template=template))

    tree = unpack(workshop.store, "minilm", "1.0.0")
    assert set(files_of(tree)) == {
        "models/minilm/config.json",
        "models/minilm/model.safetensors",
        "models/minilm/nested/a.txt",
    }
    config = image_config(workshop.store, "minilm", "1.0.0")
    assert config["config"].keys() == {"Labels"}


def test_static_builds_on_a_base_of_the_store(workshop: Workshop) -> None:
    base = put_base(workshop.store, [{"bin/app": Entry(content=b"#!")}], Entrypoint=["/bin/app"])
    template = rendered("static", base=base)
    workshop.build(replace(workshop.order(), template=template))

    assert {"bin/app", "etc/model-release.json", "models/minilm/config.json"} <= set(
        unpack(workshop.store, "minilm", "1.0.0")
    )
    settings = image_config(workshop.store, "minilm", "1.0.0")["config"]
    assert settings["Entrypoint"] == ["/bin/app"]
    assert "MODEL_PATH=/models/minilm" in settings["Env"]


def test_every_template_has_a_section_in_the_documentation() -> None:
    text = (TEMPLATES.parent / "docs" / "building.md").read_text()

    for folder in TEMPLATES.iterdir():
        assert f"\n### {folder.name}\n" in text
