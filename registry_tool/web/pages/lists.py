"""List pages: the query in an address, and the links that change one part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fastapi import HTTPException, Request
from pydantic import TypeAdapter, ValidationError

from registry_tool.catalog.listing import KINDS, FacetValue, ListQuery, Page, Range
from registry_tool.domain.quantities import ParameterCount
from registry_tool.errors import BadQuery
from registry_tool.web.pages.items import Item, parse
from registry_tool.web.pages.links import Links
from registry_tool.web.pages.visits import Visit
from registry_tool.web.text import human_count

PAGE_SIZE = 50
_SHOWN_VALUES = 12
_COUNT: TypeAdapter[int] = TypeAdapter(ParameterCount)


@dataclass(frozen=True)
class FacetSpec:
    """A facet of a list page."""

    name: str
    label: str
    text: Callable[[str], str] = str
    """A value for people."""


@dataclass(frozen=True)
class RangeSpec:
    """A number that a list page can bound."""

    name: str
    label: str
    placeholder: tuple[str, str] = ("from", "to")


@dataclass(frozen=True)
class ListSpec:
    """How a list page presents one kind."""

    kind: str
    path: str
    sorts: tuple[str, ...] = ()
    """Columns whose heading sorts."""
    descending: frozenset[str] = frozenset()
    """Those whose first click shows the largest first."""
    facets: tuple[FacetSpec, ...] = ()
    ranges: tuple[RangeSpec, ...] = ()
    default_sort: str = ""
    """Instead of the kind's own."""
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Filters that the page itself sets, such as the model of a page about it."""
    page_size: int = PAGE_SIZE


@dataclass(frozen=True)
class Choice:
    """One value of a facet."""

    id: str
    text: str
    count: int
    href: str
    chosen: bool


@dataclass(frozen=True)
class Facet:
    """A facet with its values: the most frequent, and those that are chosen."""

    label: str
    choices: tuple[Choice, ...]
    more: tuple[Choice, ...]
    """Rarer values, folded away."""
    bound: Bound | None = None
    """For numbers: a range that the visitor can set."""


@dataclass(frozen=True)
class Bound:
    """A range, as the visitor wrote it."""

    name: str
    low: str
    high: str
    placeholder: tuple[str, str]


@dataclass(frozen=True)
class Column:
    """A heading that sorts."""

    href: str
    direction: str
    """``ascending``, ``descending`` or empty."""


@dataclass(frozen=True)
class Chosen:
    """A filter in force, and the page without it."""

    text: str
    href: str


@dataclass(frozen=True)
class ListPage:
    """What a list template shows."""

    items: tuple[Item, ...]
    total: int
    q: str
    path: str
    facets: tuple[Facet, ...]
    columns: Mapping[str, Column]
    chosen: tuple[Chosen, ...]
    clear: str
    """The page without any filter."""
    hidden: tuple[tuple[str, str], ...]
    """What a form on the page has to send along."""
    next: str | None
    first: str | None
    """The beginning of the list; None there."""

    @property
    def narrowed(self) -> bool:
        """Whether the visitor asked for a part of the list."""
        return bool(self.q or self.chosen)


@dataclass(frozen=True)
class _Asked:
    """What the address of a list page says, checked."""

    q: str = ""
    sort: str = ""
    cursor: str = ""
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: Mapping[str, str] = field(default_factory=dict)
    """As the visitor wrote them: ``parameter_count_min`` → ``7B``."""

    def query(self) -> dict[str, str | Sequence[str]]:
        """As an address has it."""
        return {"q": self.q, **self.filters, **self.bounds, "sort": self.sort}


def list_page(visit: Visit, spec: ListSpec) -> ListPage:
    """The part of a list that the address of a page asks for. Raises HTTPException 422."""
    links = visit.links
    asked = _asked(visit.request, spec)
    try:
        page = visit.catalog.page(
            ListQuery(
                spec.kind,
                filters={**asked.filters, **spec.fixed},
                ranges=_ranges(spec, asked),
                q=asked.q,
                sort=(sort,) if (sort := asked.sort or _default_sort(spec, asked)) else (),
                cursor=asked.cursor or None,
                limit=spec.page_size,
                facets=tuple(facet.name for facet in spec.facets),
            )
        )
    except BadQuery as problem:
        raise HTTPException(422, problem.message) from problem

    def to(changed: _Asked, cursor: str | None = None) -> str:
        return links.of(spec.path, {**changed.query(), "cursor": cursor})

    return ListPage(
        items=tuple(parse(item) for item in page.items),
        total=page.total,
        q=asked.q,
        path=spec.path,
        facets=tuple(
            _facet(facet, page.facets.get(facet.name, ()), asked, to, _bound(spec, facet, asked))
            for facet in spec.facets
            if _tells_apart(page, facet.name, asked)
        ),
        columns={name: _column(name, spec, asked, to) for name in spec.sorts},
        chosen=tuple(_chosen(spec, asked, to)),
        clear=to(_Asked(sort=asked.sort)),
        hidden=tuple(_hidden(asked, links)),
        next=to(asked, page.next) if page.next else None,
        first=to(asked) if asked.cursor else None,
    )


def _asked(request: Request, spec: ListSpec) -> _Asked:
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
    return _Asked(
        q=given.get("q", "").strip()[:200],
        sort=given.get("sort", "")[:50],
        cursor=given.get("cursor", "")[:2000],
        filters=filters,
        bounds=bounds,
    )


def _ranges(spec: ListSpec, asked: _Asked) -> dict[str, Range]:
    found = {}
    for entry in spec.ranges:
        low, high = (_number(asked.bounds.get(f"{entry.name}_{end}")) for end in ("min", "max"))
        if low is not None or high is not None:
            found[entry.name] = Range(low, high)
    return found


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


_To = Callable[..., str]


def _facet(
    spec: FacetSpec, values: Sequence[FacetValue], asked: _Asked, to: _To, bound: Bound | None
) -> Facet:
    chosen = asked.filters.get(spec.name, ())
    counts = {value.value: value.count for value in values}
    names = [name for name in chosen if name not in counts] + list(counts)
    choices = [
        Choice(
            id=f"{spec.name}-{number}",
            text=spec.text(name),
            count=counts.get(name, 0),
            href=to(_toggled(asked, spec.name, name)),
            chosen=name in chosen,
        )
        for number, name in enumerate(names)
    ]
    choices.sort(key=lambda choice: not choice.chosen)
    shown, more = choices[:_SHOWN_VALUES], choices[_SHOWN_VALUES:]
    return Facet(spec.label, tuple(shown), tuple(more), bound)


def _tells_apart(page: Page, name: str, asked: _Asked) -> bool:
    """Whether a facet has a choice: something is chosen, or not all items have its only value."""
    values = page.facets.get(name, ())
    return name in asked.filters or len(values) > 1 or any(v.count < page.total for v in values)


def _toggled(asked: _Asked, name: str, value: str) -> _Asked:
    """With a value that was not chosen, or without one that was."""
    before = asked.filters.get(name, ())
    after = tuple(entry for entry in before if entry != value)
    return replace(
        asked, filters={**asked.filters, name: after if value in before else (*before, value)}
    )


def _bound(spec: ListSpec, facet: FacetSpec, asked: _Asked) -> Bound | None:
    """The range of the same name as a facet."""
    for entry in spec.ranges:
        if entry.name == facet.name:
            low, high = (asked.bounds.get(f"{entry.name}_{end}", "") for end in ("min", "max"))
            return Bound(entry.name, low, high, entry.placeholder)
    return None


def _column(name: str, spec: ListSpec, asked: _Asked, to: _To) -> Column:
    sort = asked.sort or _default_sort(spec, asked) or _own_sort(spec, asked)
    current, down = sort.removeprefix("-"), sort.startswith("-")
    if current != name:
        first = f"-{name}" if name in spec.descending else name
        return Column(to(replace(asked, sort=first)), "")
    other = name if down else f"-{name}"
    return Column(to(replace(asked, sort=other)), "descending" if down else "ascending")


def _default_sort(spec: ListSpec, asked: _Asked) -> str:
    # With words to look for, the best match comes first.
    return "" if asked.q else spec.default_sort


def _own_sort(spec: ListSpec, asked: _Asked) -> str:
    return "" if asked.q else KINDS[spec.kind].default_sort[0]


def _chosen(spec: ListSpec, asked: _Asked, to: _To) -> list[Chosen]:
    found = [
        Chosen(f"{facet.label}: {facet.text(value)}", to(_toggled(asked, facet.name, value)))
        for facet in spec.facets
        for value in asked.filters.get(facet.name, ())
    ]
    for entry in spec.ranges:
        for end, word in (("min", "from"), ("max", "to")):
            name = f"{entry.name}_{end}"
            if name in asked.bounds:
                rest = {key: value for key, value in asked.bounds.items() if key != name}
                text = f"{entry.label} {word} {asked.bounds[name]}"
                found.append(Chosen(text, to(replace(asked, bounds=rest))))
    return found


def _hidden(asked: _Asked, links: Links) -> list[tuple[str, str]]:
    pairs = [(name, value) for name, values in asked.filters.items() for value in values]
    pairs += [("sort", asked.sort)] if asked.sort else []
    return [*pairs, ("at", links.at)] if links.at else pairs


def parameters_text(value: str) -> str:
    """A parameter count from a facet."""
    return human_count(int(value)) if value.isdecimal() else value


def yes_no(value: str) -> str:
    """A boolean from a facet."""
    return {"true": "yes", "false": "no"}.get(value, value)
