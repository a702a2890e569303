"""Entity tags: of a catalog pair, or of content; and whether a request knows them."""

from __future__ import annotations


def names_etag(if_none_match: str | None, etag: str) -> bool:
    """Whether an If-None-Match header names the entity tag (weak comparison, as RFC 9110 says)."""
    if not if_none_match:
        return False
    if if_none_match == etag:
        return True
    known = {part.strip().removeprefix("W/") for part in if_none_match.split(",")}
    return "*" in known or etag.removeprefix("W/") in known
