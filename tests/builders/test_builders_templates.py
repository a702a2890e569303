"""Rendered templates: what reaches an image, and what is wrong with a template."""

from __future__ import annotations

import json
from typing import Any

import pytest

from registry_tool.builders.template_variables import (
    DOCKERFILE_VARIABLES,
    PROBE_VARIABLES,
    VARIABLES,
)
from registry_tool.builders.templates import (
    RenderedTemplate,
    TemplateProblem,
    TemplateRenderer,
    TemplateVariables,
    render_template,
)
from registry_tool.domain.desired import Located, TemplateFileContent, TemplateSource
from registry_tool.domain.digests import digest_of
from registry_tool.domain.kinds import MANIFEST_KINDS

DIGEST = "sha256:" + "a" * 64


def made(kind: str, metadata: Any, spec: Any) -> Any:
    document = {"apiVersion": "registry-tool/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return MANIFEST_KINDS[kind].model_validate_json(json.dumps(document))


def model(**spec: Any) -> Any:
    return made("Model", {"name": "minilm"}, {"storage_path": "/data", **spec})


def release(version: str = "1.0.0", params: Any = None, **spec: Any) -> Any:
    template = {"name": "static", "params": params or {}}
    return made(
        "Release", {}, {"model": "minilm", "version": version, "template": template, **spec}
    )


def source(files: Any = None, **spec: Any) -> TemplateSource:
    if "dockerfile" not in spec:
        spec.setdefault("image", {})
    contents = {
        path: content
        if isinstance(content, TemplateFileContent)
        else TemplateFileContent(content if isinstance(content, bytes) else content.encode())
        for path, content in (files or {}).items()
    }
    manifest = made("BuildTemplate", {"name": "static"}, spec)
    return TemplateSource(
        Located(manifest, "build_templates/static/template.yaml", "0" * 40), contents
    )


def render(
    template: TemplateSource, a_release: Any = None, a_model: Any = None, **options: Any
) -> RenderedTemplate:
    return render_template(
        template, release=a_release or release(), model=a_model or model(), **options
    )


def problem(template: TemplateSource, *args: Any, **options: Any) -> TemplateProblem:
    with pytest.raises(TemplateProblem) as caught:
        render(template, *args, **options)
    return caught.value


def image(**recipe: Any) -> dict[str, Any]:
    return {"image": recipe}


# --- native --------------------------------------------------------------------------------------


def test_a_recipe_is_filled_in() -> None:
    template = source(
        {"run.sh.j2": TemplateFileContent(b"exec {{ target }}\n", executable=True)},
        params={"properties": {"port": {"type": "integer", "default": 8000}}},
        **image(
            base=f"registry.example/{{{{ quantization }}}}/base@{DIGEST}",
            copy=[{"from": "run.sh.j2", "to": "/usr/bin/"}],
            env={"MODEL": "{{ model }} {{ version }}"},
            labels={"company": "{{ company }}"},
            workdir="{{ target }}",
            user="{{ 1000 }}",
            expose=["{{ params.port }}/tcp"],
            entrypoint=["/usr/bin/run.sh"],
            cmd=["--port", "{{ params.port }}", "{{ parameter_count }}"],
        ),
    )
    rendered = render(
        template, release("1.2.0", quantization="awq"), model(company="ACME", parameter_count="7B")
    )
    assert rendered.image is not None
    assert rendered.image.model_dump(exclude={"copy_"}) == {
        "base": f"registry.example/awq/base@{DIGEST}",
        "env": {"MODEL": "minilm 1.2.0"},
        "labels": {"company": "ACME"},
        "workdir": "/models/minilm",
        "user": "1000",
        "expose": ("8000/tcp",),
        "entrypoint": ("/usr/bin/run.sh",),
        "cmd": ("--port", "8000", "7000000000"),
    }
    (file,) = rendered.files
    assert (file.path, file.content, file.mode) == (
        "/usr/bin/run.sh",
        b"exec /models/minilm\n",
        0o755,
    )
    assert file.digest == digest_of(file.content)
    assert (rendered.builder, rendered.params, rendered.given) == ("native", {"port": 8000}, {})


FILES = {"a.txt": "{{ a }}", "dir/b.txt": "b", "dir/sub/c.j2": "{{ model }}", "dirx": "x"}


@pytest.mark.parametrize(
    ("step", "paths"),
    [
        ({"from": "a.txt", "to": "/x"}, ["/x"]),
        ({"from": "a.txt", "to": "/x/"}, ["/x/a.txt"]),
        ({"from": "./a.txt", "to": "/x/{{ model }}"}, ["/x/minilm"]),
        ({"from": "dir", "to": "/"}, ["/b.txt", "/sub/c"]),
        ({"from": "dir/", "to": "/x"}, ["/x/b.txt", "/x/sub/c"]),
        ({"from": "dir", "to": "/x/"}, ["/x/b.txt", "/x/sub/c"]),
        ({"from": ".", "to": "/x"}, ["/x/a.txt", "/x/dir/b.txt", "/x/dir/sub/c", "/x/dirx"]),
    ],
)
def test_where_copied_files_go(step: dict[str, str], paths: list[str]) -> None:
    rendered = render(source(FILES, **image(copy=[step])))
    assert [file.path for file in rendered.files] == paths


def test_only_marked_files_are_rendered() -> None:
    rendered = render(source(FILES, **image(copy=[{"from": ".", "to": "/"}])))
    contents = {file.path: file.content for file in rendered.files}
    assert contents["/a.txt"] == b"{{ a }}"
    assert contents["/dir/sub/c"] == b"minilm"


def test_modes_come_from_the_step_or_from_git() -> None:
    files = {"a": "a", "b": TemplateFileContent(b"b", executable=True)}
    step = {"from": ".", "to": "/"}
    rendered = render(source(files, **image(copy=[step])))
    assert [file.mode for file in rendered.files] == [0o644, 0o755]
    rendered = render(source(files, **image(copy=[{**step, "mode": "0600"}])))
    assert [file.mode for file in rendered.files] == [0o600, 0o600]


@pytest.mark.parametrize("name", ["absent", "../a.txt", "dir/../../a.txt", "di"])
def test_a_missing_file_is_named(name: str) -> None:
    found = problem(source(FILES, **image(copy=[{"from": name, "to": "/"}])))
    assert found.problem_code == "RT404"
    assert found.pointer == ("spec", "image", "copy", 0, "from")
    assert found.in_template


@pytest.mark.parametrize(
    "steps",
    [
        [{"from": "a.txt", "to": "x"}],
        [{"from": "a.txt", "to": "/x/../y"}],
        [{"from": "a.txt", "to": "/x//y"}],
        [{"from": "a.txt", "to": "/"}, {"from": "a.txt", "to": "/a.txt"}],
        [{"from": "a.txt", "to": "/y"}, {"from": "a.txt", "to": "/y/z"}],
        [{"from": "a.txt", "to": "/y/z"}, {"from": "a.txt", "to": "/y"}],
        [{"from": "a.txt", "to": "/models"}],
        [{"from": "a.txt", "to": "/models/minilm"}],
    ],
)
def test_files_that_cannot_be_where_they_should(steps: Any) -> None:
    found = problem(source(FILES, **image(copy=steps)))
    assert found.problem_code == "RT406"
    assert found.pointer == ("spec", "image", "copy", len(steps) - 1, "to")


def test_files_beside_the_release_are_welcome() -> None:
    step = {"from": "a.txt", "to": "{{ target }}/a.txt"}
    assert render(source(FILES, **image(copy=[step]))).files[0].path == "/models/minilm/a.txt"


@pytest.mark.parametrize("base", ["python", "python:3.11", "Scratch", f"a b@{DIGEST}", ""])
def test_a_base_is_pinned(base: str) -> None:
    found = problem(source(**image(base=base)))
    assert (found.problem_code, found.pointer) == ("RT405", ("spec", "image", "base"))


# --- target --------------------------------------------------------------------------------------


def test_the_locks_target_wins() -> None:
    template = source(target="/opt/{{ model }}/{{ version }}", **image(workdir="{{ target }}"))
    rendered = render(template)
    assert rendered.target == "/opt/minilm/1.0.0"
    rendered = render(template, target="/models/minilm")
    assert rendered.target == "/models/minilm"
    assert rendered.image is not None
    assert rendered.image.workdir == "/models/minilm"
    assert TemplateRenderer(template).target(release(), model()) == "/opt/minilm/1.0.0"


@pytest.mark.parametrize("target", ["models", "/", "/a//b", "/a/../b", "/a/.wh.b", "{{ model }}"])
def test_a_target_is_a_path_in_an_image(target: str) -> None:
    found = problem(source(target=target))
    assert (found.problem_code, found.pointer) == ("RT406", ("spec", "target"))


def test_a_target_cannot_name_itself() -> None:
    found = problem(source(target="/{{ target }}"))
    assert (found.problem_code, found.pointer) == ("RT401", ("spec", "target"))


# --- variables -----------------------------------------------------------------------------------


def test_the_documented_variables_are_all_there_are() -> None:
    everything = model(company="C", license="L", base_model="B", parameter_count=1)
    variables = TemplateVariables.of(release(), everything, {}, "/t")
    assert set(variables.values()) == set(VARIABLES)
    bare = TemplateVariables.of(release(), model(), {}, None)
    assert set(bare.values()) == {"model", "version", "quantization", "params"}


@pytest.mark.parametrize(
    "name",
    [
        *("stage", "release_notes", "tags", "metadata", "labels", "description", "storage_path"),
        *PROBE_VARIABLES,
        *DOCKERFILE_VARIABLES,
    ],
)
def test_other_facts_cannot_reach_an_image(name: str) -> None:
    found = problem(source(**image(env={"A": "{{ " + name + " }}"})))
    assert (found.problem_code, found.pointer) == ("RT401", ("spec", "image", "env", "A"))


def test_every_faulty_text_is_told_at_once() -> None:
    template = source(
        {"a.j2": "{{ one }}", "b.j2": b"\xff"},
        target="/{{ two }}",
        probe=["{{ three }}"],
        **image(
            copy=[{"from": "a.j2", "to": "/{{ four }}"}, {"from": "b.j2", "to": "/b"}],
            env={"E": "{{ five }}"},
            cmd=["ok", "{{ six }}"],
        ),
    )
    found = problem(template)
    assert {one.pointer for one in found.all} == {
        ("spec", "target"),
        ("spec", "probe", 0),
        ("spec", "image", "copy", 0, "from"),
        ("spec", "image", "copy", 0, "to"),
        ("spec", "image", "copy", 1, "from"),
        ("spec", "image", "env", "E"),
        ("spec", "image", "cmd", 1),
    }
    named = next(one for one in found.all if one.pointer[-2:] == (0, "from"))
    assert named.message == 'a.j2: unknown variable "one"'


def test_a_fact_that_the_model_leaves_out_is_explained() -> None:
    template = source(**image(env={"A": "{{ company }}"}))
    found = problem(template)
    assert found.problem_code == "RT401"
    assert found.message == '"company" has no value here'
    assert render(template, a_model=model(company="ACME")).image is not None
    lenient = source(**image(env={"A": "{{ company | default('nobody') }}"}))
    assert render(lenient).image is not None


# --- parameters ----------------------------------------------------------------------------------

SCHEMA = {
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 5, "description": "What it is called"},
        "port": {"type": "integer", "default": 80},
        "server": {
            "type": "object",
            "default": {"threads": 1},
            "properties": {"threads": {"type": "integer"}, "queue": {"default": 9}},
        },
    },
}


