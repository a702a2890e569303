"""Manifests with one mistake each, whose place is known, and manifests that are damaged anywhere.

Nothing here asks the readers what they would say: a mutant's place is where its text was edited.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from manifests_samples import FULL, PATHS

from registry_tool.domain.diagnostics import Pointer
from registry_tool.manifests.document import Document, MappingNode, Scalar, walk
from registry_tool.manifests.reading import read_document


@dataclass(frozen=True)
class Mutant:
    """A manifest after an edit. `place` is where a person has to look; None when that cannot be said.

    Where the edit touches a whole word, any column of it will do: there are `width` more.
    """

    name: str
    data: bytes
    place: tuple[int, int] | None = None
    width: int = 0
    may_be_valid: bool = False

    def is_at(self, line: int, column: int) -> bool:
        """Whether this is the place."""
        if self.place is None:
            return False
        return line == self.place[0] and 0 <= column - self.place[1] <= self.width


@dataclass(frozen=True)
class Entry:
    """A key, the keys around it in its mapping, and the key whose value that mapping is, unless it is an item."""

    key: Scalar
    first: Scalar
    before: Scalar | None
    after: Scalar | None
    parent: Scalar | None


@dataclass(frozen=True)
class Sample:
    """A good manifest, with what is needed to edit it."""

    document: Document
    values: tuple[tuple[Pointer, Scalar], ...]
    """Scalars that a type says something about."""
    keys: tuple[tuple[Pointer, Scalar], ...]
    """Keys that a type knows."""
    entries: tuple[Entry, ...]
    """Entries that have a line of their own."""

    @property
    def text(self) -> str:
        return self.document.text


Edit = Callable[[Sample, random.Random], Mutant | None]
_FREE = {"annotations", "env", "labels", "metadata", "params"}
_FORBIDDEN = "\x00\x07\x7f\x85\u2028\u202e\ufeff"
_NOISE = [
    ":",
    ": ",
    "- ",
    "\n",
    "  ",
    "\t",
    "#",
    "{",
    "}",
    "[",
    "]",
    "|\n",
    "?",
    '"',
    "'",
    "&a ",
    "*a",
]
_NOISE += [
    "!!str ",
    "<<: *a",
    "---\n",
    "%TAG ! x",
    "@",
    "\\",
    "\r",
    "\ufeff",
    "~",
    "010",
    "1e999",
    "ü🎉",
]


def samples() -> list[Sample]:
    """One of every kind."""
    return [_sample(read_document(FULL[kind])) for kind in PATHS]


def _sample(document: Document) -> Sample:
    found = [(pointer, node) for pointer, node in walk(document.root) if not _is_free(pointer)]
    values = [(pointer, node) for pointer, node in found if isinstance(node, Scalar)]
    mappings = [(pointer, node) for pointer, node in found if isinstance(node, MappingNode)]
    keys = [
        ((*pointer, str(key.value)), key) for pointer, node in mappings for key, _ in node.entries
    ]
    parents = {id(value): key for _, node in mappings for key, value in node.entries}
    entries = [
        entry
        for _, node in mappings
        if not node.flow
        for entry in _entries(document, node, parents.get(id(node)))
    ]
    known = [(pointer, key) for pointer, key in keys if not _is_free(pointer[:-1])]
    return Sample(document, tuple(values), tuple(known), tuple(entries))


def _entries(document: Document, node: MappingNode, parent: Scalar | None) -> Iterator[Entry]:
    keys = [None, *(key for key, _ in node.entries), None]
    for before, (key, value), after in zip(keys, node.entries, keys[2:], strict=False):
        if "\n" not in document.text[key.region.start : value.region.end]:
            yield Entry(key, node.entries[0][0], before, after, parent)


def _is_free(pointer: Pointer) -> bool:
    """Whether anything may be written below."""
    return any(step in _FREE for step in pointer[1:])


def mutants(seed: int, count: int) -> Iterator[Mutant]:
    """Always the same ones for a seed; the place of about three in four is known."""
    rng = random.Random(seed)
    known = samples()
    made = 0
    while made < count:
        edit = rng.choice(_EDITS) if rng.random() < 0.75 else _damage
        mutant = edit(rng.choice(known), rng)
        if mutant is not None:
            made += 1
            yield mutant


def _edited(
    name: str, text: str, start: int, end: int, new: str, shown: int | None = None
) -> Mutant:
    """The text with `new` instead of a part; the place is its start, or `shown` in the new text."""
    changed = text[:start] + new + text[end:]
    at = start if shown is None else shown
    line = changed.count("\n", 0, at) + 1
    column = at - changed.rfind("\n", 0, at)
    return Mutant(name, changed.encode("utf-8", "surrogatepass"), (line, column))


def _plain(sample: Sample, rng: random.Random) -> Scalar | None:
    """A plain scalar in block context: what is inserted before it changes nothing around it."""
    _, node = rng.choice(sample.values)
    line = sample.text.rfind("\n", 0, node.region.start) + 1
    in_flow = any(mark in sample.text[line : node.region.start] for mark in "[{")
    return node if not node.style and not in_flow else None


def _wrong_type(sample: Sample, rng: random.Random) -> Mutant:
    _, node = rng.choice(sample.values)
    return _edited("wrong type", sample.text, node.region.start, node.region.end, "[[]]")


def _mistyped_key(sample: Sample, rng: random.Random) -> Mutant:
    _, key = rng.choice(sample.keys)
    text = f"{key.value}ß"
    return _edited("mistyped key", sample.text, key.region.start, key.region.end, text)


def _repeated_key(sample: Sample, rng: random.Random) -> Mutant:
    key = rng.choice(sample.entries).key
    start = sample.text.rfind("\n", 0, key.region.start) + 1
    indentation = " " * (key.region.start - start)
    end = sample.text.find("\n", key.region.end) + 1
    line = f"{indentation}{sample.text[key.region.start : end]}"
    return _edited("repeated key", sample.text, end, end, line, end + len(indentation))


def _before_value(name: str, text: str) -> Edit:
    def edit(sample: Sample, rng: random.Random) -> Mutant:
        _, node = rng.choice(sample.values)
        return _edited(name, sample.text, node.region.start, node.region.start, text)

    return edit


def _alias(sample: Sample, rng: random.Random) -> Mutant:
    _, node = rng.choice(sample.values)
    return _edited("alias", sample.text, node.region.start, node.region.end, "*a ")


def _forbidden(sample: Sample, rng: random.Random) -> Mutant:
    at = rng.randrange(len(sample.text))
    return _edited("forbidden character", sample.text, at, at, rng.choice(_FORBIDDEN))


def _not_utf8(sample: Sample, rng: random.Random) -> Mutant:
    at = rng.randrange(len(sample.text))
    mutant = _edited("not UTF-8", sample.text, at, at, "?")
    data = sample.text[:at].encode() + b"\xff" + sample.text[at:].encode()
    return Mutant(mutant.name, data, mutant.place)


def _tab(sample: Sample, rng: random.Random) -> Mutant | None:
    key = rng.choice(sample.entries).key
    start = sample.text.rfind("\n", 0, key.region.start) + 1
    if start == key.region.start or sample.text[start : key.region.start].strip():
        return None
    return _edited("tab", sample.text, start, key.region.start, "\t")


def _open_quote(sample: Sample, rng: random.Random) -> Mutant | None:
    node = _plain(sample, rng)
    if node is None or '"' in sample.text[node.region.start :]:
        return None
    return _edited("open quote", sample.text, node.region.start, node.region.start, '"')


def _open_bracket(sample: Sample, rng: random.Random) -> Mutant | None:
    node = _plain(sample, rng)
    if node is None:
        return None
    mark = rng.choice("[{")
    if any(other in sample.text[node.region.start : node.region.end] for other in "[{"):
        return None  # which of the two is one too many, nobody can say
    return _edited("open bracket", sample.text, node.region.start, node.region.start, mark)


def _mapping_in_value(sample: Sample, rng: random.Random) -> Mutant | None:
    node = _plain(sample, rng)
    line = sample.text.rfind("\n", 0, node.region.start) + 1 if node is not None else 0
    if node is None or ": " not in sample.text[line : node.region.start]:
        return None
    return _edited("mapping in a value", sample.text, node.region.end, node.region.end, ": b")


def _bad_start(sample: Sample, rng: random.Random) -> Mutant | None:
    node = _plain(sample, rng)
    if node is None:
        return None
    mark = rng.choice("@`")
    return _edited(
        "value that starts oddly", sample.text, node.region.start, node.region.start, mark
    )


def _second_document(sample: Sample, rng: random.Random) -> Mutant:
    end = len(sample.text)
    return _edited("second document", sample.text, end, end, "---\na: 1\n")


def _merge_key(sample: Sample, rng: random.Random) -> Mutant:
    key = rng.choice(sample.entries).key
    start = sample.text.rfind("\n", 0, key.region.start) + 1
    indentation = " " * (key.region.start - start)
    end = sample.text.find("\n", key.region.end) + 1
    line = f"{indentation}<<: {{}}\n"
    return _edited("merge key", sample.text, end, end, line, end + len(indentation))


def _number_as_key(sample: Sample, rng: random.Random) -> Mutant:
    _, key = rng.choice(sample.keys)
    return _edited("number as a key", sample.text, key.region.start, key.region.end, "8000")


def _unsafe_number(sample: Sample, rng: random.Random) -> Mutant:
    _, node = rng.choice(sample.values)
    return _edited(
        "unsafe number", sample.text, node.region.start, node.region.end, "99999999999999999999"
    )


def _line_of(sample: Sample, key: Scalar) -> tuple[int, int]:
    """Start and end of the line that a key is on."""
    start = sample.text.rfind("\n", 0, key.region.start) + 1
    return start, sample.text.find("\n", key.region.end) + 1


def _removed(sample: Sample, rng: random.Random) -> Mutant | None:
    """What is missing is shown by the key of the mapping that should have it, or by the first key there is."""
    entry = rng.choice(sample.entries)
    start, end = _line_of(sample, entry.key)
    shown = entry.parent or (entry.first if entry.before is not None else entry.after)
    if shown is None or sample.text[start : entry.key.region.start].strip():
        return None
    at = shown.region.start if shown.region.start < start else shown.region.start - (end - start)
    mutant = _edited("removed field", sample.text, start, end, "", at)
    return replace(mutant, may_be_valid=True)


def _deeper(sample: Sample, rng: random.Random) -> Mutant | None:
    entry = rng.choice(sample.entries)
    start, _ = _line_of(sample, entry.key)
    if entry.before is None or _line_of(sample, entry.before)[1] != start:
        return None
    mutant = _edited("too deep", sample.text, start, start, " ", entry.key.region.start + 1)
    return replace(mutant, width=entry.key.region.end - entry.key.region.start)


def _shallower(sample: Sample, rng: random.Random) -> Mutant | None:
    entry = rng.choice(sample.entries)
    start, _ = _line_of(sample, entry.key)
    if entry.before is None or entry.key.region.start == start:
        return None
    return _edited("not deep enough", sample.text, start, start + 1, "", entry.key.region.start - 1)


def _no_colon(sample: Sample, rng: random.Random) -> Mutant | None:
    entry = rng.choice(sample.entries)
    key = entry.key.region
    if entry.before is None or entry.after is None:
        return None
    mutant = _edited("no colon", sample.text, key.end, key.end + 1, "", key.start)
    return replace(mutant, width=sample.text.find("\n", key.end) - key.start)


def _not_a_name(sample: Sample, rng: random.Random) -> Mutant:
    """A word of another language where only some words or a grammar are allowed; free text may be anything."""
    _, node = rng.choice(sample.values)
    mutant = _edited(
        "odd value", sample.text, node.region.start, node.region.end, "\u00bfqu\u00e9?"
    )
    return replace(mutant, may_be_valid=True)


def _damage(sample: Sample, rng: random.Random) -> Mutant:
    """A few edits anywhere."""
    text = sample.text
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randrange(12))
        text = text[:start] + rng.choice(_NOISE) + text[end:]
    return Mutant("damage", text.encode())


_EDITS: list[Edit] = [
    _wrong_type,
    _mistyped_key,
    _repeated_key,
    _before_value("anchor", "&a "),
    _before_value("tag", "!a "),
    _alias,
    _forbidden,
    _not_utf8,
    _tab,
    _open_quote,
    _open_bracket,
    _mapping_in_value,
    _bad_start,
    _second_document,
    _merge_key,
    _number_as_key,
    _unsafe_number,
    _removed,
    _deeper,
    _shallower,
    _no_colon,
    _not_a_name,
]
