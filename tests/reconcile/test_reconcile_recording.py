"""Many results, few commits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from applied_folder import Applied

from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.oci.layout import LayoutStore
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.recording import Recording
from registry_tool.repository.lease import Lease
from registry_tool.repository.recorder import PendingRecord
from registry_tool.repository.repository import Repository
from registry_tool.storage.storage import Storage

RESULTS, SECONDS = 200, 10


def test_two_hundred_results_in_ten_seconds_make_ten_commits(applied: Applied) -> None:
    start = now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    with Repository.open(applied.path) as repository, Lease.acquire(repository) as lease:
        effects = Effects(
            repository=repository,
            open_store=lambda _: LayoutStore(applied.path / "store"),
            open_storage=Storage,
            builders={},
            acquire_lease=lambda: lease,
            now=lambda: now,
        )
        recording = Recording(effects, lease, repository.revision(), None)
        for number in range(RESULTS):
            now = start + timedelta(seconds=SECONDS * number / RESULTS)
            folder = f"builds/model-{number % 7}/1.0.0/none"
            recording.add(PendingRecord(folder, "ab" * 32, b"sequence: %d\n".__mod__))
        recording.flush()
        assert len(repository.tree(RECORDS_BRANCH)) == RESULTS
        assert len(list(repository.commits(RECORDS_BRANCH))) <= SECONDS
