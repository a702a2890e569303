"""Filters of the templates that know what items look like."""

from __future__ import annotations

from collections.abc import Iterable

from registry_tool.catalog.queries import Difference
from registry_tool.domain.api_key import ApiKeySpec
from registry_tool.domain.build_template import BuildTemplateSpec
from registry_tool.domain.deployment import DeploymentSpec
from registry_tool.domain.environment import EnvironmentSpec
from registry_tool.domain.frozen import Frozen
from registry_tool.domain.model import ModelSpec
from registry_tool.domain.recorded import builds_folder, deployments_folder, record_file_name
from registry_tool.domain.records import BuildSpec, DeploymentRecordSpec, RequestSpec
from registry_tool.domain.registry import RegistrySpec
from registry_tool.domain.release import ArtifactLockSpec, ReleaseSpec
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.web.pages.items import Item, parse
from registry_tool.web.pages.links import Links


def build_page(build: Item, links: Links, part: str = "") -> str:
    """The address of a build record, or of a part of its page."""
    release = ReleaseId(build["model"], build["version"], build["quantization"])
    record = record_file_name(build["sequence"], build["key"]).removesuffix(".yaml")
    return links(f"/{builds_folder(release)}/{record}{part}")


def record_page(record: Item, links: Links) -> str:
    """The address of a deployment record."""
    deployment = DeploymentId(record["environment"], record["name"])
    name = record_file_name(record["sequence"], record["key"]).removesuffix(".yaml")
    return links(f"/{deployments_folder(deployment)}/{name}")


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


def people(names: Iterable[str]) -> str:
    """Names without the addresses that trailers have after them."""
    return ", ".join(name.partition("<")[0].strip() or name for name in names)


def without_none(value: Item) -> Item:
    """Only what is set."""
    return {name: entry for name, entry in value.items() if entry is not None}


_KINDS: dict[str, type[Frozen]] = {
    "registry": RegistrySpec,
    "model": ModelSpec,
    "release": ReleaseSpec,
    "deployment": DeploymentSpec,
    "environment": EnvironmentSpec,
    "template": BuildTemplateSpec,
    "api-key": ApiKeySpec,
    "lock": ArtifactLockSpec,
    "build": BuildSpec,
    "deployment-record": DeploymentRecordSpec,
    "request": RequestSpec,
}
"""Manifests by the beginning of their subjects, and what is no subject of its own."""


def manifest_fields(item: Item, kind: str = "") -> Item:
    """What an item has from its manifest, in the order of the manifest's kind."""
    spec = _KINDS[kind or item["subject"].partition("/")[0]]
    names = [field.alias or name for name, field in spec.model_fields.items()]
    return {name: item[name] for name in ("labels", "annotations", *names) if name in item}


def item_of(difference: Difference) -> Item:
    """The only item of a difference that created or deleted it."""
    return parse(difference.new or difference.old or "{}")
