"""What the address of a list page asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastapi import HTTPException, Request
from pydantic import TypeAdapter, ValidationError

from registry_tool.catalog.listing import KINDS, Range
from registry_tool.domain.quantities import ParameterCount
from registry_tool.web.pages.list_specs import ListSpec

_COUNT: TypeAdapter[int] = TypeAdapter(ParameterCount)


@dataclass(frozen=True)
class Asked:
    """What the address of a list page says, checked."""

    spec: ListSpec
    q: str = ""
    sort: str = ""
    cursor: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: Mapping[str, str] = field(default_factory=dict)
    """As the visitor wrote them: ``parameter_count_min`` → ``7B``."""

    def query(self) -> dict[str, str | Sequence[str]]:
        """As an address has it."""
        return {"q": self.q, **self.filters, **self.bounds, "sort": self.sort}

    def toggled(self, name: str, value: str) -> Asked:
        """With a value that was not chosen, or without one that was."""
        before = self.filters.get(name, ())
        after = tuple(entry for entry in before if entry != value)
        chosen = after if value in before else (*before, value)
        return replace(self, filters={**self.filters, name: chosen})

    def unbounded(self, name: str) -> Asked:
        """Without one end of a range."""
        return replace(self, bounds={key: text for key, text in self.bounds.items() if key != name})

    @property
    def order(self) -> str:
        """How the catalog is asked to sort; empty for its own order."""
        return self.sort or self._unless_searching(self.spec.default_sort)

    @property
    def shown_order(self) -> str:
        """The column that the items follow, as people see it; empty for the best matches first."""
        return self.order or self._unless_searching(KINDS[self.spec.kind].default_sort[0])

    def _unless_searching(self, sort: str) -> str:
        # With words to look for, the best match comes first.
        return "" if self.q else sort

    def ranges(self) -> dict[str, Range]:
        """The bounds as numbers. Raises HTTPException 422."""
        found = {}
        for entry in self.spec.ranges:
            low, high = (_number(self.bounds.get(f"{entry.name}_{end}")) for end in ("min", "max"))
            if low is not None or high is not None:
                found[entry.name] = Range(low, high)
        return found


def asked_for(request: Request, spec: ListSpec) -> Asked:
    """What a request's address says."""
    given = request.query_params
    filters = {
        facet.name: tuple(dict.fromkeys(given.getlist(facet.name)))
        for facet in spec.facets
        if facet.name in given
    }
    bounds = {
        name: given[name].strip()
        for entry in spec.ranges
        for name in (f"{entry.name}_min", f"{entry.name}_max")
        if given.get(name, "").strip()
    }
    return Asked(
        spec,
        q=given.get("q", "").strip()[:200],
        sort=given.get("sort", "")[:50],
        cursor=given.get("cursor", "")[:2000],
        filters=filters,
        bounds=bounds,
    )


def _number(text: str | None) -> float | None:
    """A bound as people write it: ``7B``, ``350M`` or an integer."""
    if text is None:
        return None
    try:
        return _COUNT.validate_python(int(text) if text.isdecimal() else text.upper())
    except ValidationError as problem:
        raise HTTPException(
            422, f'"{text}" is not a number such as 7B, 350M or 22700000'
        ) from problem
