from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.domain.recorded import LEASE_REF, RECORDS_BRANCH
from registry_tool.repository.editing import commit_files
from registry_tool.repository.receive import (
    configured_recorders,
    parse_receive_lines,
    pusher,
    refused_updates,
)
from registry_tool.repository.recorder import PendingRecord, Recorder
from registry_tool.repository.refs import RefUpdate
from registry_tool.repository.repository import Repository

KEY = "0123456789ab" + "c" * 52
Make = Callable[[dict[str, bytes | None]], RefUpdate]


def _refused(repository: Repository, *updates: RefUpdate, by: str | None = "ada") -> list[str]:
    return refused_updates(updates, by, ["robot"], repository)


@pytest.fixture
def recorded(repository: Repository) -> str:
    records = [
        PendingRecord(folder, KEY, b"%d\n".__mod__)
        for folder in ("builds/minilm/1.0.0/none", "requests")
    ]
    appended = Recorder(repository, None).append(records, {}, revision=repository.revision())
    assert appended.oid is not None
    return appended.oid


@pytest.fixture
def push(repository: Repository, recorded: str) -> Make:
    """A push that changes files of the records branch."""

    def make(changes: dict[str, bytes | None]) -> RefUpdate:
        repository.command.run("update-ref", "refs/heads/attempt", recorded)
        new = commit_files(repository, changes, "By hand", branch="attempt")
        return RefUpdate(recorded, new, RECORDS_BRANCH)

    return make


def test_the_lines_of_a_receive_hook() -> None:
    one, two, zero = "1" * 40, "2" * 40, "0" * 40
    text = f"{one} {two} refs/heads/main\n{zero} {two} refs/heads/new\n{one} {zero} refs/tags/old\n"
    assert parse_receive_lines(text) == [
        RefUpdate(one, two, "refs/heads/main"),
        RefUpdate(None, two, "refs/heads/new"),
        RefUpdate(one, None, "refs/tags/old"),
    ]
    assert parse_receive_lines("") == []


def test_the_first_variable_that_names_somebody_counts() -> None:
    assert pusher({}) is None
    assert pusher({"REMOTE_USER": "web", "GL_USERNAME": ""}) == "web"
    assert pusher({"REMOTE_USER": "web", "GITEA_PUSHER_NAME": "tea", "GL_USERNAME": "lab"}) == "lab"
    assert pusher({"REMOTE_USER": "web", "REGISTRY_TOOL_PUSHER": "set"}) == "set"


def test_recorders_are_configured(folder: GitFolder, repository: Repository) -> None:
    folder.git("config", "--add", "registry-tool.recorder", "robot")
    folder.git("config", "--add", "registry-tool.recorder", "other robot")
    assert configured_recorders(repository) == ["robot", "other robot"]


@pytest.mark.parametrize(
    "ref", [RECORDS_BRANCH, LEASE_REF, "refs/heads/deploy/staging", "refs/heads/deploy/a/b"]
)
def test_people_do_not_write_what_the_recorder_writes(repository: Repository, ref: str) -> None:
    oid = repository.revision().oid
    for update in (RefUpdate(None, oid, ref), RefUpdate(oid, None, ref), RefUpdate(oid, oid, ref)):
        if update.old == update.new and ref == RECORDS_BRANCH:
            continue
        (reason,) = _refused(repository, update)
        assert reason.startswith(f"{ref}: only the recorder writes here, and ada is not one")
        assert _refused(repository, update, by=None)
        assert _refused(repository, update, by="robot") == []


def test_everything_else_is_not_looked_at(repository: Repository) -> None:
    refs = ("refs/heads/main", "refs/heads/deployments", "refs/tags/v1", "refs/heads/registry")
    updates = [RefUpdate(None, "1" * 40, ref) for ref in refs]
    assert _refused(repository, *updates) == []


def test_every_refused_ref_has_its_reason(repository: Repository) -> None:
    oid = repository.revision().oid
    refs = ("refs/heads/main", LEASE_REF, "refs/heads/deploy/staging")
    reasons = _refused(repository, *(RefUpdate(None, oid, ref) for ref in refs))
    assert [reason.partition(":")[0] for reason in reasons] == list(refs[1:])