def test_defaults_are_filled_in_also_inside_of_objects() -> None:
    template = source(params=SCHEMA)
    rendered = render(template, release(params={"name": "a"}))
    assert rendered.params == {"name": "a", "port": 80, "server": {"threads": 1, "queue": 9}}
    assert rendered.given == {"name": "a"}
    rendered = render(template, release(params={"name": "a", "server": {"threads": 2}}))
    assert rendered.params["server"] == {"threads": 2, "queue": 9}


@pytest.mark.parametrize(
    ("params", "pointer", "message"),
    [
        ({}, (), "'name' is a required property"),
        ({"name": "toolong"}, ("name",), "too long"),
        ({"name": 5}, ("name",), "not of type 'string'"),
        ({"name": "a", "server": {"threads": "x"}}, ("server", "threads"), "server.threads"),
        ({"name": "a", "prot": 1}, ("prot",), 'the template has no parameter "prot"'),
    ],
)
def test_wrong_parameters_are_told_in_the_release(
    params: Any, pointer: tuple[str, ...], message: str
) -> None:
    found = problem(source(params=SCHEMA), release(params=params))
    assert found.problem_code == "RT402"
    assert found.pointer == ("spec", "template", "params", *pointer)
    assert message in found.message
    assert not found.in_template


def test_all_wrong_parameters_are_told_at_once() -> None:
    found = problem(source(params=SCHEMA), release(params={"port": "x", "prot": 1, "naem": 2}))
    assert [one.message.partition(":")[0] for one in found.all] == [
        "parameters",
        'the template has no parameter "naem"',
        'the template has no parameter "prot"',
        'parameter "port"',
    ]
    assert [one.help for one in found.all][1:3] == ['did you mean "name"?', 'did you mean "port"?']


