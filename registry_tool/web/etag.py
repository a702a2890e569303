"""Entity tags: of a catalog pair, or of content; and whether a request knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry_tool.catalog.files import CatalogPair


def pair_etag(pair: CatalogPair, newest: str, version: str) -> str:
    """Of everything that follows from a pair and the version of the program.

    `newest` is the commit that the branch names, which may be refused: then pages and statistics
    say so. A weak tag: the same content has several encodings.
    """
    refused = "" if newest == pair.manifests else f"-{newest[:12]}"
    return f'W/"{pair.key}{refused}-{version}"'


def names_etag(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the entity tag (weak comparison, as RFC 9110 says)."""
    if not if_none_match:
        return False
    if if_none_match == etag:
        return True
    known = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return "*" in known or etag.removeprefix("W/") in known
