"""Records for a corpus: everything that can be built is built, as in a registry that is at rest."""

from __future__ import annotations

import subprocess
from pathlib import Path

from registry_tool.domain.recorded import RECORDS_BRANCH, Recorded, builds_folder, record_file_name
from registry_tool.manifests.writing import to_yaml
from registry_tool.planning.planner import plan
from registry_tool.planning.simulating import recorded_after
from registry_tool.reconcile.states import read_desired_at
from registry_tool.repository.repository import Repository


def settle(root: Path) -> int:
    """Record a succeeded build of every release of HEAD; returns their number."""
    with Repository.open(root) as repository:
        head = repository.resolve("HEAD")
        desired = read_desired_at(repository, head).require_valid("the corpus")
        nothing = Recorded()
        after = recorded_after(desired, nothing, plan(desired, nothing, head=head))
    script = bytearray(f"commit {RECORDS_BRANCH}\n".encode())
    script += b"committer bench <bench@example.com> 0 +0000\ndata 6\nRecord\n"
    for release, builds in after.builds.items():
        for entry in builds:
            name = record_file_name(entry.sequence, entry.record.spec.key)
            data = to_yaml(entry.record)
            head_line = f"M 100644 inline {builds_folder(release)}/{name}\ndata {len(data)}\n"
            script += head_line.encode() + data + b"\n"
    subprocess.run(
        ["git", "-C", str(root), "fast-import", "--quiet"], input=bytes(script), check=True
    )
    return len(after.builds)
