"""Checks of a large registry in several processes: each gets some of the models.

A model with its releases, locks and deployments is a group that no rule looks across, as
`reconcile.incremental` has it. So a part of a registry is a registry, and is given to the same
checks. Where something was found that may depend on more than its part, everything is checked once
more in one piece: that costs time only where something is wrong.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from registry_tool.domain.desired import Desired
from registry_tool.domain.diagnostics import Finding
from registry_tool.manifests.batch import can_fork
from registry_tool.manifests.loading import Loaded
from registry_tool.planning.checking import check
from registry_tool.reconcile.forking import Failed, in_forks
from registry_tool.reconcile.incremental.reach import is_far_reaching, is_too_much

K = TypeVar("K")
V = TypeVar("V")

WORTH_PROCESSES = 1000
"""Releases below which starting processes costs more than it saves."""
_SHARED = ("registry/", "template/", "environment/")
"""What every part has: the first one tells what is wrong with it."""


def check_in_parts(loaded: Loaded, base: Loaded | None, jobs: int) -> list[Finding]:
    """What `check` finds, whatever `jobs` is."""
    desired = loaded.desired
    if desired is None:
        return []
    if jobs > 1 and len(desired.releases) >= WORTH_PROCESSES and can_fork():
        found = _in_parts(desired, loaded, base, jobs)
        if found is not None:
            return found
    return check(desired, base.desired if base is not None else None, loaded.paths, loaded.held)


def _in_parts(
    desired: Desired, loaded: Loaded, base: Loaded | None, jobs: int
) -> list[Finding] | None:
    """The findings of all parts, or None when one check of everything may find others."""
    states = [loaded, base] if base is not None else [loaded]
    for state in states:
        state.bring_in()

    def seal() -> None:
        for state in states:
            state.shelf.seal()

    before = base.desired if base is not None else None
    place = _places([desired, before] if before is not None else [desired], jobs)
    mine = _divided(desired, place, jobs)
    theirs = _divided(before, place, jobs) if before is not None else [None] * jobs

    def work(part: int) -> Callable[[], list[Finding]]:
        return lambda: check(mine[part], theirs[part], loaded.paths, loaded.held)

    try:
        found = in_forks([work(part) for part in range(jobs)], seal)
    except Failed:
        return None
    joined = [*found[0], *(one for part in found[1:] for one in part if not _is_shared(one))]
    return None if is_far_reaching(joined) or is_too_much(joined) else joined


def _places(states: Sequence[Desired], jobs: int) -> Mapping[str, int]:
    """The part of each model. Deployments share environments, and so they are all in the first one."""
    models = {
        key.model for state in states for keys in (state.releases, state.locks) for key in keys
    }
    models |= {name for state in states for name in state.models}
    places = {model: zlib.crc32(model.encode()) % jobs for model in models}
    deployments = (one for state in states for one in state.deployments.values())
    return places | {one.manifest.spec.model: 0 for one in deployments}


def _is_shared(finding: Finding) -> bool:
    return finding.subject is None or finding.subject.startswith(_SHARED)


def _divided(desired: Desired, place: Mapping[str, int], parts: int) -> list[Desired]:
    """Registries with some of the models each, and all that is shared."""
    deployments = desired.deployments
    models = _split(desired.models, place.__getitem__, parts)
    releases = _split(desired.releases, lambda key: place[key.model], parts)
    locks = _split(desired.locks, lambda key: place[key.model], parts)
    deployed = _split(deployments, lambda key: place[deployments[key].manifest.spec.model], parts)
    return [
        replace(desired, models=one, releases=two, locks=three, deployments=four)
        for one, two, three, four in zip(models, releases, locks, deployed, strict=True)
    ]


def _split(whole: Mapping[K, V], place: Callable[[K], int], parts: int) -> list[Mapping[K, V]]:
    keys: list[dict[K, None]] = [{} for _ in range(parts)]
    for key in whole:
        keys[place(key)][key] = None
    return [_Some(whole, some) for some in keys]


class _Some(Mapping[K, V]):
    """Some entries of a mapping, which may be lazy."""

    def __init__(self, whole: Mapping[K, V], keys: Mapping[K, None]) -> None:
        self._whole = whole
        self._keys = keys

    def __getitem__(self, key: K) -> V:
        if key not in self._keys:
            raise KeyError(key)
        return self._whole[key]

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[K]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
