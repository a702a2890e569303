"""Free text to a question for the search index, and the best answers to it."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence

from registry_tool.catalog.schema import BY_NUMBER, TABLES, search_range

RANK = "bm25(search, 10.0, 4.0, 1.0)"
"""A match in a name counts more than one in a tag, and that more than one in a text."""
DEFAULT_KINDS = (
    *("models", "releases", "deployments", "environments", "templates", "audit"),
    "artifacts",
)
_MOST_RANKED = 3000
"""Matches of a kind that are ranked; of more, those that the index has first."""
_MOST_WORDS = 16
_LONGEST = 400
_HEXADECIMAL = frozenset("0123456789abcdef")
_DIGESTS = (
    ("artifacts", "artifacts", "sha256"),
    ("builds", "builds", "build_key"),
    ("audit", "audit", "key"),
)


def match_expression(q: str) -> str | None:
    """What the search index is asked, or None where the text has no word.

    Every word must occur, at least as the beginning of one. Whatever else the text holds is data: each word is quoted.
    """
    words = []
    for word in sayable(q[:_LONGEST]).split():
        # The index knows letters and digits; a word of others would be an empty one.
        if any(unicodedata.category(character)[0] in "LN" for character in word):
            words.append('"' + word.replace('"', " ").replace("\0", " ") + '"*')
    return " AND ".join(words[:_MOST_WORDS]) or None


def sayable(text: str) -> str:
    """Text that a database takes: lone surrogates are none."""
    return text.encode("utf-8", "replace").decode()


def best_matches(
    connection: sqlite3.Connection, q: str, kinds: Sequence[str], limit: int
) -> list[tuple[str, int]]:
    """Kinds and numbers of the items that match best."""
    found = list(dict.fromkeys(_by_digest(connection, q, kinds)))
    expression = match_expression(q)
    ranked: list[tuple[float, int]] = []
    for kind in kinds if expression else ():
        number = TABLES[kind].number
        rows = connection.execute(
            f"SELECT {RANK}, rowid FROM search"  # noqa: S608
            " WHERE search MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?",
            (expression, *search_range((number, number)), _MOST_RANKED),
        )
        ranked += rows.fetchall()
    ranked.sort()
    for _, row in ranked[:limit]:
        hit = (BY_NUMBER[row >> 40].kind.name, row & ((1 << 40) - 1))
        if hit not in found:
            found.append(hit)
    return found[:limit]


def _by_digest(
    connection: sqlite3.Connection, q: str, kinds: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Items that a pasted digest, key or commit begins the name of."""
    text = q.strip().lower().removeprefix("sha256:")
    if not 6 <= len(text) <= 64 or not _HEXADECIMAL.issuperset(text):
        return
    for kind, table, column in _DIGESTS:
        if kind in kinds:
            rows = connection.execute(
                f"SELECT min(id) FROM {table} WHERE {column} >= ? AND {column} < ?"  # noqa: S608
                f" GROUP BY {column} LIMIT 5",
                (text, text + "g"),
            )
            yield from ((kind, row[0]) for row in rows)
