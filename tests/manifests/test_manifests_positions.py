"""Bad manifests by hand: each error has the expected code, line and column.

A marker such as ⟦RT104⟧ stands directly before the place that a person has to change; it is not part of the text.
"""

from __future__ import annotations

import re

import pytest
from manifests_samples import FULL

from registry_tool.domain.diagnostics import Pointer
from registry_tool.domain.kinds import MANIFEST_KINDS
from registry_tool.manifests.document import Scalar, walk
from registry_tool.manifests.reading import read_document
from registry_tool.manifests.validating import Invalid, Valid, read_manifest

HEAD = "apiVersion: registry-tool/v1\n"


def of_kind(kind: str, spec: str, metadata: str = "metadata: {name: x}\n") -> str:
    return f"{HEAD}kind: {kind}\n{metadata}spec:\n{spec}"


def model(spec: str) -> str:
    return of_kind("Model", spec)


def release(spec: str) -> str:
    return of_kind("Release", f"  model: m\n  version: 1.0.0\n  template: {{name: t}}\n{spec}", "")


def deployment(spec: str) -> str:
    return of_kind("Deployment", f"  environment: e\n  model: m\n  version: 1.0.0\n{spec}")


CASES: dict[str, str] = {
    # --- YAML ---
    "control character": model("  storage_path: /x⟦RT003⟧\x07\n"),
    "next line character": model("  storage_path: /x⟦RT003⟧\x85\n"),
    "right-to-left override": model("  storage_path: /x ⟦RT003⟧\u202e\n"),
    "byte-order mark": f"⟦RT003⟧\ufeff{HEAD}",
    "bare carriage return": f"{HEAD.strip()}⟦RT003⟧\rkind: Model\n",
    "two forbidden characters": "a: ⟦RT003⟧\x00\nb: ü⟦RT003⟧\u2028\n",
    "mapping in a value": model("  storage_path: a⟦RT004⟧: b\n"),
    "key without a colon": f"{HEAD}⟦RT004⟧kind\nmetadata: {{name: x}}\n",
    "key out of line": model("  storage_path: /x\n ⟦RT004⟧license: MIT\n"),
    "deeper key after a scalar": model("  storage_path: /x\n    license⟦RT004⟧: MIT\n"),
    "quote that does not end": model('  storage_path: ⟦RT004⟧"/x\n  license: MIT\n'),
    "list that does not end": model("  storage_path: /x\n  tags: ⟦RT004⟧[a, b\n  license: MIT\n"),
    "mapping that does not end": model("  metadata: ⟦RT004⟧{a: 1\n  storage_path: /x\n"),
    "unknown escape": model('  storage_path: "/x⟦RT004⟧\\q"\n'),
    "value that starts with @": model("  company: ⟦RT004⟧@acme\n  storage_path: /x\n"),
    "value that starts with a backtick": model("  company: ⟦RT004⟧`acme`\n"),
    "list item among keys": model("  storage_path: /x\n  ⟦RT004⟧- a\n"),
    "text behind a pipe": model("  description: | ⟦RT004⟧text\n"),
    "key twice": model("  storage_path: /x\n  ⟦RT005⟧storage_path: /y\n"),
    "key three times": f"a: 1\n⟦RT005⟧a: 2\n⟦RT005⟧a: 3\n{HEAD}⟦RT105⟧kind: q\n".replace(
        "⟦RT105⟧kind: q", "kind: ⟦RT105⟧q"
    ),
    "key twice in braces": model("  storage_path: /x\n  metadata: {a: 1, ⟦RT005⟧a: 2}\n"),
    "anchor": model("  storage_path: ⟦RT006⟧&p /x\n"),
    "alias": model("  storage_path: /x\n  license: ⟦RT006⟧*p\n")
    .replace("license: ", "license: ⟦RT103⟧")
    .replace("⟦RT103⟧⟦RT006⟧", "⟦RT006⟧"),
    "merge key": model("  storage_path: /x\n  metadata: {⟦RT006⟧<<: {a: 1}}\n"),
    "unquoted star": model("  storage_path: /x\n  license: ⟦RT006⟧*\n"),
    "tag": model("  storage_path: ⟦RT007⟧!!str /x\n"),
    "own tag": model("  storage_path: /x\n  license: ⟦RT007⟧!MIT\n"),
    "empty file": "⟦RT008⟧",
    "comments only": "# nothing\n⟦RT008⟧",
    "two documents": model("  storage_path: /x\n") + "⟦RT008⟧---\n" + HEAD,
    "tab as indentation": f"{HEAD}spec:\n⟦RT009⟧\tstorage_path: /x\n",
    "tab in a list in brackets": model("  storage_path: /x\n  tags: [\n⟦RT009⟧\ta]\n"),
    "tab after spaces": f"{HEAD}spec:\n  ⟦RT009⟧\tstorage_path: /x\n",
    "nested too deep": f"{HEAD}a: " + "[" * 31 + "⟦RT010⟧[",
    "octal-looking number": deployment("  replicas: ⟦RT011⟧010\n"),
    "underscored number": deployment("  replicas: ⟦RT011⟧1_000\n"),
    "hexadecimal number": deployment("  ports: [{container: ⟦RT011⟧0x50}]\n"),
    "number with a plus": deployment("  replicas: ⟦RT011⟧+2\n"),
    "number of more than 64 bits": model(
        "  storage_path: /x\n  metadata: {n: ⟦RT011⟧99999999999999999999}\n"
    ),
    "number that is infinite": model("  storage_path: /x\n  metadata: {n: ⟦RT011⟧1e999}\n"),
    "number as a key": model("  storage_path: /x\n  metadata:\n    ⟦RT012⟧8000: http\n"),
    "null as a key": model("  storage_path: /x\n  metadata:\n    ⟦RT012⟧~: http\n"),
    "list as a key": model("  storage_path: /x\n  metadata:\n    ? ⟦RT012⟧[a]\n    : http\n"),
    "a list as the document": "⟦RT014⟧- a\n- b\n",
    "a word as the document": "⟦RT014⟧hello\n",
    # --- envelope ---
    "no kind": f"⟦RT102⟧{HEAD}spec: {{}}\n",
    "kind in upper case": f"{HEAD}⟦RT101⟧Kind: Model\n",
    "no apiVersion": "⟦RT102⟧kind: Model\nmetadata: {name: x}\nspec: {storage_path: /x}\n",
    "unknown kind": f"{HEAD}kind: ⟦RT105⟧Modell\n",
    "kind in lower case": f"{HEAD}kind: ⟦RT105⟧model\n",
    "record kind": f"{HEAD}kind: ⟦RT105⟧Build\n",
    "kind is a list": f"{HEAD}kind: ⟦RT105⟧[Model]\n",
    "kind is a number": f"{HEAD}kind: ⟦RT105⟧1\n",
    "unsupported apiVersion": "apiVersion: ⟦RT106⟧v2\nkind: Model\nmetadata: {name: x}\nspec: {storage_path: /x}\n",
    "unsupported apiVersion and kind": "apiVersion: ⟦RT106⟧v2\nkind: ⟦RT105⟧Foo\n",
    "no spec": f"⟦RT102⟧{HEAD}kind: Model\nmetadata: {{name: x}}\n",
    "spec without content": f"{HEAD}kind: Model\nmetadata: {{name: x}}\nspec:⟦RT103⟧\n",
    "metadata is a list": f"{HEAD}kind: Model\nmetadata: ⟦RT103⟧[x]\nspec: {{storage_path: /x}}\n",
    "no name": f"{HEAD}kind: Model\n⟦RT102⟧metadata:\n  labels: {{}}\nspec: {{storage_path: /x}}\n",
    "bad name": f"{HEAD}kind: Model\nmetadata:\n  name: ⟦RT104⟧Mini LM\nspec: {{storage_path: /x}}\n",
    "name on a release": release("").replace("spec:", "metadata:\n  ⟦RT107⟧name: x\nspec:"),
    "unknown field at the top": f"{model('  storage_path: /x')}\n⟦RT101⟧status: {{}}\n",
    "bad label key": of_kind(
        "Model", "  storage_path: /x\n", "metadata:\n  name: x\n  labels:\n    ⟦RT104⟧a b: c\n"
    ),
    "label that is a number": of_kind(
        "Model", "  storage_path: /x\n", "metadata:\n  name: x\n  labels:\n    a: ⟦RT108⟧1\n"
    ),
    # --- fields ---
    "unknown field": model("  storage_path: /x\n  ⟦RT101⟧licence: MIT\n"),
    "repository of a model": model("  storage_path: /x\n  ⟦RT107⟧repository: y\n"),
    "required field": model("  license: MIT\n").replace("spec:", "⟦RT102⟧spec:"),
    "required field in an item": deployment("  ports:\n    - ⟦RT102⟧host: 80\n"),
    "required field of a mapping in braces": release("  yanked: {}\n").replace(
        "yanked", "⟦RT102⟧yanked"
    ),
    "string for a number": deployment("  replicas: ⟦RT103⟧two\n"),
    "quoted number": deployment('  replicas: ⟦RT103⟧"2"\n'),
    "fraction for a whole number": deployment("  replicas: ⟦RT103⟧1.5\n"),
    "string for a boolean": release("  auto_build: ⟦RT103⟧yes\n"),
    "number for a boolean": release("  auto_build: ⟦RT103⟧1\n"),
    "string for a list": model("  storage_path: /x\n  tags: ⟦RT103⟧embedding\n"),
    "mapping for a list": model("  storage_path: /x\n  tags:\n    ⟦RT103⟧a: 1\n"),
    "list for a mapping": release("  artifacts:\n    ⟦RT103⟧- include\n"),
    "nothing for a list": model("  storage_path: /x\n  tags:⟦RT103⟧\n"),
    "nothing in an item": model("  storage_path: /x\n  tags:\n    - a\n    -⟦RT103⟧\n"),
    "boolean for a string": model("  storage_path: ⟦RT103⟧true\n"),
    "number for a duration": of_kind("Environment", "  soak: ⟦RT103⟧60\n"),
    "version without quotes": of_kind(
        "Release", "  model: m\n  version: ⟦RT108⟧1.10\n  template: {name: t}\n", ""
    ),
    "environment variable without quotes": deployment("  env:\n    PORT: ⟦RT108⟧8000\n"),
    "enum": release("  stage: ⟦RT104⟧relased\n"),
    "enum in a list": of_kind("Environment", "  accepts: [released, ⟦RT104⟧testing]\n"),
    "literal": deployment("  strategy:\n    type: ⟦RT104⟧roling\n"),
    "bad version": of_kind(
        "Release", "  model: m\n  version: ⟦RT104⟧1.0.0+cuda\n  template: {name: t}\n", ""
    ),
    "bad range": of_kind(
        "Deployment", "  environment: e\n  model: m\n  track:\n    version: ⟦RT104⟧latest\n"
    ),
    "bad duration": of_kind("Environment", "  soak: ⟦RT104⟧2 days\n"),
    "bad memory": deployment("  resources:\n    memory: ⟦RT104⟧2GB\n"),
    "bad time zone": of_kind(
        "Environment",
        "  freeze:\n    - schedule: 0 0 * * *\n      duration: 1h\n      timezone: ⟦RT104⟧Berlin\n",
    ),
    "too small": deployment("  ports:\n    - container: ⟦RT104⟧0\n"),
    "too large": deployment("  ports:\n    - container: 80\n    - container: ⟦RT104⟧70000\n"),
    "empty string": model("  storage_path: /x\n  company: ⟦RT104⟧''\n"),
    "empty list": release("  platforms: ⟦RT104⟧[]\n"),
    "relative storage path": model("  storage_path: ⟦RT104⟧models/x\n"),
    "storage path with dots": model("  storage_path: ⟦RT104⟧/models/../x\n"),
    "bad platform": release("  platforms:\n    - ⟦RT104⟧amd64\n"),
    "bad parameter count": model("  storage_path: /x\n  parameter_count: ⟦RT104⟧7Bn\n"),
    "date without a time zone": of_kind(
        "ApiKey",
        f"  owner: o\n  key_id: abcd\n  sha256: {'0' * 64}\n  expires_at: ⟦RT104⟧2027-01-01T00:00:00\n",
    ),
    "version and track": deployment("  track: {}\n").replace("spec:", "⟦RT104⟧spec:"),
    "neither image nor dockerfile": of_kind("BuildTemplate", "  description: x\n").replace(
        "spec:", "⟦RT104⟧spec:"
    ),
    "http and command": deployment("  healthcheck: {http: /h, command: [x]}\n").replace(
        "healthcheck", "⟦RT104⟧healthcheck"
    ),
    "field by its Python name": of_kind("BuildTemplate", "  image:\n    ⟦RT101⟧copy_: []\n"),
    "several at once": deployment(
        "  replicas: ⟦RT103⟧x\n  ⟦RT101⟧volume: []\n  env: {A: ⟦RT108⟧1, B: ⟦RT103⟧true}\n"
    ),
    "YAML and schema at once": deployment("  replicas: ⟦RT103⟧x\n  ⟦RT005⟧model: y\n"),
    "after characters of several bytes": model(
        "  storage_path: /x\n  description: äöü 🎉\n  metadata: {ä🎉: 1, ⟦RT005⟧ä🎉: 2}\n"
    ),
    "with Windows line ends": model("  license: MIT\n  storage_path: ⟦RT104⟧x\n").replace(
        "\n", "\r\n"
    ),
    # --- secrets ---
    "private key": model(
        "  storage_path: /x\n  description: ⟦RT109⟧|\n    -----BEGIN RSA PRIVATE KEY-----\n"
    ),
    "AWS access key": deployment("  env:\n    ID: ⟦RT109⟧AKIAIOSFODNN7EXAMPLE\n"),
    "password": deployment("  env: {DB_PASSWORD: ⟦RT109⟧hT7kQ2vB9x}\n"),
    "token in template parameters": release("").replace(
        "{name: t}", "{name: t, params: {hub_token: ⟦RT109⟧s9dK3mQzP0rT}}"
    ),
    "URL with a password": model("  storage_path: ⟦RT109⟧https://user:hunter2@example.org/x\n"),
}


