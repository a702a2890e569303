"""Strict YAML to plain values, fast. What this reader does not like, `document` explains.

The events of PyYAML's C parser are read once, without positions. Anything unusual stops the reading with
`Irregular`: then `document.read_document`, which is slower, decides what is wrong and where, or that nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from registry_tool.manifests.scalars import UnsafeNumber, resolve_plain
from registry_tool.manifests.text import FORBIDDEN, MAX_SIZE

MAX_DEPTH = 32
"""Collections inside each other, the document itself counted."""

Json = Any
"""A JSON value: the one place where manifests are not typed yet."""

_TAB_INDENT = re.compile(r"^ *\t", re.MULTILINE)
_HARMLESS = bytes((9, 10, *range(32, 127)))
_known_keys: set[str] = set()


class Irregular(Exception):
    """The text is not what the fast reader knows to be good."""


def parse(data: bytes) -> Json:
    """The value of a manifest's only document; raises Irregular."""
    if len(data) > MAX_SIZE:
        raise Irregular
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Irregular from None
    if data.translate(None, _HARMLESS) and FORBIDDEN.search(text):
        raise Irregular
    if "<<" in text or ("\t" in text and _TAB_INDENT.search(text)):
        raise Irregular
    parser = CParser(data)
    next_event = parser.get_event
    if "&" in text or "!" in text or "%" in text:
        next_event = _suspicious(next_event)
    try:
        next_event()
        if type(next_event()) is not DocumentStartEvent:
            raise Irregular
        value = _value(next_event(), next_event, 1)
        if type(next_event()) is not DocumentEndEvent or type(next_event()) is not StreamEndEvent:
            raise Irregular
    except (YAMLError, UnsafeNumber):
        raise Irregular from None
    return value


def _suspicious(next_event: Callable[[], Any]) -> Callable[[], Any]:
    """The same events, refusing anchors, tags and directives."""

    def checked() -> Any:
        event = next_event()
        if getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None:
            raise Irregular
        if getattr(event, "tags", None):
            raise Irregular
        return event

    return checked


def _value(event: Any, next_event: Callable[[], Any], depth: int) -> Json:
    kind = type(event)
    if kind is ScalarEvent:
        return event.value if event.style else resolve_plain(event.value)
    if depth > MAX_DEPTH:
        raise Irregular
    if kind is MappingStartEvent:
        return _mapping(next_event, depth)
    if kind is not SequenceStartEvent:
        raise Irregular
    items = []
    while True:
        event = next_event()
        kind = type(event)
        if kind is ScalarEvent:
            items.append(event.value if event.style else resolve_plain(event.value))
        elif kind is SequenceEndEvent:
            return items
        else:
            items.append(_value(event, next_event, depth + 1))


def _mapping(next_event: Callable[[], Any], depth: int) -> dict[str, Json]:
    known_keys = _known_keys
    values: dict[str, Json] = {}
    while True:
        event = next_event()
        if type(event) is not ScalarEvent:
            if type(event) is MappingEndEvent:
                return values
            raise Irregular
        key = event.value
        if key not in known_keys:
            _learn(key, event.style)
        if key in values:
            raise Irregular
        event = next_event()
        if type(event) is ScalarEvent:
            values[key] = event.value if event.style else resolve_plain(event.value)
        else:
            values[key] = _value(event, next_event, depth + 1)


def _learn(key: str, style: str | None) -> None:
    """Remember a key that is a string even when it is written plainly; refuse one that is not."""
    if style:
        return
    if not isinstance(resolve_plain(key), str):
        raise Irregular
    if len(_known_keys) < 4096:
        _known_keys.add(key)