def test_a_template_without_parameters_takes_none() -> None:
    found = problem(source(), release(params={"a": 1}))
    assert (found.problem_code, found.help) == ("RT402", "it has no parameters")
    assert found.on_key


def test_a_schema_may_allow_more() -> None:
    open_schema = {"additionalProperties": {"type": "integer"}}
    assert render(source(params=open_schema), release(params={"a": 1})).params == {"a": 1}
    assert problem(source(params=open_schema), release(params={"a": "x"})).problem_code == "RT402"


@pytest.mark.parametrize(
    ("schema", "pointer"),
    [
        ({"properties": {"a": {"type": "int"}}}, ("spec", "params", "properties", "a", "type")),
        ({"type": "array"}, ("spec", "params", "type")),
        ({"$ref": "https://example.org/schema"}, ("spec", "params")),
        ({"$ref": "#"}, ("spec", "params")),
        (
            {"properties": {"a": {"type": "integer", "default": "x"}}},
            ("spec", "params", "properties", "a", "default"),
        ),
    ],
)
def test_a_schema_that_is_none(schema: Any, pointer: tuple[str, ...]) -> None:
    found = problem(source(params=schema))
    assert (found.problem_code, found.pointer, found.in_template) == ("RT403", pointer, True)


# --- dockerfile ----------------------------------------------------------------------------------

