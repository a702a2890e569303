"""Recorded state: what the records branch says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from registry_tool.domain.records import Build, DeploymentRecord, Request
    from registry_tool.domain.subjects import DeploymentId, ReleaseId

RECORDS_BRANCH = "refs/heads/registry-records"
DEPLOY_BRANCHES = "refs/heads/deploy/"
LEASE_REF = "refs/registry-tool/lease"

R_co = TypeVar("R_co", covariant=True)

_FILE_NAME = re.compile(r"(?P<sequence>[0-9]{6,})-(?P<key>[0-9a-f]{12})\.yaml", re.ASCII)


@dataclass(frozen=True, slots=True)
class Sequenced(Generic[R_co]):
    """A record and its place in its folder: the highest sequence is the latest."""

    sequence: int
    record: R_co


def builds_folder(release: ReleaseId) -> str:
    """The folder of a release's Build records."""
    return f"builds/{release}"


def deployments_folder(deployment: DeploymentId) -> str:
    """The folder of a deployment's records."""
    return f"deployments/{deployment}"


REQUESTS_FOLDER = "requests"


def record_file_name(sequence: int, key: str) -> str:
    """``<sequence>-<key12>.yaml``."""
    return f"{sequence:06d}-{key[:12]}.yaml"


def parse_record_file_name(name: str) -> tuple[int, str] | None:
    """Sequence and key12 of a record's file name, or None for a foreign file."""
    match = _FILE_NAME.fullmatch(name)
    return (int(match["sequence"]), match["key"]) if match else None


@dataclass(frozen=True)
class Recorded:
    """The records at one commit. Sequences are ascending; `oid` is None while there is no record yet."""

    oid: str | None = None
    builds: Mapping[ReleaseId, Sequence[Sequenced[Build]]] = field(default_factory=dict)
    deployments: Mapping[DeploymentId, Sequence[Sequenced[DeploymentRecord]]] = field(
        default_factory=dict
    )
    requests: Sequence[Sequenced[Request]] = ()

    def latest_build(self, release: ReleaseId, store: str) -> Sequenced[Build] | None:
        """The newest Build of a release in a store: a build in another store means "not built here"."""
        found = self.builds.get(release, ())
        return next((entry for entry in reversed(found) if entry.record.spec.store == store), None)

    def succeeded_build(
        self, release: ReleaseId, store: str, key: str | None = None
    ) -> Build | None:
        """The newest succeeded Build (of a key) that no later record says was pruned."""
        from registry_tool.domain.records import BuildResult

        pruned = set()
        for entry in reversed(self.builds.get(release, ())):
            spec = entry.record.spec
            if spec.store != store or (key is not None and spec.key != key):
                continue
            if spec.result is BuildResult.PRUNED:
                pruned.add(spec.key)
            elif spec.result is BuildResult.SUCCEEDED and spec.key not in pruned:
                return entry.record
        return None

    def latest_deployment(self, deployment: DeploymentId) -> Sequenced[DeploymentRecord] | None:
        """The newest record of a deployment."""
        found = self.deployments.get(deployment, ())
        return found[-1] if found else None
