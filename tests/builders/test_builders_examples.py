"""The templates that come with the product, rendered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from native_orders import Entry, Workshop, files_of, image_config, put_base, unpack
from shipped_templates import TEMPLATES, rendered

from registry_tool.builders.templates import RenderedTemplate, TemplateProblem
from registry_tool.domain.build_template import ImageRecipe


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
