import io
import threading

from registry_tool.cli.progress import Bars, Lines, for_terminal
from registry_tool.domain.progress import Silent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_quiet_is_silent_a_terminal_gets_bars_and_a_file_gets_lines() -> None:
    assert isinstance(for_terminal(-1, Terminal()), Silent)
    assert isinstance(for_terminal(0, Terminal()), Bars)
    assert isinstance(for_terminal(0, io.StringIO()), Lines)


def test_lines_tell_start_end_and_every_ten_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    lines = Lines(stream, clock)
    lines.start("t", "hashing model.bin", 400 * 1024**2)
    for second in range(1, 21):
        clock.now = float(second)
        lines.advance("t", 10 * 1024**2)
    lines.finish("t")
    assert stream.getvalue().splitlines() == [
        "hashing model.bin (400.0 MiB)",
        "hashing model.bin: 100.0 MiB of 400.0 MiB, 10.0 MiB/s, 0:30 left",
        "hashing model.bin: 200.0 MiB of 400.0 MiB, 10.0 MiB/s, 0:20 left",
        "hashing model.bin: ended, 200.0 MiB in 20.0 s, 10.0 MiB/s",
    ]


def test_lines_about_a_task_of_unknown_size() -> None:
    clock, stream = Clock(), io.StringIO()
    lines = Lines(stream, clock)
    lines.start("t", "reading")
    clock.now = 10.0
    lines.advance("t", 2048)
    assert stream.getvalue().splitlines() == ["reading", "reading: 2.0 KiB, 204 B/s"]


def test_unknown_tasks_are_ignored_and_messages_stay_on_one_line() -> None:
    stream = io.StringIO()
    lines = Lines(stream)
    lines.advance("nothing", 5)
    lines.finish("nothing")
    lines.message("a\nb")
    assert stream.getvalue() == "a\\nb\n"


def test_lines_from_many_threads_do_not_mix() -> None:
    stream = io.StringIO()
    lines = Lines(stream)

    def work(name: str) -> None:
        for number in range(50):
            lines.start(f"{name}{number}", "x" * 60)
            lines.advance(f"{name}{number}", 1)
            lines.finish(f"{name}{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written = stream.getvalue().splitlines()
    assert len(written) == 400
    assert all(line.startswith("x" * 60) for line in written)


def test_bars_come_and_go_with_their_tasks() -> None:
    stream = Terminal()
    bars = Bars(stream)
    bars.start("a", "streaming [weights]", 100)
    bars.start("b", "other", None)
    bars.advance("a", 50)
    bars.advance("unknown", 1)
    bars.message("done \x1b with a")
    bars.finish("a")
    bars.finish("b")
    bars.finish("b")
    bars.start("a", "again", 10)
    bars.finish("a")
    shown = stream.getvalue()
    assert "[weights]" in shown
    assert "done \\x1b with a" in shown
