"""A workshop whose storage is filled."""

from __future__ import annotations

from pathlib import Path

import pytest
from native_orders import Workshop


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path)
    made.fill()
    return made
