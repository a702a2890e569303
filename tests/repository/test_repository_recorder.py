from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from git_folder import FakeClock, GitFolder

from registry_tool.domain.recorded import LEASE_REF, RECORDS_BRANCH
from registry_tool.domain.revisions import Revision
from registry_tool.errors import LeaseLost, RepositoryProblem
from registry_tool.repository.editing import commit_files
from registry_tool.repository.lease import Lease
from registry_tool.repository.recorder import Appended, PendingRecord, Recorder
from registry_tool.repository.repository import Repository

Open = Callable[[GitFolder | Path], Repository]
KEY = "0123456789ab" + "c" * 52
BUILDS = "builds/minilm/1.0.0/none"


def _record(folder: str = BUILDS, key: str = KEY) -> PendingRecord:
    return PendingRecord(folder, key, b"sequence: %d\n".__mod__)


def _paths(repository: Repository, ref: str = RECORDS_BRANCH) -> list[str]:
    return [entry.path for entry in repository.tree(ref)]


def test_the_first_record_starts_an_orphan_branch(
    folder: GitFolder, repository: Repository, clock: FakeClock
) -> None:
    revision = repository.revision()
    appended = Recorder(repository, None, clock=clock).append(
        [_record(), _record("deployments/staging/search")],
        {},
        revision=revision,
        build_keys=[KEY, "f" * 64, KEY],
    )
    assert appended.sequences == (1, 1)
    assert appended.branches == {}
    (info,) = repository.commits(RECORDS_BRANCH)
    assert info.oid == appended.oid
    assert info.parents == ()
    assert info.subject == "Record 1 build, 1 deployment"
    assert info.trailers == (
        ("Registry-Revision", str(revision)),
        ("Registry-Build-Key", KEY),
        ("Registry-Build-Key", "f" * 64),
    )
    assert (info.author.name, info.author.email) == ("registry-tool", "registry-tool@localhost")
    assert info.committer == info.author
    assert info.authored_at == info.committed_at == clock()
    assert _paths(repository) == [
        f"{BUILDS}/000001-0123456789ab.yaml",
        "deployments/staging/search/000001-0123456789ab.yaml",
    ]
    assert folder.git("status", "--porcelain") == ""
    assert folder.git("fsck", "--strict", "--no-dangling") == ""


def test_sequences_follow_the_highest_in_each_folder(repository: Repository) -> None:
    recorder = Recorder(repository, None)
    revision = repository.revision()
    other = "builds/minilm/1.0.0/int8"
    assert recorder.append([_record(), _record()], {}, revision=revision).sequences == (1, 2)
    appended = recorder.append(
        [_record(other), _record(), _record(other), _record("requests")], {}, revision=revision
    )
    assert appended.sequences == (1, 3, 2, 1)
    first, second = repository.commits(RECORDS_BRANCH)
    assert first.parents == (second.oid,)
    assert first.subject == "Record 3 builds, 1 request"
    assert repository.blob_at(RECORDS_BRANCH, f"{BUILDS}/000003-0123456789ab.yaml") == (
        b"sequence: 3\n"
    )


def test_a_gap_is_never_filled_and_foreign_files_do_not_count(repository: Repository) -> None:
    recorder = Recorder(repository, None)
    commit_files(
        repository,
        {
            f"{BUILDS}/000041-aaaaaaaaaaaa.yaml": b"x\n",
            f"{BUILDS}/999999-README.yaml": b"x\n",
            f"{BUILDS}/999999-aaaaaaaaaaaa.yaml/inner": b"x\n",
            f"{BUILDS}/notes.txt": b"x\n",
        },
        "By hand",
        branch="registry-records",
    )
    assert recorder.append([_record()], {}, revision=repository.revision()).sequences == (42,)


def test_nothing_to_record_makes_no_commit(repository: Repository) -> None:
    assert Recorder(repository, None).append([], {}, revision=repository.revision()) == Appended(
        None
    )
    assert repository.ref(RECORDS_BRANCH) is None


