"""The bytes of a blob, one chunk ahead, and from anywhere."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import pytest

from registry_tool.errors import ContentMismatch
from registry_tool.oci.blob_source import BlobSource, CannotRewind, SourceFailed

DATA = bytes(range(100))


class Again:
    """Chunks of seven bytes, as often as asked for."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.readings = 0

    def __iter__(self) -> Iterator[bytes]:
        self.readings += 1
        for start in range(0, len(self.data), 7):
            yield self.data[start : start + 7]


def read(source: BlobSource, start: int, stop: int) -> bytes:
    return b"".join(bytes(piece) for piece in source.pieces(start, stop))


@pytest.fixture
def source() -> Iterator[BlobSource]:
    opened = BlobSource(Again(), len(DATA), "blob")
    yield opened
    opened.close()


def test_pieces_follow_each_other_without_reading_again() -> None:
    chunks = Again()
    source = BlobSource(chunks, len(DATA), "blob")
    assert b"".join(read(source, start, start + 20) for start in range(0, 100, 20)) == DATA
    assert chunks.readings == 1
    source.close()


@pytest.mark.parametrize("start", [0, 1, 7, 50, 93, 99, 100])
def test_any_offset_can_be_gone_back_to(source: BlobSource, start: int) -> None:
    assert read(source, 0, 60) == DATA[:60]
    assert source.can_rewind(start)
    assert read(source, start, 100) == DATA[start:]


def test_what_is_no_list_of_chunks_is_read_once() -> None:
    source = BlobSource(iter(Again()), len(DATA), "blob")
    assert read(source, 0, 60) == DATA[:60]
    assert source.can_rewind(60)
    assert not source.can_rewind(59)
    with pytest.raises(CannotRewind):
        read(source, 0, 100)
    assert read(source, 60, 100) == DATA[60:]
    source.close()


def test_one_chunk_is_taken_ahead_and_no_more() -> None:
    taken = []
    may_go = threading.Event()

    def chunks() -> Iterator[bytes]:
        for number in range(10):
            taken.append(number)
            if number == 1:
                may_go.set()
            yield DATA[number * 10 : number * 10 + 10]

    source = BlobSource(chunks(), len(DATA), "blob")
    pieces = source.pieces(0, 100)
    assert next(pieces) == DATA[:10]
    assert may_go.wait(10)
    assert taken == [0, 1]
    pieces.close()  # type: ignore[attr-defined]
    source.close()


def test_a_buffer_that_is_used_again_is_sent_before(source: BlobSource) -> None:
    """As layers are read: a buffer is overwritten when the second chunk after it is taken."""

    def two_buffers() -> Iterator[memoryview]:
        buffers = [bytearray(10), bytearray(10)]
        for number in range(10):
            buffers[number % 2][:] = DATA[number * 10 : number * 10 + 10]
            yield memoryview(buffers[number % 2])

    reused = BlobSource(two_buffers(), len(DATA), "blob")
    assert read(reused, 0, 33) + read(reused, 33, 100) == DATA
    reused.close()


@pytest.mark.parametrize(("size", "seen"), [(99, "more"), (101, "100")])
def test_another_size_is_noticed_before_the_last_byte(size: int, seen: str) -> None:
    source = BlobSource(Again(), size, "team/minilm@sha256:1")
    got = bytearray()
    with pytest.raises(SourceFailed) as caught:
        got.extend(itertools.chain.from_iterable(source.pieces(0, size)))
    assert isinstance(caught.value.__cause__, ContentMismatch)
    assert str(caught.value.__cause__) == (
        f"team/minilm@sha256:1: expected {size} bytes, got {seen}"
    )
    assert len(got) < size
    source.close()


def test_what_the_source_raises_is_the_cause() -> None:
    def failing() -> Iterator[bytes]:
        yield DATA
        raise BrokenPipeError

    source = BlobSource(failing(), 1000, "blob")
    with pytest.raises(SourceFailed) as caught:
        read(source, 0, 1000)
    assert isinstance(caught.value.__cause__, BrokenPipeError)
    source.close()


def test_closing_closes_what_is_read() -> None:
    closed = []

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield DATA
        finally:
            closed.append(True)

    source = BlobSource(chunks(), 10_000, "blob")
    read(source, 0, 50)
    source.close()
    assert closed == [True]
    BlobSource(chunks(), 10_000, "blob").close()
    assert closed == [True]
