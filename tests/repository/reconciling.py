"""What a reconciler does: look at what is recorded, do what is missing, record it. Killed by tests."""

from __future__ import annotations

import sys
from pathlib import Path

from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.repository.lease import Lease
from registry_tool.repository.recorder import PendingRecord, Recorder
from registry_tool.repository.remote import fetch
from registry_tool.repository.repository import Repository

KEY = "0123456789ab" + "c" * 52


def reconcile(path: Path, remote: str | None = None) -> None:
    with (
        Repository.open(path) as repository,
        Lease.acquire(repository, remote=remote, ttl=3600) as lease,
    ):
        if remote:
            fetch(repository, remote)
        recorder = Recorder(repository, lease, remote=remote)
        for number in range(2):
            tip = repository.ref(RECORDS_BRANCH)
            folder = f"builds/minilm/1.0.{number}/none"
            done = tip is not None and bool(repository.tree(tip, [folder]))
            record = PendingRecord(folder, KEY, b"sequence: %d\n".__mod__)
            files = {f"{number}.yaml": b"services: {}\n"}
            recorder.append(
                [] if done else [record],
                {f"deploy/env-{number}": files},
                revision=repository.revision(),
            )


if __name__ == "__main__":
    reconcile(Path(sys.argv[1]), *sys.argv[2:])
