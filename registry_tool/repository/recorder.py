"""The recorder: what happened becomes immutable files, in commits that move refs by compare-and-swap."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from registry_tool.domain.recorded import LEASE_REF
from registry_tool.domain.revisions import Revision
from registry_tool.errors import RepositoryProblem
from registry_tool.failpoints import reach
from registry_tool.repository.derivation import Appended, Derivation, Derived, PendingRecord
from registry_tool.repository.holder import LeaseNote
from registry_tool.repository.lease import Clock, Lease, utc_now
from registry_tool.repository.refs import RefsMoved, RefUpdate
from registry_tool.repository.remote import Remote
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import ObjectBatch

__all__ = ["Appended", "PendingRecord", "Recorder"]

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.5


@dataclass(frozen=True, slots=True)
class _Renewal:
    """What the lease becomes in the same transaction."""

    oid: str
    note: LeaseNote
    update: RefUpdate


class Recorder:
    """Appends records and rendered branches, here or in a remote. Threads may share it."""

    def __init__(
        self,
        repository: Repository,
        lease: Lease | None,
        *,
        remote: str | None = None,
        clock: Clock = utc_now,
        retry_for: float = 30.0,
    ) -> None:
        """With a lease, everything is refused once another has it; `retry_for` is in seconds."""
        self._repository = repository
        self._lease = lease
        self._remote = Remote(repository, remote) if remote else None
        self._clock = clock
        self._retry_for = retry_for

    def append(
        self,
        records: Sequence[PendingRecord],
        branches: Mapping[str, Mapping[str, bytes]],
        *,
        revision: Revision,
        build_keys: Sequence[str] = (),
    ) -> Appended:
        """Record all in one commit, and set deploy branches to exactly the given files.

        All refs and the lease move together or not at all. When somebody else was faster, the
        commits are derived again from the new tips. Raises LeaseLost, or RepositoryProblem when the
        remote refuses or it takes too long.
        """
        if not records and not branches:
            return Appended(None)
        derive = Derivation(self._repository, records, branches, revision, build_keys, self._now())
        deadline = time.monotonic() + self._retry_for
        pause = _FIRST_PAUSE
        while True:
            try:
                return self._attempt(derive)
            except RefsMoved as problem:
                if time.monotonic() > deadline:
                    raise RepositoryProblem(
                        f"the records could not be written in {self._retry_for:g} s: {problem}",
                        code="RT605",
                        transient=True,
                        help=problem.help or "run the command again",
                    ) from problem
            # A random pause, so that several writers do not collide again.
            time.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
            pause = min(pause * 2, _LONGEST_PAUSE)
            if self._remote is not None:
                self._remote.fetch()

    def _now(self) -> int:
        return int(self._clock().timestamp())

    def _attempt(self, derive: Derivation) -> Appended:
        with self._lease.held() if self._lease else nullcontext():
            batch = ObjectBatch(self._repository.object_format)
            renewal = self._renewal(batch)
            derived = derive.on_current_tips(batch)
            if not derived.updates:
                return derived.result
            updates = [*derived.updates, *([renewal.update] if renewal else [])]
            reach("record-objects-written")
            try:
                self._move(updates)
            except RefsMoved:
                if self._lease is not None:
                    self._lease.confirm()
                raise
            except RepositoryProblem as problem:
                # The answer may have been lost on the way back, with everything done.
                if not problem.transient or not self._has_landed(derived):
                    raise
                if self._lease is not None:
                    self._lease.confirm()
            else:
                if self._lease is not None and renewal is not None:
                    self._lease.renewed(renewal.oid, renewal.note)
            reach("recorded")
            return derived.result

    def _renewal(self, batch: ObjectBatch) -> _Renewal | None:
        if self._lease is None:
            return None
        note = self._lease.draft()
        oid = batch.add("blob", note.to_bytes())
        return _Renewal(oid, note, RefUpdate(self._lease.oid, oid, LEASE_REF))

    def _move(self, updates: Sequence[RefUpdate]) -> None:
        if self._remote is None:
            self._repository.move_refs(updates, lambda: reach("record-ref-prepared"))
            return
        reach("record-ref-prepared")
        self._remote.push(updates)
        reach("pushed")

    def _has_landed(self, derived: Derived) -> bool:
        if self._remote is None:
            return False
        self._remote.fetch()
        for update in derived.updates:
            tip = self._repository.ref(update.ref)
            if tip is None or update.new is None:
                return False
            if not self._repository.is_ancestor(update.new, tip):
                return False
        return True
