"""docs/diagnostics.md has every code, docs/manifests.md every field, and their examples are what they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from manifests_samples import FULL
from pydantic import BaseModel

from registry_tool.domain.diagnostics import CODES
from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS
from registry_tool.domain.records import Timings
from registry_tool.manifests.fields import field_names, model_at
from registry_tool.manifests.schemas import docstrings
from registry_tool.manifests.validating import Invalid, Valid, read_manifest

DOCS = Path(__file__).parents[2] / "docs"
KINDS = MANIFEST_KINDS | RECORD_KINDS


def sections(name: str) -> dict[str, str]:
    """The text below each heading of the second level."""
    text = (DOCS / name).read_text(encoding="utf-8")
    parts = re.split(r"^#{1,2} +(.+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


DIAGNOSTICS = {name: text for name, text in sections("diagnostics.md").items() if name in CODES}
MANIFESTS = sections("manifests.md")


def test_every_code_has_a_section_and_every_section_a_code() -> None:
    found = re.findall(
        r"^## (.+)$", (DOCS / "diagnostics.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found == list(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_section_has_title_cause_and_fix(code: str) -> None:
    flat = " ".join(DIAGNOSTICS[code].split())
    title = CODES[code]
    assert flat.startswith(f"**{title[0].upper()}{title[1:]}.** ")
    assert "*Fix:* " in flat


EXAMPLES = [
    (code, example)
    for code, text in DIAGNOSTICS.items()
    for example in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
]


@pytest.mark.parametrize(("code", "example"), EXAMPLES)
def test_the_example_of_a_code_has_that_error_and_no_other(code: str, example: str) -> None:
    result = read_manifest("example.yaml", example.encode())
    assert isinstance(result, Invalid)
    assert code in {entry.code for entry in result.diagnostics}
    assert {entry.code for entry in result.diagnostics} <= {code, "RT102"}


def test_most_codes_about_one_file_have_an_example() -> None:
    assert len(EXAMPLES) >= 18


def paths_of(model: type[BaseModel]) -> list[str]:
    """The fields of a kind as the tables write them."""
    found = []
    for field in field_names(model):
        info = next(i for n, i in model.model_fields.items() if (i.alias or n) == field)
        is_list = "tuple" in str(info.annotation)
        inner = model_at(model, (field, 0) if is_list else (field,))
        mark = f"{field}[]" if is_list and inner else field
        found.append(mark)
        if inner:
            found += [f"{mark}.{path}" for path in paths_of(inner)]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_a_kind_is_in_its_table(kind: str) -> None:
    spec = model_at(KINDS[kind], ("spec",))
    assert spec is not None
    rows = re.findall(r"^\| `([^`]+)` \|", MANIFESTS[kind], re.MULTILINE)
    assert rows == paths_of(spec)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_a_kind_sets_every_field(kind: str) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", MANIFESTS[kind], re.DOTALL)
    assert example.encode() == FULL[kind]


def test_fields_of_the_envelope_are_there() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", MANIFESTS["Every manifest"], re.MULTILINE)
    assert {"apiVersion", "kind", "metadata", "spec"} <= set(rows)
    assert {"metadata.name", "metadata.labels", "metadata.annotations"} <= set(rows)
    (example,) = re.findall(r"```yaml\n(.*?)```", MANIFESTS["Every manifest"], re.DOTALL)
    assert isinstance(read_manifest("example.yaml", example.encode()), Valid)


def test_every_field_says_what_it_is() -> None:
    missing = []
    seen: set[type[BaseModel]] = set()

    def visit(model: type[BaseModel]) -> None:
        if model in seen:
            return
        seen.add(model)
        texts = docstrings(model)
        for name, info in model.model_fields.items():
            if name not in texts and name not in {"kind", "metadata", "spec"}:
                missing.append(f"{model.__name__}.{name}")
            for step in ((info.alias or name,), (info.alias or name, 0)):
                inner = model_at(model, step)
                if inner:
                    visit(inner)

    for model in KINDS.values():
        visit(model)
    assert Timings in seen
    assert missing == []


def test_links_inside_the_docs_lead_somewhere() -> None:
    for name in ("diagnostics.md", "manifests.md"):
        text = (DOCS / name).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", text):
            assert not target or (DOCS / target).resolve().exists(), target