def marked(text: str) -> tuple[bytes, set[tuple[str, int, int]]]:
    places = set()
    while match := re.search("⟦(RT[0-9]{3})⟧", text):
        before = text[: match.start()]
        places.add((match[1], before.count("\n") + 1, match.start() - before.rfind("\n")))
        text = before + text[match.end() :]
    return text.encode(), places


@pytest.mark.parametrize("name", CASES)
def test_errors_are_where_a_person_has_to_look(name: str) -> None:
    data, places = marked(CASES[name])
    result = read_manifest("m.yaml", data)
    assert isinstance(result, Invalid)
    found = {(entry.code, entry.span.line, entry.span.column) for entry in result.diagnostics}
    assert found == places
    for entry in result.diagnostics:
        assert entry.source_line == data.decode().split("\n")[entry.span.line - 1].rstrip("\r")


def leaves() -> list[tuple[str, Pointer]]:
    """Every value of every sample that a type says something about."""
    found = []
    for kind in MANIFEST_KINDS:
        for pointer, node in walk(read_document(FULL[kind]).root):
            is_free = any(step in {"metadata", "params"} for step in pointer[1:])
            if isinstance(node, Scalar) and not is_free:
                found.append((kind, pointer))
    return found


@pytest.mark.parametrize(("kind", "pointer"), leaves())
def test_a_value_of_the_wrong_type_is_shown_wherever_it_is(kind: str, pointer: Pointer) -> None:
    document = read_document(FULL[kind])
    region = document.region(pointer)
    text = f"{document.text[: region.start]}[[]]{document.text[region.end :]}"
    result = read_manifest("m.yaml", text.encode())
    assert isinstance(result, Invalid)
    expected = document.span(region)
    assert [(entry.span.line, entry.span.column) for entry in result.diagnostics] == [
        (expected.line, expected.column)
    ]


