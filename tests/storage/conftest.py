from __future__ import annotations

import pytest

from registry_tool.storage import retrying


@pytest.fixture(autouse=True)
def _short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once; how many there are stays as it is."""
    monkeypatch.setattr(retrying, "DELAYS", (0.01, 0.02, 0.05))
