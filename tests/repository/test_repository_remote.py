from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from git_folder import FakeClock, GitFolder

from registry_tool.domain.recorded import LEASE_REF, RECORDS_BRANCH
from registry_tool.errors import LeaseLost, RepositoryProblem, UsageProblem
from registry_tool.repository.command import Finished
from registry_tool.repository.lease import Lease
from registry_tool.repository.recorder import PendingRecord, Recorder
from registry_tool.repository.refs import RefsMoved, RefUpdate
from registry_tool.repository.remote import Fetched, Remote, _refuse, fetch
from registry_tool.repository.repository import Repository

Open = Callable[[GitFolder | Path], Repository]
KEY = "0123456789ab" + "c" * 52
BUILDS = "builds/minilm/1.0.0/none"


def _record(folder: str = BUILDS) -> PendingRecord:
    return PendingRecord(folder, KEY, b"sequence: %d\n".__mod__)


@dataclass
class Setup:
    origin: GitFolder
    one: GitFolder
    two: GitFolder


@pytest.fixture
def setup(folder: GitFolder) -> Setup:
    """A bare origin and two clones of it."""
    origin = folder.clone("origin.git", "--bare")
    return Setup(origin, origin.clone("one"), origin.clone("two"))


def _hook(place: GitFolder, name: str, script: str) -> None:
    hook = place.path / "hooks" / name
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n" + script)
    hook.chmod(0o755)


def test_an_unknown_remote_lists_those_there_are(setup: Setup, open_repository: Open) -> None:
    repository = open_repository(setup.one)
    for name in ("upstream", "--upload-pack=x", str(setup.origin.path), "ext::sh -c true"):
        with pytest.raises(UsageProblem, match="there is no remote") as caught:
            fetch(repository, name)
        assert caught.value.help == "the remotes are: origin"


def test_a_fetch_brings_what_is_there(setup: Setup, open_repository: Open) -> None:
    main = setup.origin.git("rev-parse", "main")
    repository = open_repository(setup.one)
    assert fetch(repository, "origin") == Fetched(main, None, {})
    other = open_repository(setup.two)
    appended = Recorder(other, None, remote="origin").append(
        [_record()], {"deploy/staging": {"a": b"a"}}, revision=other.revision()
    )
    setup.two.write("manifests/new.yaml")
    new = setup.two.commit("New")
    setup.two.git("push", "--quiet")
    fetched = fetch(repository, "origin")
    assert fetched == Fetched(new, appended.oid, dict(appended.branches))
    assert repository.ref(RECORDS_BRANCH) == appended.oid
    assert repository.blob_at(new, "manifests/new.yaml") is not None
    # The user's own branch and remote-tracking branches are theirs.
    assert repository.revision().oid == main
    assert setup.one.git("rev-parse", "origin/main") == main
    assert fetch(repository, "origin", "nowhere").branch is None