def test_rendered_branches_move_with_the_records(repository: Repository) -> None:
    recorder = Recorder(repository, None)
    revision = repository.revision()
    files = {"compose.yaml": b"services: {}\n", "sub/file": b"x\n"}
    first = recorder.append([_record()], {"deploy/staging": files}, revision=revision)
    tip = repository.ref("refs/heads/deploy/staging")
    assert first.branches == {"deploy/staging": tip}
    (info,) = repository.commits("deploy/staging")
    assert info.subject == "Render staging"
    assert info.trailer("Registry-Revision") == (str(revision),)
    assert _paths(repository, "deploy/staging") == ["compose.yaml", "sub/file"]

    again = recorder.append([_record()], {"deploy/staging": files}, revision=revision)
    assert again.branches == {}
    assert again.oid is not None
    only = recorder.append(
        [],
        {"deploy/staging": {"compose.yaml": b"services: {a: {}}\n"}, "deploy/production": files},
        revision=revision,
    )
    assert only.oid is None
    assert set(only.branches) == {"deploy/staging", "deploy/production"}
    assert _paths(repository, "deploy/staging") == ["compose.yaml"]
    assert repository.first_parent(only.branches["deploy/staging"]) == tip
    assert repository.ref(RECORDS_BRANCH) == again.oid


def test_unchanged_branches_write_nothing_at_all(folder: GitFolder, repository: Repository) -> None:
    revision = repository.revision()
    with Lease.acquire(repository) as lease:
        recorder = Recorder(repository, lease)
        recorder.append([], {"deploy/a": {"a": b"a"}, "deploy/b": {}}, revision=revision)
        before = {path: path.stat().st_mtime_ns for path in (folder.path / ".git").rglob("*")}
        again = recorder.append([], {"deploy/a": {"a": b"a"}, "deploy/b": {}}, revision=revision)
        after = {path: path.stat().st_mtime_ns for path in (folder.path / ".git").rglob("*")}
    assert again == Appended(None, (), {})
    assert after == before


def test_a_branch_without_files_stays(repository: Repository) -> None:
    recorder = Recorder(repository, None)
    revision = repository.revision()
    recorder.append([], {"deploy/staging": {"a": b"a"}}, revision=revision)
    recorder.append([], {"deploy/staging": {}}, revision=revision)
    assert _paths(repository, "deploy/staging") == []


@pytest.mark.parametrize("name", ["main", "registry-records", "deploy/../main", "deploy/a b"])
def test_only_rendered_branches_can_be_named(repository: Repository, name: str) -> None:
    with pytest.raises(RepositoryProblem):
        Recorder(repository, None).append([], {name: {"a": b"a"}}, revision=repository.revision())


@pytest.mark.parametrize("place", ["elsewhere/x", "../builds", "builds/../x", "builds//x", ""])
def test_only_record_folders_can_be_named(repository: Repository, place: str) -> None:
    with pytest.raises(RepositoryProblem):
        Recorder(repository, None).append([_record(place)], {}, revision=repository.revision())
    assert repository.ref(RECORDS_BRANCH) is None


def test_the_recorders_identity_can_be_set(folder: GitFolder, repository: Repository) -> None:
    folder.git("config", "registry-tool.recorder-name", "Recorder Bot")
    folder.git("config", "registry-tool.recorder-email", "bot@example.org")
    Recorder(repository, None).append([_record()], {}, revision=repository.revision())
    (info,) = repository.commits(RECORDS_BRANCH)
    assert (info.author.name, info.committer.email) == ("Recorder Bot", "bot@example.org")


def test_a_subject_is_short_whatever_the_numbers(repository: Repository) -> None:
    records = [
        _record(folder) for folder in ("builds/a/1.0.0/none", "deployments/a/b", "requests")
    ] * 40
    Recorder(repository, None).append(records, {}, revision=repository.revision())
    (info,) = repository.commits(RECORDS_BRANCH)
    assert info.subject == "Record 40 builds, 40 deployments, 40 requests"


