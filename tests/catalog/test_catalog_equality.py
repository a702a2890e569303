"""A catalog that was changed step by step holds, row for row, what a new one holds."""

from __future__ import annotations

import pytest
from catalog_histories import History
from projected import Projected


@pytest.mark.parametrize("seed", range(5))
def test_catalog_changed_step_by_step_equals_a_fresh_one(projected: Projected, seed: int) -> None:
    history = History(projected.folder, seed)
    projected.updater.refresh()
    first = projected.file
    seen: set[str] = set()
    for number in range(24):
        done = history.step()
        with projected.shown() as catalog:
            about = catalog.about()
            assert about.pair.manifests == projected.newest_acceptable(), f"step {number}: {done}"
            seen |= {kind for kind, count in about.counts.items() if count}
            seen |= {"refused"} if about.refused else set()
            seen |= {"invalid"} if about.invalid else set()
        try:
            projected.assert_like_fresh(number)
        except AssertionError as problem:
            raise AssertionError(f"step {number}: {done}") from problem
    assert projected.file == first, "it was made anew on the way"
    assert seen >= {"builds", "deployment-records", "artifacts", "invalid", "refused"}