@pytest.mark.parametrize(("kind", "pointer"), leaves())
def test_a_mistyped_key_is_shown_wherever_it_is(kind: str, pointer: Pointer) -> None:
    while not isinstance(pointer[-1], str):
        pointer = pointer[:-1]
    document = read_document(FULL[kind])
    region = document.region(pointer, on_key=True)
    text = f"{document.text[: region.start]}{pointer[-1]}ß{document.text[region.end :]}"
    result = read_manifest("m.yaml", text.encode())
    if isinstance(result, Valid):
        assert pointer[-2] in {"annotations", "env", "labels"}
        return
    expected = document.span(region)
    places = {(entry.span.line, entry.span.column) for entry in result.diagnostics}
    assert (expected.line, expected.column) in places


def test_not_utf8() -> None:
    result = read_manifest("m.yaml", "a: 1\nb: ü".encode() + b"\xff\n")
    assert isinstance(result, Invalid)
    (entry,) = result.diagnostics
    assert (entry.code, entry.span.line, entry.span.column) == ("RT001", 2, 5)


def test_too_large() -> None:
    result = read_manifest("m.yaml", b"a: " + b"x" * 1024 * 1024)
    assert isinstance(result, Invalid)
    assert [entry.code for entry in result.diagnostics] == ["RT002"]


