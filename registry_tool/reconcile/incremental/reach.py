"""How far a change reaches, and when that is too far to look at a part only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from registry_tool.domain.diagnostics import Diagnostic, Finding
from registry_tool.manifests.files import sort_out
from registry_tool.manifests.source import REGULAR_MODES
from registry_tool.planning.checks.context import SUGGESTIONS
from registry_tool.reconcile.incremental.grouping import (
    ENVIRONMENTS,
    EVERYONE,
    EXCLUSIVE,
    is_everyones,
)
from registry_tool.reconcile.incremental.memory import Rows
from registry_tool.repository.differences import FileChange

MOST_FILES = 5000
"""Beyond this many files in affected groups, everything is done anew."""
_MOST_DIAGNOSTICS = 1000
"""Beyond this many nothing is remembered."""
_MOST_UNKNOWN = SUGGESTIONS // 2
"""Only so many references that lead nowhere: checks limit for how many they suggest a name."""
_UNKNOWN = frozenset(("RT210", "RT211", "RT212", "RT214"))
_FAR_REACHING = frozenset(("RT214", "RT307"))
"""What these say depends on all models, or on all releases."""


class Unlimited(Exception):
    """A change might reach further than its groups."""


def is_far_reaching(diagnostics: Sequence[Diagnostic | Finding]) -> bool:
    """Whether one of them depends on more than its group."""
    return any(one.code in _FAR_REACHING for one in diagnostics)


def is_too_much(diagnostics: Sequence[Diagnostic | Finding]) -> bool:
    """Whether there are more of them than are worth remembering."""
    unknown = sum(one.code in _UNKNOWN for one in diagnostics)
    return len(diagnostics) > _MOST_DIAGNOSTICS or unknown > _MOST_UNKNOWN


def require_limited(changes: Sequence[FileChange]) -> None:
    """Raise Unlimited when a path or a mode alone says that everything may be affected."""
    if len(changes) > MOST_FILES:
        raise Unlimited
    for change in changes:
        sides = [entry for entry in (change.before, change.after) if entry is not None]
        if is_everyones(change.path) or any(one.mode not in REGULAR_MODES for one in sides):
            raise Unlimited


def closure(rows: Rows, groups: set[str]) -> set[str]:
    """The groups with all that share an environment that changed, a port or a name."""
    if EVERYONE in groups:
        raise Unlimited
    affected = set(groups)
    affected |= rows.claimants([one for one in groups if one.startswith(ENVIRONMENTS)])
    pending = affected
    while pending:
        found = rows.claimants(rows.exclusive_to(pending))
        pending = found - affected
        affected |= found
    return affected


def exclusive(keys: Iterable[str]) -> set[str]:
    """Those of the claims that only one deployment can have."""
    return {key for key in keys if key.startswith(EXCLUSIVE)}


def growth(changes: Sequence[FileChange]) -> int:
    """By how many the number of manifest files has grown."""
    before = [change.before for change in changes if change.before is not None]
    after = [change.after for change in changes if change.after is not None]
    return len(sort_out(after).manifests) - len(sort_out(before).manifests)
