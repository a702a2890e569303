"""Edits replace one value and keep every other byte."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifests_samples import FULL

from registry_tool.errors import InvalidManifests, UsageProblem
from registry_tool.manifests.document import MappingNode, SequenceNode, walk
from registry_tool.manifests.edits import remove_value, set_value
from registry_tool.manifests.parsing import parse
from registry_tool.manifests.reading import read_document

TEXT = b"""\
# head
apiVersion: x  # c1
kind: y
spec:
  # about the stage
  stage: candidate   # keep me
  tags: [a, "b"]
  empty:
  none: {}
  braces: {a: 1}
  double: "x"
  single: 'it''s'
  text: |
    a
    b

  list:
    - x: 1
      y: 2
    - z
  flush:
  - a
  - b
# tail
"""

SETS: list[tuple[tuple[str | int, ...], Any, bytes, bytes]] = [
    (("stage",), "released", b"stage: candidate ", b"stage: released "),
    (("stage",), "1.10", b"stage: candidate ", b'stage: "1.10" '),
    (("stage",), None, b"stage: candidate ", b"stage: null "),
    (("stage",), True, b"stage: candidate ", b"stage: true "),
    (("stage",), {"a": {"b": 1}}, b"stage: candidate ", b"stage:\n    a:\n      b: 1 "),
    (("tags", 0), "c, d", b"[a, ", b'["c, d", '),
    (("tags", 2), "z", b'"b"]', b'"b", z]'),
    (("tags",), ["p"], b'[a, "b"]', b"[p]"),
    (("empty",), 5, b"empty:", b"empty: 5"),
    (("empty",), {"a": [1]}, b"empty:", b"empty:\n    a:\n      - 1"),
    (("empty", "q"), 1, b"empty:", b"empty:\n    q: 1"),
    (("none", "q"), 1, b"none: {}", b"none: {q: 1}"),
    (("braces", "b"), "x", b"{a: 1}", b"{a: 1, b: x}"),
    (("braces", "b"), {"c": [1]}, b"{a: 1}", b"{a: 1, b: {c: [1]}}"),
    (("double",), "no", b'"x"', b'"no"'),
    (("double",), "plain", b'"x"', b'"plain"'),
    (("single",), "don't", b"'it''s'", b"'don''t'"),
    (("text",), "n\n\nm\n", b"|\n    a\n    b", b"|\n    n\n\n    m"),
    (("text",), "one", b"|\n    a\n    b", b"one"),
    (("list", 0, "x"), "l\nm\n", b"x: 1", b"x: |\n        l\n        m"),
    (("list", 0, "w"), [1, {"a": 2}], b"y: 2", b"y: 2\n      w:\n        - 1\n        - a: 2"),
    (("list", 2), {"k": "v"}, b"- z", b"- z\n    - k: v"),
    (("list",), 3, b"list:\n    - x: 1\n      y: 2\n    - z", b"list: 3"),
    (("list",), [], b"list:\n    - x: 1\n      y: 2\n    - z", b"list: []"),
    (("flush", 2), "c", b"- b", b"- b\n  - c"),
    (("yanked", "reason"), "bad", b"- a\n  - b\n", b"- a\n  - b\n  yanked:\n    reason: bad\n"),
]


@pytest.mark.parametrize(("pointer", "value", "old", "new"), SETS)
def test_setting_a_value(
    pointer: tuple[str | int, ...], value: Any, old: bytes, new: bytes
) -> None:
    assert TEXT.count(old) == 1
    assert set_value(TEXT, ("spec", *pointer), value) == TEXT.replace(old, new)


def test_metadata_is_added_where_it_belongs() -> None:
    edited = set_value(TEXT, ("metadata", "labels", "a"), "1")
    assert edited == TEXT.replace(b"kind: y\n", b'kind: y\nmetadata:\n  labels:\n    a: "1"\n')


REMOVALS: list[tuple[tuple[str | int, ...], bytes, bytes]] = [
    (("stage",), b"  stage: candidate   # keep me\n", b""),
    (("tags", 0), b'[a, "b"]', b'["b"]'),
    (("tags", 1), b'[a, "b"]', b"[a]"),
    (("empty",), b"  empty:\n", b""),
    (("braces", "a"), b"{a: 1}", b"{}"),
    (("text",), b"  text: |\n    a\n    b\n", b""),
    (("list", 0), b"    - x: 1\n      y: 2\n", b""),
    (("list", 1), b"    - z\n", b""),
    (("list", 0, "x"), b"x: 1\n      y: 2", b"y: 2"),
    (("list", 0, "y"), b"      y: 2\n", b""),
    (("flush", 0), b"  - a\n", b""),
]


@pytest.mark.parametrize(("pointer", "old", "new"), REMOVALS)
def test_removing_a_value(pointer: tuple[str | int, ...], old: bytes, new: bytes) -> None:
    assert remove_value(TEXT, ("spec", *pointer)) == TEXT.replace(old, new)


def test_removing_the_only_entry_leaves_an_empty_mapping() -> None:
    assert remove_value(
        b"spec:\n  yanked:\n    reason: x\na: 1\n", ("spec", "yanked", "reason")
    ) == (b"spec:\n  yanked: {}\na: 1\n")


def test_windows_line_ends_stay() -> None:
    text = TEXT.replace(b"\n", b"\r\n")
    edited = set_value(text, ("spec", "yanked"), {"reason": "x"})
    assert edited.replace(b"\r\n", b"\n") == set_value(TEXT, ("spec", "yanked"), {"reason": "x"})
    assert edited.count(b"\n") == edited.count(b"\r\n")


def test_a_file_without_a_final_line_feed() -> None:
    assert set_value(b"a:\n  b: 1", ("a", "c"), 2) == b"a:\n  b: 1\n  c: 2"


@pytest.mark.parametrize(
    "pointer", [(), ("spec", "stage", "x"), ("spec", "list", 5), ("spec", 0), ("spec", "list", "x")]
)
def test_what_cannot_be_set_is_refused(pointer: tuple[str | int, ...]) -> None:
    with pytest.raises(UsageProblem):
        set_value(TEXT, pointer, 1)


@pytest.mark.parametrize("pointer", [(), ("nope",), ("spec", "list", 7)])
def test_what_is_not_there_cannot_be_removed(pointer: tuple[str | int, ...]) -> None:
    with pytest.raises(UsageProblem):
        remove_value(TEXT, pointer)


def test_a_file_with_errors_is_not_edited() -> None:
    with pytest.raises(InvalidManifests) as caught:
        set_value(b"a: 1\na: 2\n", ("a",), 3)
    assert [entry.code for entry in caught.value.diagnostics] == ["RT005"]


# --- any edit ----------------------------------------------------------------------------------

TEXTS = [TEXT, *FULL.values()]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1000, 1000),
    st.text(max_size=12),
    st.sampled_from(["no", "1.10", "a: b", "x\ny\n", "# c", "- a", " ", "é"]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


@st.composite
def places(draw: st.DrawFn) -> tuple[bytes, tuple[str | int, ...]]:
    data = draw(st.sampled_from(TEXTS))
    nodes = [(pointer, node) for pointer, node in walk(read_document(data).root) if pointer]
    pointer, node = draw(st.sampled_from(nodes))
    if isinstance(node, MappingNode) and draw(st.booleans()):
        return data, (*pointer, draw(st.sampled_from(["new", "a b", "no"])))
    if isinstance(node, SequenceNode) and draw(st.booleans()):
        return data, (*pointer, len(node.items))
    return data, pointer


def changed(value: Any, pointer: tuple[str | int, ...], new: Any) -> Any:
    result = copy.deepcopy(value)
    holder = result
    for step in pointer[:-1]:
        holder = holder[step]
    if isinstance(holder, list) and pointer[-1] == len(holder):
        holder.append(new)
    else:
        holder[pointer[-1]] = new
    return result


@settings(
    max_examples=600, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(places(), VALUES)
def test_any_edit_changes_one_value_and_one_stretch_of_bytes(
    place: tuple[bytes, tuple[str | int, ...]], value: Any
) -> None:
    data, pointer = place
    edited = set_value(data, pointer, value)
    document = read_document(edited)
    assert document.problems == ()
    assert document.root is not None
    assert document.root.value == changed(parse(data), pointer, value)
    lost = data.splitlines()
    for line in edited.splitlines():
        if line in lost:
            lost.remove(line)
    old = read_document(data)
    region = old.region(pointer)
    start = old.line_start(min(region.start, old.region(pointer, on_key=True).start))
    if isinstance(pointer[-1], int):
        start = old.line_start(max(start - 1, 0))
    touched = old.text[start : old.next_line(max(region.end - 1, region.start))]
    assert all(line.decode() in touched for line in lost)


@settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(places())
def test_what_was_added_can_be_removed_again(place: tuple[bytes, tuple[str | int, ...]]) -> None:
    data, pointer = place
    if read_document(data).find(pointer) is None:
        assert parse(remove_value(set_value(data, pointer, "x"), pointer)) == parse(data)
    else:
        remaining = parse(remove_value(data, pointer))
        assert remaining != parse(data)
