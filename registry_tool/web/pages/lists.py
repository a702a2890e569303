"""List pages: a part of a list, and the links that ask for another part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fastapi import HTTPException

from registry_tool.catalog.listing import FacetValue, ListQuery, Page
from registry_tool.errors import BadQuery
from registry_tool.web.pages.items import Item, parse
from registry_tool.web.pages.links import Links
from registry_tool.web.pages.list_asked import Asked, asked_for
from registry_tool.web.pages.list_specs import FacetSpec, ListSpec
from registry_tool.web.pages.visits import Visit

_SHOWN_VALUES = 12


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


def list_page(visit: Visit, spec: ListSpec) -> ListPage:
    """The part of a list that the address of a page asks for. Raises HTTPException 422."""
    links = visit.links
    asked = asked_for(visit.request, spec)
    try:
        page = visit.catalog.page(
            ListQuery(
                spec.kind,
                filters={**asked.filters, **spec.fixed},
                ranges=asked.ranges(),
                q=asked.q,
                sort=(asked.order,) if asked.order else (),
                cursor=asked.cursor or None,
                limit=spec.page_size,
                facets=tuple(facet.name for facet in spec.facets),
            )
        )
    except BadQuery as problem:
        raise HTTPException(422, problem.message) from problem

    def to(changed: Asked, cursor: str | None = None) -> str:
        return links.of(spec.path, {**changed.query(), "cursor": cursor})

    return ListPage(
        items=tuple(parse(item) for item in page.items),
        total=page.total,
        q=asked.q,
        path=spec.path,
        facets=tuple(
            _facet(facet, page.facets.get(facet.name, ()), asked, to, _bound(facet, asked))
            for facet in spec.facets
            if _tells_apart(page, facet.name, asked)
        ),
        columns={name: _column(name, asked, to) for name in spec.sorts},
        chosen=tuple(_chosen(asked, to)),
        clear=to(Asked(spec, sort=asked.sort)),
        hidden=tuple(_hidden(asked, links)),
        next=to(asked, page.next) if page.next else None,
        first=to(asked) if asked.cursor else None,
    )


_To = Callable[..., str]


def _facet(
    spec: FacetSpec, values: Sequence[FacetValue], asked: Asked, to: _To, bound: Bound | None
) -> Facet:
    chosen = asked.filters.get(spec.name, ())
    counts = {value.value: value.count for value in values}
    names = [name for name in chosen if name not in counts] + list(counts)
    choices = [
        Choice(
            id=f"{spec.name}-{number}",
            text=spec.text(name),
            count=counts.get(name, 0),
            href=to(asked.toggled(spec.name, name)),
            chosen=name in chosen,
        )
        for number, name in enumerate(names)
    ]
    choices.sort(key=lambda choice: not choice.chosen)
    shown, more = choices[:_SHOWN_VALUES], choices[_SHOWN_VALUES:]
    return Facet(spec.label, tuple(shown), tuple(more), bound)


def _tells_apart(page: Page, name: str, asked: Asked) -> bool:
    """Whether a facet has a choice: something is chosen, or not all items have its only value."""
    values = page.facets.get(name, ())
    return name in asked.filters or len(values) > 1 or any(v.count < page.total for v in values)


def _bound(facet: FacetSpec, asked: Asked) -> Bound | None:
    """The range of the same name as a facet."""
    for entry in asked.spec.ranges:
        if entry.name == facet.name:
            low, high = (asked.bounds.get(f"{entry.name}_{end}", "") for end in ("min", "max"))
            return Bound(entry.name, low, high, entry.placeholder)
    return None


def _column(name: str, asked: Asked, to: _To) -> Column:
    current, down = asked.shown_order.removeprefix("-"), asked.shown_order.startswith("-")
    if current != name:
        first = f"-{name}" if name in asked.spec.descending else name
        return Column(to(replace(asked, sort=first)), "")
    other = name if down else f"-{name}"
    return Column(to(replace(asked, sort=other)), "descending" if down else "ascending")


def _chosen(asked: Asked, to: _To) -> list[Chosen]:
    found = [
        Chosen(f"{facet.label}: {facet.text(value)}", to(asked.toggled(facet.name, value)))
        for facet in asked.spec.facets
        for value in asked.filters.get(facet.name, ())
    ]
    for entry in asked.spec.ranges:
        for end, word in (("min", "from"), ("max", "to")):
            name = f"{entry.name}_{end}"
            if name in asked.bounds:
                text = f"{entry.label} {word} {asked.bounds[name]}"
                found.append(Chosen(text, to(asked.unbounded(name))))
    return found


def _hidden(asked: Asked, links: Links) -> list[tuple[str, str]]:
    pairs = [(name, value) for name, values in asked.filters.items() for value in values]
    pairs += [("sort", asked.sort)] if asked.sort else []
    return [*pairs, ("at", links.at)] if links.at else pairs