def test_somebody_elses_commit_in_between_is_built_upon(repository: Repository) -> None:
    """The tip moves after the first derivation: the record gets the next number on the new tip."""
    revision = repository.revision()
    rival = Recorder(repository, None)
    asked: list[int] = []

    def content(sequence: int) -> bytes:
        if not asked:
            rival.append([_record()], {}, revision=revision)
        asked.append(sequence)
        return b"mine: %d\n" % sequence

    appended = Recorder(repository, None).append(
        [PendingRecord(BUILDS, KEY, content)], {}, revision=revision
    )
    assert asked == [1, 2]
    assert appended.sequences == (2,)
    assert len(list(repository.commits(RECORDS_BRANCH))) == 2
    assert repository.blob_at(RECORDS_BRANCH, f"{BUILDS}/000002-0123456789ab.yaml") == b"mine: 2\n"


def test_a_tip_that_keeps_moving_ends_in_a_problem(repository: Repository) -> None:
    revision = repository.revision()
    rival = Recorder(repository, None)

    def content(sequence: int) -> bytes:
        rival.append([_record("requests")], {}, revision=revision)
        return b"never\n"

    recorder = Recorder(repository, None, retry_for=0.2)
    with pytest.raises(RepositoryProblem, match="could not be written") as caught:
        recorder.append([PendingRecord(BUILDS, KEY, content)], {}, revision=revision)
    assert caught.value.transient
    assert not any(path.startswith("builds/") for path in _paths(repository))


def test_a_lock_that_was_left_behind_is_explained(
    folder: GitFolder, repository: Repository
) -> None:
    recorder = Recorder(repository, None, retry_for=0.0)
    recorder.append([_record()], {}, revision=repository.revision())
    lock = folder.path / ".git/refs/heads/registry-records.lock"
    lock.touch()
    with pytest.raises(RepositoryProblem, match="left it behind") as caught:
        recorder.append([_record()], {}, revision=repository.revision())
    assert f"rm '{lock}'" in (caught.value.help or "")
    lock.unlink()
    assert recorder.append([_record()], {}, revision=repository.revision()).sequences == (2,)


def test_the_lease_is_renewed_in_the_same_transaction(
    repository: Repository, clock: FakeClock
) -> None:
    with Lease.acquire(repository, clock=clock, ttl=60) as lease:
        clock.pass_seconds(30)
        before = lease.oid
        Recorder(repository, lease, clock=clock).append(
            [_record()], {"deploy/staging": {"a": b"a"}}, revision=repository.revision()
        )
        assert lease.oid != before
        assert repository.ref(LEASE_REF) == lease.oid
        assert (lease.expires_at - clock()).total_seconds() == 60


def test_a_paused_holders_late_record_is_refused(repository: Repository, clock: FakeClock) -> None:
    late = Lease.acquire(repository, clock=clock, ttl=60, holder="the late one")
    recorder = Recorder(repository, late, clock=clock)
    revision = repository.revision()
    recorder.append([_record()], {}, revision=revision)
    clock.pass_seconds(61)
    with Lease.acquire(repository, clock=clock, ttl=60, holder="the new one") as lease:
        Recorder(repository, lease, clock=clock).append([_record()], {}, revision=revision)
        tip = repository.ref(RECORDS_BRANCH)
        with pytest.raises(LeaseLost, match="the new one has taken it"):
            recorder.append([_record()], {"deploy/staging": {"a": b"a"}}, revision=revision)
        assert repository.ref(RECORDS_BRANCH) == tip
        assert repository.ref("refs/heads/deploy/staging") is None
        late.release()
        assert repository.ref(LEASE_REF) == lease.oid
    # Also once nobody holds it any more.
    with pytest.raises(LeaseLost):
        recorder.append([_record()], {}, revision=revision)


