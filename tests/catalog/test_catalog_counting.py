"""Sets of items, fields that are counted, and what a process keeps of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from registry_tool.catalog import id_sets
from registry_tool.catalog.field_index import FieldIndex
from registry_tool.catalog.memory import Kept

_IDS = st.sets(st.integers(1, 3000), max_size=60)


@given(_IDS)
def test_sets_survive_being_stored(ids: set[int]) -> None:
    bits = id_sets.of(ids)
    for data in (id_sets.encode(bits), b"D" + bits.to_bytes(400, "little")):
        assert id_sets.decode(data) == bits
        assert list(id_sets.numbers(data)) == sorted(ids)
    assert list(id_sets.members(bits)) == sorted(ids)


@given(st.dictionaries(st.text(max_size=3), _IDS.filter(bool), max_size=8), _IDS)
def test_values_are_counted_in_any_selection(field: dict[str, set[int]], chosen: set[int]) -> None:
    rows = [(value, len(ids), id_sets.encode(id_sets.of(ids))) for value, ids in field.items()]
    bits = id_sets.of(chosen)
    wanted = {value: len(ids & chosen) for value, ids in field.items() if ids & chosen}
    # A larger registry has the same values in the form for rare ones.
    for size in (3001, 1_000_000):
        index = FieldIndex(rows, size)
        assert dict(index.counts(bits, size)) == wanted
        assert dict(index.totals) == {value: len(ids) for value, ids in field.items()}


def test_what_was_used_last_is_kept_within_bounds() -> None:
    made: list[str] = []

    def make(text: str) -> str:
        made.append(text)
        return text

    kept: Kept[str, str] = Kept(10, len)
    for text in ("aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"):
        assert kept.get(text, lambda text=text: make(text)) == text
    assert made == ["aaaa", "bbbb", "cccc", "bbbb"]
    too_large = "x" * 11
    assert kept.get(too_large, lambda: too_large) == too_large