def test_everybody_may_append_requests(repository: Repository, push: Make) -> None:
    update = push(
        {f"requests/000002-{KEY[:12]}.yaml": b"x\n", f"requests/000003-{KEY[:12]}.yaml": b"x\n"}
    )
    assert _refused(repository, update) == []
    assert _refused(repository, update, by=None) == []
    assert _refused(repository, RefUpdate(None, update.new, RECORDS_BRANCH))


def test_everybody_may_make_the_first_request(repository: Repository) -> None:
    appended = Recorder(repository, None).append(
        [PendingRecord("requests", KEY, b"%d\n".__mod__)], {}, revision=repository.revision()
    )
    assert _refused(repository, RefUpdate(None, appended.oid, RECORDS_BRANCH)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {f"builds/minilm/1.0.0/none/000002-{KEY[:12]}.yaml": b"x\n"},
        {f"requests/000001-{KEY[:12]}.yaml": b"changed\n"},
        {f"requests/000001-{KEY[:12]}.yaml": None},
        {"requests/README.md": b"x\n"},
        {f"requests/deeper/000002-{KEY[:12]}.yaml": b"x\n"},
        {f"requests/000002-{KEY[:12]}.yaml": b"x\n", "other": b"x\n"},
        {f"000002-{KEY[:12]}.yaml": b"x\n"},
    ],
)
def test_anything_but_new_requests_is_refused(
    repository: Repository, push: Make, changes: dict[str, bytes | None]
) -> None:
    assert _refused(repository, push(changes))


def test_a_request_that_is_a_symlink_is_refused(
    folder: GitFolder, repository: Repository, recorded: str
) -> None:
    folder.git("checkout", "--quiet", "-b", "attempt", recorded)
    (folder.path / f"requests/000002-{KEY[:12]}.yaml").symlink_to("/etc/passwd")
    new = folder.commit("A link")
    assert _refused(repository, RefUpdate(recorded, new, RECORDS_BRANCH))


def test_rewritten_records_are_refused(
    folder: GitFolder, repository: Repository, recorded: str
) -> None:
    tree = repository.tree_of(recorded)
    rewritten = folder.git("commit-tree", tree, "-m", "Same files, no history")
    assert _refused(repository, RefUpdate(recorded, rewritten, RECORDS_BRANCH))
    assert _refused(repository, RefUpdate(recorded, None, RECORDS_BRANCH))


def test_records_that_are_no_commit_are_refused(repository: Repository, recorded: str) -> None:
    tree = repository.tree_of(recorded)
    assert _refused(repository, RefUpdate(recorded, tree, RECORDS_BRANCH))
    assert _refused(repository, RefUpdate(recorded, "1" * 40, RECORDS_BRANCH))


def test_the_rules_hold_in_quarantine_and_write_nothing(folder: GitFolder, tmp_path: Path) -> None:
    """A real push through a real hook that only asks."""
    origin = folder.clone("origin.git", "--bare")
    script = tmp_path / "hook.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from registry_tool.repository.receive import parse_receive_lines, refused_updates\n"
        "from registry_tool.repository.repository import Repository\n"
        "with Repository.open(Path()) as repository:\n"
        "    updates = parse_receive_lines(sys.stdin.read())\n"
        "    for update in updates:\n"
        "        assert repository.snapshot(update.new).entries() is not None\n"
        "    reasons = refused_updates(updates, 'ada', [], repository)\n"
        "print(*reasons, sep='\\n', file=sys.stderr)\n"
        "sys.exit(bool(reasons))\n"
    )
    hook = origin.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec '{sys.executable}' -P '{script}'\n")
    hook.chmod(0o755)
    folder.git("checkout", "--quiet", "--orphan", "registry-records")
    folder.git("rm", "-rfq", ".")
    folder.write(f"requests/000001-{KEY[:12]}.yaml", "x\n")
    good = folder.commit("A request")
    folder.git("push", "--quiet", str(origin.path), "registry-records")
    assert origin.git("rev-parse", "registry-records") == good
    folder.write("builds/x", "x\n")
    folder.commit("Not a request")
    before = set(origin.path.rglob("*"))
    with pytest.raises(AssertionError, match="only the recorder writes here, and ada is not one"):
        folder.git("push", "--quiet", str(origin.path), "registry-records")
    assert origin.git("rev-parse", "registry-records") == good
    assert set(origin.path.rglob("*")) == before