def test_an_idle_fetch_is_one_look_at_the_remote(
    setup: Setup, open_repository: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = open_repository(setup.one)
    remote = Remote(repository, "origin")
    remote.fetch("main")
    calls: list[str] = []
    run = repository.command.run_as_operator

    def counting(*arguments: str, **options: object) -> Finished:
        calls.append(arguments[0])
        return run(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(repository.command, "run_as_operator", counting)
    remote.fetch("main")
    assert calls == ["ls-remote"]


def test_records_are_pushed_and_local_refs_follow(setup: Setup, open_repository: Open) -> None:
    repository = open_repository(setup.one)
    with Lease.acquire(repository, remote="origin") as lease:
        assert setup.origin.git("rev-parse", LEASE_REF) == lease.oid
        assert repository.ref(LEASE_REF) is None
        appended = Recorder(repository, lease, remote="origin").append(
            [_record()], {"deploy/staging": {"a": b"a"}}, revision=repository.revision()
        )
        assert setup.origin.git("rev-parse", LEASE_REF) == lease.oid
    assert setup.origin.git("for-each-ref", LEASE_REF) == ""
    for place in (setup.origin, setup.one):
        assert place.git("rev-parse", "registry-records") == appended.oid
        assert {"deploy/staging": place.git("rev-parse", "deploy/staging")} == appended.branches


def test_a_rival_push_is_built_upon(setup: Setup, open_repository: Open) -> None:
    one, two = open_repository(setup.one), open_repository(setup.two)
    rival = Recorder(two, None, remote="origin")
    asked: list[int] = []

    def content(sequence: int) -> bytes:
        if not asked:
            rival.append([_record()], {"deploy/a": {"a": b"two"}}, revision=two.revision())
        asked.append(sequence)
        return b"one\n"

    appended = Recorder(one, None, remote="origin").append(
        [PendingRecord(BUILDS, KEY, content)],
        {"deploy/a": {"a": b"one"}},
        revision=one.revision(),
    )
    assert asked == [1, 2]
    assert appended.sequences == (2,)
    assert setup.origin.git("rev-list", "--count", "registry-records") == "2"
    assert setup.origin.git("rev-list", "--count", "deploy/a") == "2"
    assert setup.origin.git("show", "deploy/a:a") == "one"


def test_records_that_only_this_clone_has_are_pushed_with_the_next(
    setup: Setup, open_repository: Open
) -> None:
    repository = open_repository(setup.one)
    Recorder(repository, None).append([_record()], {}, revision=repository.revision())
    assert fetch(repository, "origin").records == repository.ref(RECORDS_BRANCH)
    Recorder(repository, None, remote="origin").append(
        [_record()], {}, revision=repository.revision()
    )
    assert setup.origin.git("rev-list", "--count", "registry-records") == "2"


def test_records_that_went_apart_are_a_clear_problem(setup: Setup, open_repository: Open) -> None:
    one, two = open_repository(setup.one), open_repository(setup.two)
    Recorder(one, None).append([_record("requests")], {}, revision=one.revision())
    Recorder(two, None, remote="origin").append([_record()], {}, revision=two.revision())
    with pytest.raises(RepositoryProblem, match="have both moved") as caught:
        fetch(one, "origin")
    assert "git branch -m registry-records registry-records-local" in (caught.value.help or "")
    setup.one.git("branch", "-m", "registry-records", "registry-records-local")
    assert fetch(one, "origin").records == two.ref(RECORDS_BRANCH)


def test_a_push_the_server_refuses_says_why(setup: Setup, open_repository: Open) -> None:
    _hook(setup.origin, "pre-receive", "echo 'only the robot may do this' >&2\nexit 1\n")
    repository = open_repository(setup.one)
    with pytest.raises(RepositoryProblem, match="only the robot may do this") as caught:
        Recorder(repository, None, remote="origin").append(
            [_record()], {}, revision=repository.revision()
        )
    assert caught.value.code == "RT607"
    assert not caught.value.transient
    assert repository.ref(RECORDS_BRANCH) is None


def test_one_refused_ref_holds_back_all(setup: Setup, open_repository: Open) -> None:
    _hook(setup.origin, "update", 'case "$1" in */deploy/*) echo not you >&2; exit 1;; esac\n')
    repository = open_repository(setup.one)
    with (
        Lease.acquire(repository, remote="origin") as lease,
        pytest.raises(RepositoryProblem, match="not you") as caught,
    ):
        Recorder(repository, lease, remote="origin").append(
            [_record()], {"deploy/staging": {"a": b"a"}}, revision=repository.revision()
        )
    assert caught.value.code == "RT607"
    assert setup.origin.git("for-each-ref", "refs/heads/").count("\n") == 0


def test_a_remote_without_atomic_pushes_is_refused(setup: Setup, open_repository: Open) -> None:
    setup.origin.git("config", "receive.advertiseAtomic", "false")
    repository = open_repository(setup.one)
    with pytest.raises(RepositoryProblem, match="does not accept atomic pushes") as caught:
        Recorder(repository, None, remote="origin").append(
            [_record()], {}, revision=repository.revision()
        )
    assert caught.value.code == "RT607"


def test_secrets_in_urls_are_not_shown(setup: Setup, open_repository: Open) -> None:
    repository = open_repository(setup.one)
    setup.one.git("remote", "set-url", "origin", "http://robot:hunter2@127.0.0.1:9/x.git")
    with pytest.raises(RepositoryProblem, match=r"cannot be reached") as caught:
        fetch(repository, "origin")
    assert caught.value.transient
    assert "hunter2" not in str(caught.value.message) + str(caught.value.help)
    assert "robot" not in caught.value.message


def test_a_remote_that_is_gone_is_a_clear_problem(setup: Setup, open_repository: Open) -> None:
    repository = open_repository(setup.one)
    setup.origin.path.rename(setup.origin.path.with_name("elsewhere"))
    with pytest.raises(RepositoryProblem) as caught:
        fetch(repository, "origin")
    assert caught.value.code in {"RT601", "RT605"}


def test_the_operators_push_hooks_and_settings_do_not_disturb(
    setup: Setup, open_repository: Open
) -> None:
    hook = setup.one.path / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    setup.one.git("tag", "-a", "-m", "one", "v1")
    setup.one.git("config", "push.followTags", "true")
    setup.one.git("config", "push.default", "matching")
    setup.one.git("config", "fetch.prune", "true")
    repository = open_repository(setup.one)
    Recorder(repository, None, remote="origin").append(
        [_record()], {}, revision=repository.revision()
    )
    refs = setup.origin.git("for-each-ref", "--format=%(refname)").splitlines()
    assert refs == ["refs/heads/main", RECORDS_BRANCH]


def test_an_answer_that_was_lost_is_not_recorded_twice(
    setup: Setup, open_repository: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = open_repository(setup.one)
    push = Remote.push
    lost: list[bool] = []

    def unlucky(remote: Remote, updates: list[RefUpdate]) -> None:
        push(remote, updates)
        if not lost and len(updates) > 1:
            lost.append(True)
            raise RepositoryProblem("the remote end hung up", transient=True)

    monkeypatch.setattr(Remote, "push", unlucky)
    with Lease.acquire(repository, remote="origin") as lease:
        recorder = Recorder(repository, lease, remote="origin")
        first = recorder.append([_record()], {}, revision=repository.revision())
        assert lost
        second = recorder.append([_record()], {}, revision=repository.revision())
    assert (first.sequences, second.sequences) == ((1,), (2,))
    assert setup.origin.git("rev-list", "--count", "registry-records") == "2"


def test_a_lease_is_held_for_all_clones(
    setup: Setup, open_repository: Open, clock: FakeClock
) -> None:
    one, two = open_repository(setup.one), open_repository(setup.two)
    with Lease.acquire(one, remote="origin", clock=clock, ttl=60, holder="clone one"):
        with pytest.raises(RepositoryProblem, match="clone one") as caught:
            Lease.acquire(two, remote="origin", clock=clock)
        assert caught.value.code == "RT606"
    with Lease.acquire(two, remote="origin", clock=clock) as lease:
        lease.renew()
        lease.check()


def test_a_paused_holders_late_record_is_refused_by_the_remote(
    setup: Setup, open_repository: Open, clock: FakeClock
) -> None:
    one, two = open_repository(setup.one), open_repository(setup.two)
    late = Lease.acquire(one, remote="origin", clock=clock, ttl=60, holder="the late one")
    recorder = Recorder(one, late, remote="origin", clock=clock)
    recorder.append([_record()], {}, revision=one.revision())
    clock.pass_seconds(61)
    with Lease.acquire(two, remote="origin", clock=clock, holder="the new one") as lease:
        # Only the lease has moved, so the records alone could still be pushed.
        before = setup.origin.git("for-each-ref")
        with pytest.raises(LeaseLost, match="the new one has taken it"):
            recorder.append([_record()], {"deploy/x": {"a": b"a"}}, revision=one.revision())
        assert setup.origin.git("for-each-ref") == before
        Recorder(two, lease, remote="origin", clock=clock).append(
            [_record()], {}, revision=two.revision()
        )
    assert setup.origin.git("rev-list", "--count", "registry-records") == "2"
    late.release()


def test_several_clones_and_a_person_push_at_once(setup: Setup) -> None:
    count = 4
    clones = [setup.one, setup.two, setup.origin.clone("three"), setup.origin.clone("four")]
    problems: list[BaseException] = []

    def record(place: GitFolder, name: int) -> None:
        try:
            with Repository.open(place.path) as repository:
                recorder = Recorder(repository, None, remote="origin", retry_for=120)
                for _ in range(count):
                    recorder.append(
                        [_record(), _record(f"deployments/e/w{name}")],
                        {},
                        revision=repository.revision(),
                    )
        except BaseException as problem:
            problems.append(problem)

    person = setup.origin.clone("person")
    commits = []
    threads = [
        threading.Thread(target=record, args=(place, name)) for name, place in enumerate(clones)
    ]
    for thread in threads:
        thread.start()
    for number in range(6):
        person.write("README.md", f"{number}\n")
        commits.append(person.commit(f"By hand {number}"))
        person.git("push", "--quiet", "origin", "main")
    for thread in threads:
        thread.join()
    assert problems == []
    listed = setup.origin.git("ls-tree", "-r", "--name-only", "registry-records").splitlines()
    numbers = [int(path.rpartition("/")[2][:6]) for path in listed if path.startswith(BUILDS)]
    assert numbers == list(range(1, 4 * count + 1))
    assert len(listed) == 8 * count
    assert setup.origin.git("rev-parse", "main") == commits[-1]
    history = setup.origin.git("rev-list", "main").splitlines()
    assert set(commits) <= set(history)


@pytest.mark.parametrize(
    "reason",
    [
        "[rejected] (fetch first)",
        "[rejected] (non-fast-forward)",
        "[rejected] (stale info)",
        "[rejected] (atomic push failed)",
        "[remote rejected] (atomic transaction failed)",
        "[remote rejected] (cannot lock ref 'refs/heads/registry-records': is at 1 but expected 2)",
        "[remote rejected] (failed to update ref)",
        "[remote rejected] (incorrect old value provided)",
        "[remote rejected] (reference already exists)",
        "[remote rejected] (failed to lock refs/heads/registry-records)",
        "[rejected] (remote ref updated since checkout)",
    ],
)
def test_refusals_that_mean_somebody_was_faster(reason: str) -> None:
    answer = f"To x\n!\taaa:refs/heads/registry-records\t{reason}\nDone\n"
    with pytest.raises(RefsMoved):
        _refuse(Finished(1, answer.encode(), ""))


@pytest.mark.parametrize(
    "reason",
    [
        "[remote rejected] (pre-receive hook declined)",
        "[remote rejected] (hook declined)",
        "[remote rejected] (protected branch hook declined)",
        "[remote rejected] (permission denied)",
        "[remote rejected] (deny updating a hidden ref)",
        "[remote rejected] (GH006: Protected branch update failed)",
    ],
)
def test_refusals_that_need_a_person(reason: str) -> None:
    answer = (
        f"To x\n!\taaa:refs/heads/registry-records\t{reason}\n"
        "!\tbbb:refs/registry-tool/lease\t[remote rejected] (atomic push failed)\n"
    )
    with pytest.raises(RepositoryProblem) as caught:
        _refuse(Finished(1, answer.encode(), "remote: ask https://me:pw@example.org for access"))
    assert caught.value.code == "RT607"
    assert "https://***@example.org" in caught.value.message


@pytest.mark.parametrize(
    ("said", "code", "transient"),
    [
        ("git@example.org: Permission denied (publickey).", "RT607", False),
        ("fatal: Authentication failed for 'https://example.org/x'", "RT607", False),
        ("fatal: could not read Username for 'https://example.org'", "RT607", False),
        ("ssh: Could not resolve hostname example.org", "RT605", True),
        ("ssh: connect to host x port 22: Connection timed out", "RT605", True),
        ("error: RPC failed; HTTP 502 curl 22", "RT605", True),
        ("fatal: the remote end hung up unexpectedly", "RT605", True),
        ("fatal: something nobody has seen", "RT605", False),
    ],
)
def test_a_push_without_an_answer(said: str, code: str, transient: bool) -> None:
    with pytest.raises(RepositoryProblem) as caught:
        _refuse(Finished(128, b"", said))
    assert (caught.value.code, caught.value.transient) == (code, transient)
