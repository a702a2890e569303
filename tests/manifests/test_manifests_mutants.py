"""Many manifests with one mistake each: every error is at its place. `python -m benchmarks.mutations` does far more."""

from __future__ import annotations

from manifests_mutants import Mutant, mutants

from registry_tool.manifests.validating import Invalid, read_manifest

COUNT = 1500
SEED = 20260


def is_told(mutant: Mutant) -> bool:
    """Whether the mistake is shown where it is, or is none."""
    result = read_manifest("manifests/x.yaml", mutant.data)
    if isinstance(result, Invalid):
        return any(mutant.is_at(entry.span.line, entry.span.column) for entry in result.diagnostics)
    return mutant.may_be_valid


def test_mistakes_are_shown_where_they_are() -> None:
    known = [mutant for mutant in mutants(SEED, COUNT) if mutant.place is not None]
    assert len({mutant.name for mutant in known}) > 20
    assert [mutant for mutant in known if not is_told(mutant)] == []
