"""Whatever happens to a manifest's bytes, structure or values, the answer is diagnostics or a manifest."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from manifests_samples import FULL, PATHS, repository

from registry_tool.manifests.document import Document
from registry_tool.manifests.emitting import emit
from registry_tool.manifests.formatting import format_manifest
from registry_tool.manifests.loading import load
from registry_tool.manifests.parsing import Irregular, parse
from registry_tool.manifests.reading import read_document
from registry_tool.manifests.source import DictSource
from registry_tool.manifests.validating import Invalid, Valid, read_manifest

TEXTS = [FULL[kind] for kind in PATHS]
QUICK = settings(
    max_examples=500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)

SYNTAX = [
    b":",
    b": ",
    b"- ",
    b"\n",
    b"  ",
    b"\t",
    b"#",
    b"{",
    b"}",
    b"[",
    b"]",
    b"|\n",
    b">-\n",
    b"?",
]
SYNTAX += [
    b'"',
    b"'",
    b"&a ",
    b"*a",
    b"!!str ",
    b"<<: *a",
    b"---\n",
    b"...\n",
    b"%TAG ! x",
    b"@",
    b"\\",
]
CHARACTERS = [b"\xff", b"\x00", b"\xe2\x80\xa8", b"\r", b"\r\n", b"\xef\xbb\xbf"]
WORDS = [b"~", b"null", b"010", b"1.10", b"1e999", b"apiVersion: 1\n"]
BITS = st.one_of(
    st.sampled_from([*SYNTAX, *CHARACTERS, *WORDS]),
    st.binary(max_size=6),
    st.text(max_size=6).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@st.composite
def mutated_bytes(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        data = data[:start] + draw(BITS) + data[end:]
    return data


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    lines = draw(st.sampled_from(TEXTS)).splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(lines) - 1))
        match draw(st.integers(0, 4)):
            case 0:
                del lines[position]
            case 1:
                lines.insert(draw(st.integers(0, len(lines))), lines[position])
            case 2:
                lines[position] = b" " * draw(st.integers(0, 5)) + lines[position]
            case 3:
                lines[position] = lines[position].lstrip(b" ")
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[position], lines[other] = lines[other], lines[position]
        lines = lines or [b"\n"]
    return b"".join(lines)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8).filter(lambda text: text.isprintable()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "a", "1", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def mutated_values(draw: st.DrawFn) -> bytes:
    value: Any = parse(draw(st.sampled_from(TEXTS)))
    holder = value
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw(st.sampled_from(keys))
        inner = holder[key]
        if isinstance(inner, (dict, list)) and inner and draw(st.integers(0, 3)):
            holder = inner
            continue
        match draw(st.integers(0, 2)) if isinstance(holder, dict) else 0:
            case 0:
                holder[key] = draw(VALUES)
            case 1:
                del holder[key]
            case _:
                holder[draw(st.text(max_size=6))] = inner
        return emit(value).encode("utf-8", "surrogatepass")


def check(data: bytes) -> None:
    result = read_manifest("manifests/x.yaml", data)
    document = read_document(data)
    if isinstance(result, Invalid):
        assert result.diagnostics
        for diagnostic in result.diagnostics:
            assert inside(document, diagnostic.span.line, diagnostic.span.column), diagnostic
            assert diagnostic.span.end_line >= diagnostic.span.line
            assert diagnostic.message.isprintable(), diagnostic
    else:
        assert isinstance(result, Valid)
    agree(data, document)
    if not document.problems:
        formatted = format_manifest(data)
        assert format_manifest(formatted) == formatted


def inside(document: Document, line: int, column: int) -> bool:
    lines = document.text.split("\n")
    return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1


def agree(data: bytes, document: Document) -> None:
    """The fast reader accepts nothing that the slow one refuses, and reads it alike."""
    try:
        value = parse(data)
    except Irregular:
        return
    assert document.problems == ()
    assert document.root is not None
    assert document.root.value == value
    assert repr(document.root.value) == repr(value)


@QUICK
@given(mutated_bytes())
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b"? ")
@example(FULL["ArtifactLock"].replace(b"files: [model", b"files: [\xed\x9f\xbcmodel"))
@example(b"a: !<tag:yaml.org,2002:str> b")
@example(b"%YAML 1.1\n---\na: 1\n")
@example(b"- " * 100)
@example(b"{" * 100)
@example(b"a: &a [*a, *a]\n")
@example(b"a: " + b"9" * 5000)
def test_mutated_bytes(data: bytes) -> None:
    check(data)


@QUICK
@given(mutated_lines())
def test_mutated_lines(data: bytes) -> None:
    check(data)


@QUICK
@given(mutated_values())
def test_mutated_values(data: bytes) -> None:
    check(data)


@settings(QUICK, max_examples=100)
@given(st.sampled_from(sorted(PATHS)), mutated_bytes())
def test_a_bad_file_leaves_the_others_alone(kind: str, data: bytes) -> None:
    files = repository()
    files["manifests/extra.yaml"] = data
    loaded = load(DictSource(files))
    assert loaded.checked == len(PATHS) + 1
    # A copy of another manifest is a duplicate, which is shown at the later one.
    paths = {entry.path for entry in loaded.diagnostics if entry.code[:3] != "RT2"}
    assert PATHS[kind] not in paths
    if isinstance(read_manifest("manifests/extra.yaml", data), Invalid):
        assert "manifests/extra.yaml" in paths
