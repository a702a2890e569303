"""Pending records, committed together: one commit at most once a second, and one at the end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from registry_tool.domain.revisions import Revision
from registry_tool.reconcile.effects import Effects
from registry_tool.repository.lease import Lease
from registry_tool.repository.recorder import PendingRecord, Recorder

INTERVAL = timedelta(seconds=1)


class Recording:
    """Collects what happened and writes it through the recorder. Used from one thread."""

    def __init__(
        self, effects: Effects, lease: Lease, revision: Revision, remote: str | None
    ) -> None:
        self._now = effects.now
        self._recorder = Recorder(effects.repository, lease, remote=remote)
        self._revision = revision
        self._pending: list[PendingRecord] = []
        self._build_keys: list[str] = []
        self._last: datetime | None = None
        self.tip: str | None = None
        """The records commit after the last flush that wrote one."""
        self.branches: list[str] = []
        """Rendered branches that moved."""

    def add(self, record: PendingRecord, build_key: str | None = None) -> None:
        """Keep a record until the next flush, which comes at once when the last one was long enough ago."""
        self._pending.append(record)
        if build_key is not None:
            self._build_keys.append(build_key)
        if self._last is not None and self._now() - self._last >= INTERVAL:
            self.flush()
        elif self._last is None:
            self._last = self._now()

    def flush(self, branches: Mapping[str, Mapping[str, bytes]] | None = None) -> None:
        """Write everything that is pending, and rendered branches, in one transaction.

        Raises LeaseLost when another reconciler took over, RepositoryProblem when Git or the remote refuses.
        """
        if not self._pending and not branches:
            return
        appended = self._recorder.append(
            self._pending, branches or {}, revision=self._revision, build_keys=self._build_keys
        )
        self._pending, self._build_keys, self._last = [], [], self._now()
        self.tip = appended.oid or self.tip
        self.branches += [name for name in appended.branches if name not in self.branches]
