from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import timedelta

import pytest
from git_folder import FakeClock, GitFolder

from registry_tool.domain.recorded import LEASE_REF
from registry_tool.errors import LeaseLost, RepositoryProblem
from registry_tool.repository import holder as holders
from registry_tool.repository import lease as leases
from registry_tool.repository.holder import LeaseNote, host_id
from registry_tool.repository.lease import Lease
from registry_tool.repository.refs import RefUpdate
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import ObjectBatch

HOLD = """
    import sys, time
    from pathlib import Path
    from registry_tool.repository.lease import Lease
    from registry_tool.repository.repository import Repository
    lease = Lease.acquire(Repository.open(Path(sys.argv[1])), ttl=3600, holder="the other one")
    print("held", flush=True)
    time.sleep(600)
"""


def _put(repository: Repository, content: bytes) -> str:
    batch = ObjectBatch(repository.object_format)
    oid = batch.add("blob", content)
    batch.write(repository.command)
    repository.move_refs([RefUpdate(repository.ref(LEASE_REF), oid, LEASE_REF)])
    return oid


def _start_holder(folder: GitFolder) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD), str(folder.path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lease_is_taken_and_given_back(repository: Repository, clock: FakeClock) -> None:
    with Lease.acquire(repository, clock=clock, ttl=60, holder="me") as lease:
        assert repository.ref(LEASE_REF) == lease.oid
        note = LeaseNote.parse(repository.reader.get(lease.oid).data)
        assert note is not None
        assert (note.holder, note.pid, note.host) == ("me", os.getpid(), host_id())
        assert note.expires_at == clock() + timedelta(seconds=60)
        lease.check()
    assert repository.ref(LEASE_REF) is None
    lease.release()
    with pytest.raises(LeaseLost, match="it was released"):
        lease.check()


def test_a_held_lease_is_waited_for_and_then_refused(
    repository: Repository, clock: FakeClock
) -> None:
    told: list[str] = []
    with Lease.acquire(repository, clock=clock, ttl=60, holder="the first"):
        with pytest.raises(RepositoryProblem, match="another reconciler is at work") as caught:
            Lease.acquire(repository, clock=clock, wait=0.5, on_wait=told.append)
        assert caught.value.code == "RT606"
        assert caught.value.transient
        assert "the first" in caught.value.message
        assert "2026-01-02 03:05:05 UTC" in caught.value.message
    assert told == [
        "Waiting for the lease of the first (until 2026-01-02 03:05:05 UTC unless renewed)"
    ]


def test_waiting_ends_when_the_lease_is_given_back(repository: Repository) -> None:
    first = Lease.acquire(repository)
    threading.Timer(0.3, first.release).start()
    with Lease.acquire(repository, wait=30) as second:
        assert repository.ref(LEASE_REF) == second.oid


def test_an_expired_lease_is_taken_over(repository: Repository, clock: FakeClock) -> None:
    late = Lease.acquire(repository, clock=clock, ttl=60)
    clock.pass_seconds(59.9)
    with pytest.raises(RepositoryProblem):
        Lease.acquire(repository, clock=clock)
    clock.pass_seconds(0.1)
    with Lease.acquire(repository, clock=clock, holder="the next") as lease:
        lease.check()
        with pytest.raises(LeaseLost, match="the next has taken it"):
            late.check()
        with pytest.raises(LeaseLost):
            late.renew()
        late.release()
        assert repository.ref(LEASE_REF) == lease.oid


def test_an_expired_lease_that_nobody_took_is_renewed_by_the_check(
    repository: Repository, clock: FakeClock
) -> None:
    with Lease.acquire(repository, clock=clock, ttl=60) as lease:
        clock.pass_seconds(1000)
        lease.check()
        assert lease.expires_at == clock() + timedelta(seconds=60)


def test_a_lease_removed_by_hand_is_lost(repository: Repository, folder: GitFolder) -> None:
    with Lease.acquire(repository) as lease:
        folder.git("update-ref", "-d", LEASE_REF)
        with pytest.raises(LeaseLost, match="it is gone"):
            lease.check()


def test_a_renewal_whose_answer_was_lost_is_adopted(repository: Repository) -> None:
    with Lease.acquire(repository) as lease:
        note = lease.draft()
        oid = _put(repository, note.to_bytes())
        lease.check()
        assert lease.oid == oid
        _put(repository, note.until(note.expires_at + timedelta(seconds=1)).to_bytes())
        lease.renew()
        assert repository.ref(LEASE_REF) == lease.oid


def test_the_lease_is_renewed_in_the_background(repository: Repository) -> None:
    with Lease.acquire(repository, ttl=0.3) as lease:
        first = lease.oid
        deadline = time.monotonic() + 20
        while lease.oid == first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert lease.oid != first
        lease.check()
    assert repository.ref(LEASE_REF) is None


def test_a_killed_holder_of_this_machine_is_replaced_at_once(
    folder: GitFolder, repository: Repository
) -> None:
    process = _start_holder(folder)
    with process:
        with pytest.raises(RepositoryProblem, match="the other one"):
            Lease.acquire(repository)
        process.kill()
        deadline = time.monotonic() + 20
        # Not waited for yet: a process without a parent's attention is dead all the same.
        while time.monotonic() < deadline:
            if holders.process_start(process.pid) is None:
                break
            time.sleep(0.01)
        with Lease.acquire(repository, holder="me") as lease:
            lease.check()


def test_a_paused_holder_is_alive(folder: GitFolder, repository: Repository) -> None:
    process = _start_holder(folder)
    with process:
        os.kill(process.pid, signal.SIGSTOP)
        with pytest.raises(RepositoryProblem, match="the other one"):
            Lease.acquire(repository)
        process.kill()


def test_a_number_used_by_another_process_since_is_a_dead_holder(
    repository: Repository, clock: FakeClock
) -> None:
    note = LeaseNote.for_this_process("gone", clock() + timedelta(hours=1))
    assert not note.is_dead()
    reused = LeaseNote.parse(note.to_bytes().replace(note.started.encode(), b"1"))
    assert reused is not None
    assert reused.is_dead()
    _put(repository, reused.to_bytes())
    with Lease.acquire(repository, clock=clock) as lease:
        lease.check()


def test_a_holder_of_another_machine_is_never_taken_for_dead(
    repository: Repository, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = LeaseNote.for_this_process("elsewhere", clock() + timedelta(hours=1))
    monkeypatch.setattr(holders, "process_start", lambda *_: None)
    assert note.is_dead()
    monkeypatch.setattr(holders, "host_id", lambda: "another boot/pid:[1]")
    assert not note.is_dead()
    monkeypatch.setattr(holders, "host_id", lambda: "")
    assert not LeaseNote.for_this_process("unknown", clock()).is_dead()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"format_version": 2, "expires_at": "2026-01-01"}']
)
def test_a_lease_of_an_unknown_form_is_respected(repository: Repository, content: bytes) -> None:
    _put(repository, content)
    with pytest.raises(RepositoryProblem, match="does not know") as caught:
        Lease.acquire(repository)
    assert caught.value.code == "RT606"
    assert "update-ref -d refs/registry-tool/lease" in (caught.value.help or "")


def test_only_one_of_many_gets_a_free_lease(folder: GitFolder) -> None:
    taken: list[Lease] = []
    refused: list[RepositoryProblem] = []

    def take() -> None:
        repository = Repository.open(folder.path)
        try:
            taken.append(Lease.acquire(repository))
        except RepositoryProblem as problem:
            refused.append(problem)
        finally:
            repository.close()

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 1
    assert len(refused) == 7
    taken[0].release()
    taken[0]._repository.close()


def test_effects_of_a_lost_lease_are_refused_from_the_renewal_on(
    repository: Repository, folder: GitFolder, caplog: pytest.LogCaptureFixture
) -> None:
    with Lease.acquire(repository, ttl=0.2) as lease:
        # Another machine's clock runs ahead, so it takes over too early.
        note = LeaseNote.for_this_process("fast clock", leases.utc_now() + timedelta(hours=1))
        with lease.held():
            _put(repository, note.to_bytes())
        lease._thread.join(20)
        assert not lease._thread.is_alive()
        with pytest.raises(LeaseLost, match="fast clock has taken it"):
            lease.check()
    assert "fast clock" in caplog.text
    assert repository.ref(LEASE_REF) is not None
