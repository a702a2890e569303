"""The lease: at most one reconciler acts, and a late one is refused."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from registry_tool.domain.recorded import LEASE_REF
from registry_tool.errors import LeaseLost, RegistryToolError, RepositoryProblem
from registry_tool.failpoints import reach
from registry_tool.repository.holder import LeaseNote, default_holder
from registry_tool.repository.refs import RefsMoved, RefUpdate
from registry_tool.repository.remote import Remote
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import ObjectBatch

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
"""Gives the present time with its zone."""

DEFAULT_TTL = 60.0
_LOCAL_POLL = 0.2
_REMOTE_POLL = 2.0


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)


class _Place(Protocol):
    """Where a lease ref lives."""

    def read_lease(self) -> tuple[str, bytes] | None:
        """Oid and content of the lease."""

    def swap_lease(self, old: str | None, new: str | None) -> None:
        """Move the ref from one oid to another (None: absent); raises RefsMoved."""


class _LocalPlace:
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def read_lease(self) -> tuple[str, bytes] | None:
        oid = self._repository.ref(LEASE_REF)
        return None if oid is None else (oid, self._repository.reader.get(oid).data)

    def swap_lease(self, old: str | None, new: str | None) -> None:
        self._repository.move_refs([RefUpdate(old, new, LEASE_REF)])


class Lease:
    """Held from `acquire` to `release` and renewed by a thread. Use it as a context manager."""

    def __init__(
        self,
        repository: Repository,
        place: _Place,
        note: LeaseNote,
        oid: str,
        *,
        ttl: float,
        clock: Clock,
    ) -> None:
        self._repository = repository
        self._place = place
        self._note = note
        self._oid = oid
        self._ttl = ttl
        self._clock = clock
        self._lost: str | None = None
        self._mutex = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(
        cls,
        repository: Repository,
        *,
        remote: str | None = None,
        ttl: float = DEFAULT_TTL,
        wait: float = 0.0,
        clock: Clock = utc_now,
        holder: str | None = None,
        on_wait: Callable[[str], None] | None = None,
    ) -> Self:
        """Take the lease, here or in a remote; `ttl` and `wait` are in seconds.

        A lease that has expired, or whose holder ran on this machine and died, is taken over.
        Otherwise `on_wait` is told whom this waits for, and after `wait` seconds RepositoryProblem
        (RT606) is raised.
        """
        place: _Place = Remote(repository, remote) if remote else _LocalPlace(repository)
        note = LeaseNote.for_this_process(holder or default_holder(), clock())
        deadline = time.monotonic() + wait
        told: str | None = None
        while True:
            found = place.read_lease()
            current = LeaseNote.parse(found[1]) if found else None
            if found is None or (current and (current.expires_at <= clock() or current.is_dead())):
                note = note.until(clock() + timedelta(seconds=ttl))
                try:
                    new = _write(repository, note)
                    place.swap_lease(found[0] if found else None, new)
                except RefsMoved:
                    # Somebody else was faster; the next look tells who.
                    _log.debug("the lease moved while it was being taken")
                else:
                    reach("lease-acquired")
                    return cls(repository, place, note, new, ttl=ttl, clock=clock)
            elif on_wait is not None and told != (told := current.nonce if current else ""):
                on_wait(_waiting(current))
            left = deadline - time.monotonic()
            if left <= 0 and found is not None:
                raise _held(current)
            time.sleep(max(0.01, min(left, _REMOTE_POLL if remote else _LOCAL_POLL)))

    @property
    def oid(self) -> str:
        """The blob that the lease ref is expected to be at."""
        return self._oid

    @property
    def expires_at(self) -> datetime:
        """When others may take the lease, unless it is renewed."""
        return self._note.expires_at

    def check(self) -> None:
        """Return only while the lease is held: call it before an effect. Raises LeaseLost.

        A process that was paused past its expiry renews first, and learns whether another one has
        taken over. The remote is asked only then.
        """
        with self._mutex:
            self._raise_if_lost()
            if self._clock() >= self._note.expires_at:
                self.renew()
            elif isinstance(self._place, _LocalPlace):
                self.confirm()

    def renew(self) -> None:
        """Move the expiry `ttl` seconds from now. Raises LeaseLost."""
        with self._mutex:
            self._raise_if_lost()
            note = self.draft()
            new = _write(self._repository, note)
            try:
                self._place.swap_lease(self._oid, new)
            except RefsMoved:
                self.confirm()
                self._place.swap_lease(self._oid, new)
            self.renewed(new, note)

    def release(self) -> None:
        """Give the lease back, if it still is held. It can be called more than once."""
        self._ended.set()
        with self._mutex:
            if self._lost is None:
                self._lost = "it was released"
                try:
                    self._place.swap_lease(self._oid, None)
                except RefsMoved as problem:
                    _log.debug("the lease is another's already: %s", problem)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # --- for the recorder, whose transactions renew the lease as well ---

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the renewing thread away while a transaction uses `oid`."""
        with self._mutex:
            self._raise_if_lost()
            yield

    def draft(self) -> LeaseNote:
        """The note of the next renewal."""
        return self._note.until(self._clock() + timedelta(seconds=self._ttl))

    def renewed(self, oid: str, note: LeaseNote) -> None:
        """A transaction has moved the lease ref to `oid`, which holds `note`."""
        self._oid, self._note = oid, note

    def confirm(self) -> None:
        """Read the ref, and adopt an own renewal whose answer was lost.

        Raises LeaseLost when it is another's.
        """
        with self._mutex:
            self._raise_if_lost()
            found = self._place.read_lease()
            current = LeaseNote.parse(found[1]) if found else None
            if found is None or current is None or current.nonce != self._note.nonce:
                self._lost = f"{current.holder} has taken it" if current else "it is gone"
                self._raise_if_lost()
            elif found[0] != self._oid:
                self.renewed(found[0], current)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.release()
        except RepositoryProblem as refusal:
            # It ends by itself, and what was done under it stays done.
            _log.warning("the lease could not be given back and will expire: %s", refusal)

    def _raise_if_lost(self) -> None:
        if self._lost is not None:
            raise LeaseLost(
                f"the lease is not held any more: {self._lost}",
                help="run the command again; what was not recorded is found and recorded then",
            )

    def _keep(self) -> None:
        pause = self._ttl / 3
        while not self._ended.wait(pause):
            try:
                self.renew()
                pause = self._ttl / 3
            except LeaseLost as problem:
                _log.warning("%s", problem)
                return
            except RegistryToolError as problem:
                # Until the expiry there is time to try again; after it, `check` decides.
                _log.warning("the lease was not renewed: %s", problem)
                pause = self._ttl / 12


def _write(repository: Repository, note: LeaseNote) -> str:
    batch = ObjectBatch(repository.object_format)
    oid = batch.add("blob", note.to_bytes())
    batch.write(repository.command)
    return oid


def _waiting(current: LeaseNote | None) -> str:
    who = f"{current.holder} (until {_when(current)} unless renewed)" if current else "another one"
    return f"Waiting for the lease of {who}"


def _held(current: LeaseNote | None) -> RepositoryProblem:
    if current is None:
        return RepositoryProblem(
            f"{LEASE_REF} has content that this version does not know",
            code="RT606",
            help=f"if no reconciler is running: git update-ref -d {LEASE_REF}",
        )
    return RepositoryProblem(
        f"another reconciler is at work: {current.holder}; its lease ends at {_when(current)}",
        code="RT606",
        transient=True,
        help="wait for it; a lease that is not renewed can be taken over after that time",
    )


def _when(note: LeaseNote) -> str:
    return note.expires_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
