"""What is found in parts is what is found in one piece."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence

import pytest
import random_registry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_registry import Chance

from registry_tool.manifests.loading import Loaded, load
from registry_tool.manifests.source import DictSource
from registry_tool.planning.checking import check
from registry_tool.reconcile import parts
from registry_tool.reconcile.forking import Failed

FORKED = """
from registry_tool.reconcile.forking import Failed, in_forks
prepared = []
here = lambda: ("here", list(prepared))
there = lambda: ("there", list(prepared))
print(in_forks([here, there, there], lambda: prepared.append(1)))
try:
    in_forks([here, lambda: 1 / 0], lambda: None)
except Failed:
    print("failed")
"""


def in_turn(tasks: Sequence[Callable[[], object]], prepare: Callable[[], None]) -> list[object]:
    """As `in_forks`, in this process, where nothing may be read any more either."""
    prepare()
    return [task() for task in tasks]


def some_state(rng: Chance) -> Loaded:
    files = random_registry.some_files(rng)
    return load(DictSource({path: text.encode() for path, text in files.items()}))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), wild=st.booleans(), jobs=st.integers(2, 4))
def test_parts_find_what_one_check_finds(seed: int, wild: bool, jobs: int) -> None:
    rng = Chance(seed, wild=wild)
    base = some_state(rng) if rng.random() < 0.8 else None
    state = some_state(rng)
    if state.desired is None:
        return
    before = base.desired if base is not None else None
    everything = check(state.desired, before, state.paths, state.held)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "WORTH_PROCESSES", 0)
        patch.setattr(parts, "can_fork", lambda: True)
        patch.setattr(parts, "in_forks", in_turn)
        found = parts.check_in_parts(state, base, jobs)
    assert sorted(found, key=repr) == sorted(everything, key=repr)


def test_a_part_that_fails_is_checked_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[object]:
        raise Failed

    state = some_state(Chance(1, wild=True))
    assert state.desired is not None
    monkeypatch.setattr(parts, "WORTH_PROCESSES", 0)
    monkeypatch.setattr(parts, "can_fork", lambda: True)
    monkeypatch.setattr(parts, "in_forks", fail)
    assert parts.check_in_parts(state, None, 2) == check(
        state.desired, None, state.paths, state.held
    )


def test_forked_processes_give_their_results_in_order() -> None:
    # A process of its own: the one that runs tests may have threads.
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "[('here', []), ('there', [1]), ('there', [1])]",
        "failed",
    ]
