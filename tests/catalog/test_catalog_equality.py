"""A catalog that was changed step by step holds, row for row, what a new one holds."""

from __future__ import annotations

import pytest
from catalog_histories import History
from conftest import Projected

from registry_tool.errors import InvalidManifests


@pytest.mark.parametrize("seed", range(4))
def test_catalog_changed_step_by_step_equals_a_fresh_one(projected: Projected, seed: int) -> None:
    history = History(projected.folder, seed)
    projected.updater.refresh()
    inode = projected.file.stat().st_ino
    for number in range(24):
        done = history.step()
        projected.updater.refresh()
        try:
            projected.assert_like_fresh(number)
        except AssertionError as problem:
            raise AssertionError(f"step {number}: {done}") from problem
    assert projected.file.stat().st_ino == inode