BASES = [{"name": "py", "reference": "docker.io/library/python:3.11", "digest": DIGEST}]
DOCKER = {
    "Dockerfile.j2": "FROM {{ bases.py }}\nLABEL model={{ model }}\nCOPY app /app\n",
    "app/main.py": "print()",
    "app/config.json.j2": '{"model": {{ model | tojson }}}',
    "README.md": "x",
}


def test_a_dockerfile_is_rendered_with_its_context() -> None:
    rendered = render(source(DOCKER, dockerfile={"bases": BASES, "files": ["app/**"]}))
    assert rendered.dockerfile == (
        f"FROM docker.io/library/python:3.11@{DIGEST}\nLABEL model=minilm\nCOPY app /app\n"
    )
    assert {file.path: file.content for file in rendered.files} == {
        "app/config.json": b'{"model": "minilm"}',
        "app/main.py": b"print()",
    }
    assert (rendered.image, rendered.builder, rendered.files_layer) == (None, "docker", None)
    assert rendered.bases[0].name == "py"


def test_the_dockerfile_is_not_part_of_its_context() -> None:
    rendered = render(source(DOCKER, dockerfile={"bases": BASES, "files": ["**"]}))
    assert "Dockerfile" not in {file.path for file in rendered.files}


@pytest.mark.parametrize(
    ("recipe", "pointer"),
    [
        ({"file": "Other"}, ("spec", "dockerfile", "file")),
        ({"files": ["app/**", "absent.txt"]}, ("spec", "dockerfile", "files", 1)),
        ({"files": ["[z-a]"]}, ("spec", "dockerfile", "files", 0)),
    ],
)
def test_files_of_a_dockerfile_that_are_missing(recipe: Any, pointer: Any) -> None:
    found = problem(source(DOCKER, dockerfile={"bases": BASES, **recipe}))
    assert (found.problem_code, found.pointer) == ("RT404", pointer)