def test_requests_of_others_do_not_disturb_the_lease_holder(repository: Repository) -> None:
    revision = repository.revision()
    with Lease.acquire(repository) as lease:
        anybody = Recorder(repository, None)
        holder = Recorder(repository, lease)
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                anybody.append([_record("requests")], {}, revision=revision)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            sequences = [holder.append([_record()], {}, revision=revision) for _ in range(5)]
        finally:
            stop.set()
            thread.join()
        assert [appended.sequences for appended in sequences] == [(n,) for n in range(1, 6)]


def test_threads_share_a_recorder_and_its_lease(repository: Repository) -> None:
    revision = repository.revision()
    with Lease.acquire(repository, ttl=0.5) as lease:
        recorder = Recorder(repository, lease)
        sequences: list[int] = []

        def record() -> None:
            for _ in range(4):
                sequences.extend(recorder.append([_record()], {}, revision=revision).sequences)

        threads = [threading.Thread(target=record) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lease.check()
    assert sorted(sequences) == list(range(1, 17))


def _write_records(path: str, name: int, count: int) -> None:
    with Repository.open(Path(path)) as repository:
        recorder = Recorder(repository, None)
        revision = Revision("main", "0" * 40)
        for number in range(count):
            text = f"writer: {name}, number: {number}\n".encode()
            record = PendingRecord(BUILDS, KEY, lambda *_, text=text: text)
            recorder.append([record, _record(f"deployments/e/w{name}")], {}, revision=revision)


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_eight_writers_at_once_lose_nothing(
    folder: GitFolder, repository: Repository, kind: str
) -> None:
    path, count = str(folder.path), 4
    context = multiprocessing.get_context("spawn")
    start: Callable[..., threading.Thread | multiprocessing.process.BaseProcess]
    start = threading.Thread if kind == "threads" else context.Process
    writers = [start(target=_write_records, args=(path, name, count)) for name in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    files = [
        (entry.path, data.decode())
        for entry in repository.tree(RECORDS_BRANCH, [BUILDS])
        for _, data in repository.read_blobs([entry.oid])
    ]
    expected = {f"writer: {name}, number: {n}\n" for name in range(8) for n in range(count)}
    assert {text for _, text in files} == expected
    assert [int(path.rpartition("/")[2][:6]) for path, _ in files] == [*range(1, len(expected) + 1)]
    assert len(repository.tree(RECORDS_BRANCH)) == 2 * len(expected)
    # Every commit has exactly one parent and adds only: nothing was rewritten.
    commits = list(repository.commits(RECORDS_BRANCH))
    assert len(commits) == len(expected)
    for info in commits:
        assert {change.status for change in repository.changed_paths(None, info.oid)} == {"A"}


def test_a_human_pushes_among_the_writers_and_nobody_is_undone(folder: GitFolder) -> None:
    path, count = str(folder.path), 3
    _write_records(path, 0, 1)
    human = folder.clone("human", "--branch", "registry-records")
    writers = [
        threading.Thread(target=_write_records, args=(path, name, count)) for name in range(1, 5)
    ]
    for writer in writers:
        writer.start()
    pushed = 0
    while pushed < count:
        human.git("pull", "--quiet", "--rebase")
        human.write(f"requests/00000{pushed + 1}-aaaaaaaaaaaa.yaml", "kind: Request\n")
        human.commit("Ask")
        while human.git("push", "--quiet", check=False):
            human.git("pull", "--quiet", "--rebase")
        pushed += 1
    for writer in writers:
        writer.join()
    with Repository.open(folder.path) as repository:
        assert len(repository.tree(RECORDS_BRANCH, [BUILDS])) == 1 + 4 * count
        assert len(repository.tree(RECORDS_BRANCH, ["requests"])) == count
        commits = list(repository.commits(RECORDS_BRANCH))
        assert len(commits) == 1 + 5 * count
        for info in commits:
            assert {change.status for change in repository.changed_paths(None, info.oid)} == {"A"}
