"""The canonical layout: stable, meaning the same, with every comment in its place."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifests_samples import ALTERNATIVES, FULL

from registry_tool.errors import InvalidManifests
from registry_tool.manifests.emitting import emit
from registry_tool.manifests.formatting import format_manifest
from registry_tool.manifests.parsing import parse
from registry_tool.manifests.reading import read_document

MESSY = b"""\
# head of the file

---
# about the kind
kind: Deployment   # which
spec:
    # where
    environment:   staging
    ports:
    - host: 80   # public
      container: 8000
    -   container: 5

    # which version
    version: 1.0.0  # latest
    model: 'm'   \n\
    env:
        A: no
        B: "x"
        C: 12:30
    command: [a,   b,
       c]
    resources:
metadata: {name: x}
apiVersion: registry-tool/v1
# the end
"""

TIDY = b"""\
# head of the file

---
apiVersion: registry-tool/v1
# about the kind
kind: Deployment   # which
metadata: {name: x}
spec:
  # where
  environment: staging
  model: 'm'

  # which version
  version: 1.0.0  # latest
  command: [a,   b,
    c]
  ports:
    - container: 8000
      host: 80   # public
    - container: 5
  env:
    A: "no"
    B: "x"
    C: "12:30"
  resources:
# the end
"""


def test_keys_quotes_and_spaces() -> None:
    assert format_manifest(MESSY).decode() == TIDY.decode()


def test_twice_equals_once() -> None:
    assert format_manifest(TIDY) == TIDY


@pytest.mark.parametrize(("kind", "data"), [*FULL.items(), *ALTERNATIVES])
def test_samples_keep_their_meaning(kind: str, data: bytes) -> None:
    formatted = format_manifest(data)
    assert parse(formatted) == parse(data)
    assert format_manifest(formatted) == formatted


def test_windows_line_ends_and_missing_final_line_feed() -> None:
    assert format_manifest(b"a: 1\r\nb: 2") == b"a: 1\nb: 2\n"


def test_block_text_moves_with_its_key_and_keeps_its_spaces() -> None:
    before = b"a:\n      b: |\n            one  \n              two\n\n            three\n"
    assert format_manifest(before) == b"a:\n  b: |\n    one  \n      two\n\n    three\n"


def test_comments_at_the_end_of_a_block_stay_in_it() -> None:
    before = b"a:\n    b: 1\n    # in a\n# not in a\nc: 2\n"
    assert format_manifest(before) == b"a:\n  b: 1\n  # in a\n# not in a\nc: 2\n"


def test_layouts_that_are_not_plain_stay_as_they_are() -> None:
    text = b"? a\n: 1\nb:   |2\n   x\n"
    assert parse(format_manifest(text)) == parse(text)


def test_a_file_with_errors_is_not_formatted() -> None:
    with pytest.raises(InvalidManifests):
        format_manifest(b"a: [\n")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-99, 99)
    | st.text(max_size=10)
    | st.sampled_from(["no", "1.10", "a\nb\n", "x: y"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def shaken(draw: st.DrawFn) -> bytes:
    """A sample with comments, blank lines and spaces in odd places, and sometimes other indentation."""
    plain = [data for data in FULL.values() if b"|\n" not in data]
    lines = draw(st.sampled_from(plain)).decode().split("\n")[:-1]
    step = draw(st.sampled_from([1, 2, 3]))
    result = []
    for number, line in enumerate(lines):
        words = line.lstrip(" ")
        depth = len(line) - len(words)
        indent = " " * (depth * step if step != 1 else depth)
        if draw(st.integers(0, 9)) == 0:
            result.append(f"{indent}# comment {number}")
        if draw(st.integers(0, 19)) == 0:
            result.append("")
        behind = f"  # behind {number}" if draw(st.integers(0, 9)) == 0 else ""
        if words.startswith("- ") and ": " in words and step != 1:
            words = "-" + " " * (2 * step - 1) + words[2:]
        result.append(f"{indent}{words}{behind}")
    return ("\n".join(result) + "\n").encode()


@settings(
    max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(shaken())
def test_shaken_samples_keep_values_and_comments(data: bytes) -> None:
    formatted = format_manifest(data)
    assert parse(formatted) == parse(data)
    assert format_manifest(formatted) == formatted
    for line in data.decode().split("\n"):
        _, mark, comment = line.partition("# ")
        assert not mark or comment in formatted.decode()


@settings(
    max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
@given(st.dictionaries(st.text(max_size=5), VALUES, min_size=1, max_size=5))
def test_what_the_tool_writes_is_formatted_and_reads_back(value: dict[str, object]) -> None:
    text = emit(value).encode()
    assert meaning(text) == value
    assert meaning(format_manifest(text)) == value


def meaning(text: bytes) -> object:
    document = read_document(text)
    assert document.problems == ()
    assert document.root is not None
    return document.root.value
