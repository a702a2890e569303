"""Ranges that several readers fetch ahead, within one window."""

from __future__ import annotations

import threading

import pytest

from registry_tool.errors import StorageProblem
from registry_tool.storage import ranges
from registry_tool.storage.ranges import RangeReader, Window

DATA = bytes(range(256)) * 4


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranges, "RANGE", 100)


class Server:
    """Answers when the test says so, and counts what is under way or has been answered."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def fetch(self, start: int, end: int) -> bytes:
        self.started.append(start)
        self.go.wait(10)
        return DATA[start:end]


def test_ranges_are_read_in_order_whatever_the_sizes_of_the_reads() -> None:
    with RangeReader(Server().fetch, 5, len(DATA), Window()) as reader:
        pieces = [reader.read(7), reader.read(1000), reader.read(33), reader.readall()]
    assert b"".join(pieces) == DATA[5:]


def test_no_more_than_a_few_ranges_are_fetched_ahead() -> None:
    server = Server()
    with RangeReader(server.fetch, 0, len(DATA), Window(), ahead=3) as reader:
        reader.read(1)
    assert len(server.started) <= 3


def test_readers_share_a_window_and_none_waits_for_another() -> None:
    window, server = Window(4), Server()
    readers = [RangeReader(server.fetch, 0, len(DATA), window) for _ in range(6)]
    for reader in readers:
        assert reader.read(1) == DATA[:1]
    assert len(server.started) <= 4 + 5  # the first has all of the window, the others one each
    for reader in reversed(readers):
        assert reader.read(1) + reader.readall() == DATA[1:]
        reader.close()


def test_a_closed_reader_gives_its_room_back() -> None:
    window, server = Window(4), Server()
    for _ in range(5):
        server.started.clear()
        with RangeReader(server.fetch, 0, len(DATA), window) as reader:
            reader.read(1)
        assert len(server.started) > 1, "there was room to be ahead"


def test_an_object_that_ends_early_ends_the_reading() -> None:
    with RangeReader(lambda start, end: DATA[start : min(end, 250)], 0, 1000, Window()) as reader:
        assert reader.readall() == DATA[:250]


def test_closing_does_not_wait_for_further_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry_tool.storage.retrying.DELAYS", (3600.0,))
    tried = threading.Event()

    def failing(start: int, end: int) -> bytes:
        tried.set()
        raise StorageProblem("busy", transient=True)

    reader = RangeReader(failing, 0, 100, Window())

    def read() -> None:
        with pytest.raises(StorageProblem):
            reader.read(1)

    reading = threading.Thread(target=read)
    reading.start()
    assert tried.wait(10)
    reader.close()
    reading.join(10)
    assert not reading.is_alive()