@pytest.mark.parametrize(
    ("text", "help"),
    [
        (deployment("  replicas: 010\n"), "write 10 or 8"),
        (
            of_kind("Release", "  model: m\n  version: 1.10\n  template: {name: t}\n", ""),
            'write "1.10"',
        ),
        (release("  auto_build: yes\n"), "write true"),
        (release("  stage: relased\n"), 'did you mean "released"?'),
        (model("  storage_path: /x\n  licence: MIT\n"), 'did you mean "license"?'),
        (f"{HEAD}kind: api-key\n", "write ApiKey"),
        (model("  storage_path: /x\n  tags: a\n"), "write [a]"),
        (of_kind("Model", "  storage_path: /x\n", "metadata: {name: MiniLM}\n"), "write minilm"),
        (deployment('  replicas: "2"\n'), "write 2 without quotes"),
        (deployment("  replicas: 2.0\n"), "write 2"),
        (model("  storage_path: /x\n  metadata: {8000: a}\n"), 'write "8000"'),
        (
            "apiVersion: v1\nkind: Model\nmetadata: {name: x}\nspec: {storage_path: /x}\n",
            "write registry-tool/v1",
        ),
    ],
)
def test_help_is_the_literal_fix(text: str, help: str) -> None:
    result = read_manifest("m.yaml", text.encode())
    assert isinstance(result, Invalid)
    assert [entry.help for entry in result.diagnostics] == [help]


def test_span_ends_behind_the_value() -> None:
    result = read_manifest("m.yaml", deployment("  replicas: twenty # many\n").encode())
    assert isinstance(result, Invalid)
    span = result.diagnostics[0].span
    assert (span.line, span.column, span.end_line, span.end_column) == (8, 13, 8, 19)


def test_duplicate_key_names_the_first_one() -> None:
    result = read_manifest("m.yaml", b"a: 1\nb: 2\na: 3\n")
    assert isinstance(result, Invalid)
    related = [place for entry in result.diagnostics for place in entry.related]
    assert [(place.path, place.line, place.column) for place in related] == [("m.yaml", 1, 1)]


def test_a_file_with_very_many_errors_is_cut_short() -> None:
    env = "".join(f"    K{number}: {number}\n" for number in range(3000))
    result = read_manifest("m.yaml", deployment(f"  env:\n{env}").encode())
    assert isinstance(result, Invalid)
    assert len(result.diagnostics) == 200
