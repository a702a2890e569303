"""Named places at which tests kill the process, to prove that every step may be the last.

`REGISTRY_TOOL_FAILPOINT=<name>` makes the process kill itself with SIGKILL when it reaches that place;
`<name>:<n>` on the n-th time (from 1). Without the variable a failpoint costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal

FAILPOINTS = (
    "lease-acquired",
    "build-started",
    "layer-streaming",
    "blob-written",
    "blobs-published",
    "image-tagged",
    "log-published",
    "rendered",
    "deploy-started",
    "container-started",
    "swapped",
    "record-objects-written",
    "record-ref-prepared",
    "recorded",
    "pushed",
)

ENGINE_FAILPOINTS = frozenset(("deploy-started", "container-started", "swapped"))
"""Those that are reached only where something is deployed to an engine."""

_reached: dict[str, int] = {}


def reach(name: str) -> None:
    """Die here when the environment asks for it."""
    wanted = os.environ.get("REGISTRY_TOOL_FAILPOINT")
    if wanted is None:
        return
    asked, _, count = wanted.partition(":")
    if asked != name:
        return
    _reached[name] = _reached.get(name, 0) + 1
    if _reached[name] >= int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
