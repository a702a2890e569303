"""Filters of the templates that know what items look like."""

from __future__ import annotations

from collections.abc import Iterable

from registry_tool.domain.recorded import builds_folder, record_file_name
from registry_tool.domain.subjects import ReleaseId
from registry_tool.web.pages.items import Item
from registry_tool.web.pages.links import Links


def build_page(build: Item, links: Links, part: str = "") -> str:
    """The address of a build record, or of a part of its page."""
    release = ReleaseId(build["model"], build["version"], build["quantization"])
    record = record_file_name(build["sequence"], build["key"]).removesuffix(".yaml")
    return links(f"/{builds_folder(release)}/{record}{part}")


def release_name(release: Item | str) -> str:
    """``<model>/<version>/<quantization>``."""
    if isinstance(release, str):
        return release.removeprefix("release/")
    return str(ReleaseId(release["model"], release["version"], release["quantization"]))


def release_page(release: Item | str, links: Links) -> str:
    """The address of a release."""
    return links(f"/releases/{release_name(release)}")


def short_revision(revision: str) -> str:
    """``main@1a2b3c4d5e6f`` from ``main@sha1:1a2b…``."""
    ref, _, oid = revision.rpartition("@")
    return f"{ref}@{oid.partition(':')[2][:12]}" if ref else revision


def latest_by_deployment(records: Iterable[Item]) -> list[Item]:
    """The first record of each deployment, in order."""
    found: dict[tuple[str, str], Item] = {}
    for record in records:
        found.setdefault((record["environment"], record["name"]), record)
    return list(found.values())


def without_none(value: Item) -> Item:
    """Only what is set."""
    return {name: entry for name, entry in value.items() if entry is not None}
