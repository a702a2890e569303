"""The last observation, kept beside the caches for those who only read. Losing it loses nothing."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from registry_tool.domain.observed import Observed

_FILE = "observed.json"


def keep_observed(state_dir: Path, observed: Observed) -> None:
    """Replace what was kept; where nothing can be written, nothing is kept."""
    with suppress(OSError):
        with tempfile.NamedTemporaryFile(dir=state_dir, delete=False) as file:
            file.write(observed.model_dump_json().encode())
        Path(file.name).replace(state_dir / _FILE)


def forget_observed(state_dir: Path) -> None:
    """Keep nothing."""
    with suppress(OSError):
        (state_dir / _FILE).unlink(missing_ok=True)


def read_observed(state_dir: Path) -> Observed | None:
    """What was kept, or None."""
    try:
        return Observed.model_validate_json((state_dir / _FILE).read_bytes())
    except (OSError, ValidationError):
        # Never looked at, or kept by another version.
        return None
