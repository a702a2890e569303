"""Range headers, as RFC 9110 has them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_tool.web.ranges import Span, Unsatisfiable, parse_range


@pytest.mark.parametrize(
    "header, size, span",
    [
        ("bytes=0-0", 10, Span(0, 1)),
        ("bytes=2-5", 10, Span(2, 6)),
        ("bytes=2-", 10, Span(2, 10)),
        ("bytes=2-99", 10, Span(2, 10)),
        ("bytes=-3", 10, Span(7, 10)),
        ("bytes=-99", 10, Span(0, 10)),
        ("bytes = 1-2", 10, Span(1, 3)),
    ],
)
def test_single_ranges_are_understood(header: str, size: int, span: Span) -> None:
    assert parse_range(header, size) == span


@pytest.mark.parametrize(
    "header", [None, "", "bytes=", "bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "x"]
)
def test_what_may_be_ignored_gives_the_whole(header: str | None) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(
    "header, size", [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-1", 0)]
)
def test_ranges_beyond_the_end_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, size)


@given(st.text(max_size=40) | st.from_regex(r"bytes=\d{0,20}-\d{0,20}"), st.integers(0, 10**6))
def test_every_answer_lies_inside(header: str, size: int) -> None:
    try:
        span = parse_range(header, size)
    except Unsatisfiable:
        return
    assert span is None or 0 <= span.start < span.end <= size