def test_a_rendered_dockerfile_is_checked() -> None:
    files = {"Dockerfile.j2": "FROM ubuntu\nRUN --mount=type=secret,id=x true\n"}
    found = problem(source(files, dockerfile={}))
    assert [one.problem_code for one in found.all] == ["RT405", "RT407"]
    assert found.pointer == ("spec", "dockerfile", "file")
    assert found.message.startswith("Dockerfile.j2: line 1:")


@pytest.mark.parametrize(
    ("company", "code"), [("a\nRUN evil", None), ("ends with \\", "RT406"), ("fine", "")]
)
def test_a_value_cannot_add_an_instruction(company: str, code: str | None) -> None:
    files = {"Dockerfile.j2": "FROM {{ bases.py }}\nLABEL a={{ params.company }}\nUSER 1\n"}
    template = source(files, dockerfile={"bases": BASES}, params={"properties": {"company": {}}})
    a_release = release(params={"company": company})
    if code == "":
        assert "LABEL a=fine\n" in (render(template, a_release).dockerfile or "")
    else:
        assert problem(template, a_release).problem_code == "RT406"


# --- probe ---------------------------------------------------------------------------------------


def test_a_probe_is_filled_in_when_it_is_used() -> None:
    rendered = render(source(probe=["ask", "http://localhost:{{ port }}{{ path }}", "{{ model }}"]))
    assert rendered.probe(80, "/health") == ("ask", "http://localhost:80/health", "minilm")
    assert render(source()).probe(80, "/") == ()


@pytest.mark.parametrize(
    ("text", "port", "path", "asked"),
    [
        ("{{ port }}{{ path }}", 80, None, "80/"),
        ("{{ port }}{{ path }}", None, "/health", None),
        ("{{ port | default(8000) }}{{ path | d('/health') }}", None, None, "8000/health"),
        ("{{ port | default(8000) }}{{ path | d('/health') }}", 80, "/", "80/"),
        ("{{ port | default(8000) }} {{ port }}", None, None, None),
        ("{{ port | default(port) }}", None, None, None),
        ("{% if path %}{{ path | d('/x') }}{% endif %}", 80, None, "/"),
    ],
)
def test_a_template_can_say_what_its_probe_asks(
    text: str, port: int | None, path: str | None, asked: str | None
) -> None:
    found = render(source(probe=["ask", text])).probe(port, path)
    assert found == (() if asked is None else ("ask", asked))


def test_a_probe_that_does_not_render_is_found_early() -> None:
    found = problem(source(probe=["{{ company }}"]))
    assert (found.problem_code, found.pointer) == ("RT401", ("spec", "probe", 0))


# --- one renderer for many releases --------------------------------------------------------------


def test_releases_share_what_does_not_differ() -> None:
    template = source(FILES, **image(copy=[{"from": "dir", "to": "/"}]))
    renderer = TemplateRenderer(template)
    first = renderer.render(release("1.0.0"), model())
    assert renderer.render(release("1.0.1"), model()) is first
    assert renderer.render(release("1.0.1"), model(), "/elsewhere") is not first


def test_a_shared_renderer_gives_what_single_ones_give() -> None:
    template = source(
        {"a.j2": "{{ version }} {{ params.x | default(0) }}"},
        params={"properties": {"x": {}}},
        probe=["{{ quantization }}"],
        **image(copy=[{"from": "a.j2", "to": "/a"}], env={"M": "{{ license | default('') }}"}),
    )
    renderer = TemplateRenderer(template)
    for number in range(3):
        for params in ({}, {"x": 1}, {"x": True}, {"x": 1.0}):
            for fact in ({}, {"license": "MIT"}):
                one = release(f"1.0.{number}", params=params, quantization=f"q{number}")
                together = renderer.render(one, model(**fact))
                alone = render(template, one, model(**fact))
                assert together.digest_parts() == alone.digest_parts()
                assert together.probe(1, "/") == alone.probe(1, "/")
