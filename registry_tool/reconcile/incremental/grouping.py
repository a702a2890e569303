"""Which group a file belongs to, and what else reaches it.

- A model, its releases, their locks and the deployments that name it: ``model/<name>``. Every
  reference between these, `track`, immutability, yanking and stages stay inside.
- A deployment also *claims* its environment, its host ports and its name there. When an environment
  changes, the groups of all claimants are affected; groups that claim one port or name are always
  looked at together.
- An environment: ``environment/<name>``. All of them take part in every check: there are few, and
  `promote_from` leads from one to the next.
- The Registry, and everything below build_templates/: `EVERYONE`. A change of these is no
  small change.
- An API key, and a deployment with errors, whose model cannot be trusted: a group of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from registry_tool.domain.deployment import Deployment
from registry_tool.domain.diagnostics import Diagnostic
from registry_tool.domain.kinds import TEMPLATES_FOLDER
from registry_tool.manifests.files import sort_out
from registry_tool.manifests.identity import Identity
from registry_tool.manifests.inventory import identity_of_key
from registry_tool.manifests.loading import Loaded
from registry_tool.manifests.source import EntryLike, Source

EVERYONE = "everyone"
ENVIRONMENTS = "environment/"
EXCLUSIVE = "exclusive/"
"""Claims of what only one deployment can have: a host port, a name."""


@dataclass(frozen=True, slots=True)
class Filed:
    """A file in its group."""

    entry: EntryLike
    group: str
    claims: tuple[str, ...] = ()


class SliceSource:
    """Some of the files of a source."""

    def __init__(self, entries: Iterable[EntryLike], whole: Source) -> None:
        self._entries = sorted(entries, key=lambda entry: entry.path)
        self._whole = whole

    def entries(self) -> Sequence[EntryLike]:
        return self._entries

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        return self._whole.read(oids)


def file_all(loaded: Loaded, entries: Iterable[EntryLike]) -> list[Filed] | None:
    """The files that matter, in their groups; None when that cannot be told of each."""
    if loaded.refused or loaded.desired is None:
        return None
    inventory = loaded.inventory
    groups: dict[str, str] = {}
    claims: dict[str, tuple[str, ...]] = {}
    for identity, place in inventory.invalid.items():
        groups[place.path] = _group(identity)
        if identity.kind == "Deployment":
            claims[place.path] = (f"{EXCLUSIVE}{identity.subject}",)
    for kind, places in inventory.places.items():
        if kind != "Deployment":
            for key, place in places.items():
                groups[place.path] = _group(identity_of_key(kind, key))
    for located in loaded.desired.deployments.values():
        groups[located.path] = f"model/{located.manifest.spec.model}"
        claims[located.path] = _claims(located.manifest)
    filed = []
    manifests = sort_out(entries).manifests
    for entry in entries:
        if is_everyones(entry.path):
            filed.append(Filed(entry, EVERYONE))
        elif entry.path in groups:
            filed.append(Filed(entry, groups[entry.path], claims.get(entry.path, ())))
    known = {one.entry.path for one in filed}
    return filed if all(entry.path in known for entry in manifests) else None


def _claims(deployment: Deployment) -> tuple[str, ...]:
    environment = deployment.spec.environment
    ports = {(port.host, port.protocol) for port in deployment.spec.ports if port.host is not None}
    return (
        f"{ENVIRONMENTS}{environment}",
        f"{EXCLUSIVE}{deployment.subject}",
        *(f"{EXCLUSIVE}{environment}/{host}/{protocol}" for host, protocol in sorted(ports)),
    )


def is_everyones(path: str) -> bool:
    """Whether a path alone says that all groups may see the file."""
    return path.startswith(f"{TEMPLATES_FOLDER}/")


def is_shared(group: str) -> bool:
    """Whether a group takes part in every check."""
    return group == EVERYONE or group.startswith(ENVIRONMENTS)


def _group(identity: Identity) -> str:
    if identity.kind in {"Model", "Release", "ArtifactLock"}:
        return f"model/{identity.names[0]}"
    if identity.kind in {"Registry", "BuildTemplate"}:
        return EVERYONE
    return identity.subject


def group_of_subject(
    subject: str, groups: Mapping[str, str], paths: Mapping[str, str]
) -> str | None:
    """The group of a subject. `groups` are those of files by path, `paths` the files of subjects."""
    kind, _, rest = subject.partition("/")
    if kind in {"model", "release"}:
        return f"model/{rest.partition('/')[0]}"
    if kind in {"registry", "template"}:
        return EVERYONE
    if kind == "deployment":
        return groups.get(paths.get(subject, ""))
    return subject


def by_group(
    diagnostics: Iterable[Diagnostic], groups: Mapping[str, str], paths: Mapping[str, str]
) -> dict[str, list[Diagnostic]] | None:
    """Diagnostics by the group that they come and go with; None when that cannot be told."""
    found: dict[str, list[Diagnostic]] = {}
    for diagnostic in diagnostics:
        if diagnostic.subject is not None:
            group = group_of_subject(diagnostic.subject, groups, paths)
        else:
            group = groups.get(diagnostic.path)
        if group is None:
            return None
        found.setdefault(group, []).append(diagnostic)
    return found


def is_whole(found: Mapping[str, list[Diagnostic]], affected: Collection[str]) -> bool:
    """Whether nothing was found about groups of which only a part was looked at."""
    return all(group in affected or is_shared(group) for group in found)
