from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_tool.domain.live import LIVE_FOLDER, LiveBuild, LiveRun, LiveTask, active_builds
from registry_tool.domain.plan import Action, Plan
from registry_tool.domain.progress import Silent
from registry_tool.reconcile.effects import Effects, utc_now
from registry_tool.reconcile.live import FOREIGN_LIFE, LOG_LINES, LiveReport, read_live
from registry_tool.reconcile.outcomes import ActionOutcome, Outcome

if TYPE_CHECKING:
    from conftest import Applied

ONE = "release/minilm/1.0.0/none"
TWO = "release/minilm/1.0.1/none"


class FakeBuilder:
    """Runs a function in the place of a build."""

    name = "native"
    version = 1

    def __init__(self, during: Callable[[Any], None]) -> None:
        self._during = during

    def build(self, order: Any, store: Any, storage: Any, progress: Any, check: Any) -> None:
        self._during(progress)


class Order:
    class release:
        subject = ONE


def action(subject: str) -> Action:
    return Action(kind="build", subject=subject, change="create", reason="new", key="a" * 64)


def build(report: LiveReport, during: Callable[[Any], None]) -> None:
    nothing: Any = None
    builders: Any = {"native": FakeBuilder(during)}
    watched = report.watch(Effects(nothing, nothing, nothing, builders, nothing))
    order: Any = Order()
    watched.builders["native"].build(order, nothing, nothing, Silent(), lambda: None)


def only_run(folder: Path) -> LiveRun:
    (run,) = read_live(folder, utc_now())
    return run


def test_planned_builds_wait_then_run_then_end(tmp_path: Path) -> None:
    seen: list[LiveBuild] = []

    def during(progress: Any) -> None:
        progress.start("weights", "Publishing weights", 100)
        progress.advance("weights", 40)
        progress.message("password=hunter2 and a line")
        seen.extend(only_run(tmp_path).builds)
        progress.finish("weights")

    with LiveReport(tmp_path, utc_now) as report:
        assert read_live(tmp_path, utc_now()) == ()
        report.planned(Plan.of("c" * 40, None, [action(ONE), action(TWO)], []))
        assert [entry.state for entry in only_run(tmp_path).builds] == ["queued", "queued"]
        build(report, during)
        running, queued = seen
        assert (running.state, queued.state) == ("running", "queued")
        assert running.tasks == (LiveTask(description="Publishing weights", done=40, total=100),)
        assert running.tasks[0].percent == 40
        assert running.log == ("password=[redacted] and a line",)
        assert only_run(tmp_path).builds[0].tasks == ()
        report.ended(ActionOutcome(action(ONE), Outcome.CREATED, "in 0.1 s"))
        run = only_run(tmp_path)
        assert (run.builds[0].outcome, run.builds[0].detail) == ("created", "in 0.1 s")
        assert [entry.subject for entry in active_builds((run,))] == [TWO]
    assert read_live(tmp_path, utc_now()) == ()
    assert list((tmp_path / LIVE_FOLDER).iterdir()) == []


def test_a_run_without_builds_writes_nothing(tmp_path: Path) -> None:
    with LiveReport(tmp_path, utc_now) as report:
        report.planned(Plan.of("c" * 40, None, [], []))
    assert list(tmp_path.iterdir()) == []


def test_the_log_keeps_its_end(tmp_path: Path) -> None:
    def during(progress: Any) -> None:
        for number in range(LOG_LINES + 5):
            progress.message(f"line {number}")

    with LiveReport(tmp_path, utc_now) as report:
        report.planned(Plan.of("c" * 40, None, [action(ONE)], []))
        build(report, during)
        log = only_run(tmp_path).builds[0].log
    assert (len(log), log[0], log[-1]) == (LOG_LINES, "line 5", f"line {LOG_LINES + 4}")


def written(folder: Path, **changes: Any) -> LiveRun:
    """A file as another process would have left it."""
    with LiveReport(folder, utc_now) as report:
        report.planned(Plan.of("c" * 40, None, [action(ONE)], []))
        run = only_run(folder).model_copy(update=changes)
    (folder / LIVE_FOLDER / f"{run.pid}.json").write_text(run.model_dump_json())
    return run


def test_a_dead_process_is_not_live_and_its_file_goes(tmp_path: Path) -> None:
    written(tmp_path, pid=2**22 + 1)
    assert read_live(tmp_path, utc_now()) == ()
    with LiveReport(tmp_path, utc_now) as report:
        report.planned(Plan.of("c" * 40, None, [action(TWO)], []))
        assert len(list((tmp_path / LIVE_FOLDER).iterdir())) == 1


def test_a_process_number_that_was_given_again_is_not_live(tmp_path: Path) -> None:
    written(tmp_path, started="1")
    assert read_live(tmp_path, utc_now()) == ()


def test_another_machines_run_counts_for_a_while(tmp_path: Path) -> None:
    run = written(tmp_path, host="elsewhere")
    assert read_live(tmp_path, run.updated_at) == (run,)
    assert read_live(tmp_path, run.updated_at + FOREIGN_LIFE + timedelta(seconds=1)) == ()


def test_a_half_written_file_is_not_live(tmp_path: Path) -> None:
    (tmp_path / LIVE_FOLDER).mkdir()
    (tmp_path / LIVE_FOLDER / "7.json").write_text('{"format_version": 1, "ho')
    assert read_live(tmp_path, utc_now()) == ()


def test_a_disk_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / LIVE_FOLDER).write_text("a file is in the way")
    with LiveReport(tmp_path, utc_now) as report:
        report.planned(Plan.of("c" * 40, None, [action(ONE)], []))


def test_apply_tells_what_it_builds_and_leaves_nothing(applied: Applied, monkeypatch: Any) -> None:
    state = applied.path / ".git" / "registry-tool"
    seen: list[LiveRun] = []
    tell = LiveReport.line

    def line(report: LiveReport, subject: str, text: str) -> None:
        tell(report, subject, text)
        seen.extend(read_live(state, utc_now()))

    started = LiveReport.began

    def began(report: LiveReport, subject: str) -> None:
        started(report, subject)
        seen.extend(read_live(state, utc_now()))

    monkeypatch.setattr(LiveReport, "line", line)
    monkeypatch.setattr(LiveReport, "began", began)
    applied.tool("apply")
    assert seen[0].head == applied.git("rev-parse", "HEAD")
    assert [entry.subject for entry in seen[0].builds] == [ONE, TWO]
    assert {entry.state for entry in seen[0].builds} == {"running", "queued"}
    assert read_live(state, utc_now()) == ()


def test_a_killed_apply_is_not_live(applied: Applied) -> None:
    applied.kill_at("blob-written")
    state = applied.path / ".git" / "registry-tool"
    assert list((state / LIVE_FOLDER).glob("*.json"))
    assert read_live(state, utc_now()) == ()
    applied.tool("apply")
    assert list((state / LIVE_FOLDER).iterdir()) == []
