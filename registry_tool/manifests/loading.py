"""All manifests of one state of a repository: read, checked one by one, and told apart.

Cold, every file is parsed. Warm, the cache knows two things: of runs of neighbouring files, who they are; and of each
blob, its manifest as JSON. So an unchanged repository costs a few look-ups, and a changed file only its own run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from registry_tool.domain.desired import Desired
from registry_tool.domain.diagnostics import Diagnostic, Finding
from registry_tool.domain.kinds import MANIFEST_KINDS, TEMPLATES_FOLDER
from registry_tool.manifests.batch import check_all, without_collection
from registry_tool.manifests.files import Files, sort_out
from registry_tool.manifests.fingerprint import fingerprint
from registry_tool.manifests.identity import Identity
from registry_tool.manifests.inventory import Inventory, LazyPaths
from registry_tool.manifests.locating import START, locate
from registry_tool.manifests.runs import Summary, cache_key, split
from registry_tool.manifests.shelf import LazyFiles, LazyManifests, LazyTemplates, Shelf
from registry_tool.manifests.source import Cache, EntryLike, Source
from registry_tool.manifests.validating import Invalid, Valid

_MODES = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a directory"}


@dataclass(frozen=True)
class Loaded:
    """What a state of the repository declares, and what is wrong with it."""

    desired: Desired | None
    """All valid manifests; None when there is no valid Registry."""
    diagnostics: tuple[Diagnostic, ...]
    """In stable order."""
    checked: int
    """How many manifest files there are."""
    held: frozenset[str]
    """Subjects that have errors, with known identity."""
    refused: bool
    """Whether an error leaves identity unknown: an unreadable file, a duplicate, or the Registry itself."""
    paths: Mapping[str, str]
    """The file of every subject."""
    inventory: Inventory
    """Which manifests there are, and where."""
    shelf: Shelf
    """Manifests that were made already."""

    def bring_in(self) -> None:
        """Read the contents of all files, so that no manifest and no template needs source or cache any more."""
        places = self.inventory.places.values()
        self.shelf.fetch([entry.oid for of_kind in places for entry in of_kind.values()])
        for template in self.desired.templates.values() if self.desired is not None else ():
            dict(template.files)


def load(
    source: Source, cache: Cache | None = None, *, jobs: int = 1, beside: Loaded | None = None
) -> Loaded:
    """Load all manifests. `jobs` is the number of processes that may parse; the result does not depend on it.

    The manifests are made when they are looked at, from `source` or `cache`, which must stay open meanwhile. What the
    state `beside` has, too, is made once for both.
    """
    with without_collection():
        return _Load(source, cache, jobs, beside.shelf if beside is not None else None).run()


class _Load:
    """One run of `load`."""

    def __init__(self, source: Source, cache: Cache | None, jobs: int, other: Shelf | None) -> None:
        self._source = source
        self._cache = cache
        self._jobs = jobs
        self._fingerprint = fingerprint()
        self._shelf = Shelf(source, cache, self._fingerprint, other)
        self._inventory = Inventory()
        self._diagnostics: list[Diagnostic] = []
        self._held: set[str] = set()
        self._refused = False
        self._new: dict[str, bytes] = {}

    def run(self) -> Loaded:
        files = sort_out(self._source.entries())
        self._read(files.manifests)
        if self._cache is not None and self._new:
            self._cache.put_many(self._new)
        self._check_identities()
        self._check_registry()
        self._check_modes(files.irregular)
        return Loaded(
            self._desired(files),
            tuple(sorted(self._diagnostics, key=lambda entry: entry.sort_key)),
            len(files.manifests),
            frozenset(self._held | self._inventory.held),
            self._refused,
            LazyPaths(self._inventory),
            self._inventory,
            self._shelf,
        )

    # --- reading -------------------------------------------------------------------------------

    def _read(self, entries: list[EntryLike]) -> None:
        runs = split(entries)
        keys: list[str] = []
        known: dict[str, bytes] = {}
        if self._cache is not None:
            keys = [cache_key(run, self._fingerprint) for run in runs]
            known = self._cache.get_many(keys)
        summaries = {number: _summary(known.get(key)) for number, key in enumerate(keys)}
        missing = [
            entry
            for number, run in enumerate(runs)
            if summaries.get(number) is None
            for entry in run
        ]
        results = self._results(missing)
        for number, run in enumerate(runs):
            summary = summaries.get(number)
            if summary is None:
                summary, is_good = self._summed_up(run, results)
                if keys and is_good:
                    self._new[keys[number]] = summary.to_bytes()
            for kind, (indexes, names) in summary.kinds.items():
                self._inventory.add(kind, names, [run[index] for index in indexes])
            for kind, name, index in summary.misplaced:
                self._inventory.add_misplaced(kind, name, run[index].path)

    def _summed_up(
        self, run: Sequence[EntryLike], results: Mapping[str, Identity | Invalid]
    ) -> tuple[Summary, bool]:
        """The good manifests of a run, and whether that is all of them; the bad ones are taken in."""
        summary, is_good = Summary(), True
        for index, entry in enumerate(run):
            result = results[entry.oid]
            if isinstance(result, Identity):
                summary.add(index, entry.path, result)
                continue
            is_good = False
            self._diagnostics += _at_path(result.diagnostics, entry.path)
            if result.identity is None:
                self._refused = True
            else:
                self._inventory.add_invalid(result.identity, entry)
        return summary, is_good

    def _results(self, entries: list[EntryLike]) -> dict[str, Identity | Invalid]:
        """Of each blob, its identity or what is wrong with it."""
        results: dict[str, Identity | Invalid] = {}
        paths = {entry.oid: entry.path for entry in reversed(entries)}
        if self._cache is not None and paths:
            found = self._cache.get_many([f"{oid}:{self._fingerprint}" for oid in paths])
            for key, value in found.items():
                oid = key.partition(":")[0]
                head, _, body = value.partition(b"\n")
                kind, _, name = head.decode(errors="replace").partition(" ")
                if kind not in MANIFEST_KINDS:
                    continue  # a damaged cache only costs time
                results[oid] = Identity(kind, tuple(name.split("/")))
                self._shelf.keep_body(oid, body)
        wanted = [oid for oid in reversed(paths) if oid not in results]
        contents = ((paths[oid], oid, data) for oid, data in self._source.read(wanted))
        for oid, result in check_all(contents, len(wanted), self._jobs):
            if isinstance(result, Invalid):
                results[oid] = result
            else:
                results[oid] = result.identity
                self._keep(oid, result)
        return results

    def _keep(self, oid: str, valid: Valid) -> None:
        if valid.manifest is not None:
            self._shelf.keep(oid, valid.manifest)
        else:
            self._shelf.keep_body(oid, valid.body)
        if self._cache is not None:
            head = f"{valid.identity.kind} {'/'.join(valid.identity.names)}\n"
            self._new[f"{oid}:{self._fingerprint}"] = head.encode() + valid.body

    # --- checking ------------------------------------------------------------------------------

    def _check_identities(self) -> None:
        findings = list(self._inventory.identity_findings())
        self._refused = self._refused or any(finding.subject is None for finding in findings)
        self._held |= {finding.subject for finding in findings if finding.subject}
        self._diagnostics += locate(self._source, findings)
        for finding in self._inventory.misplaced_findings():
            self._diagnostics.append(_unplaced(finding))

    def _check_registry(self) -> None:
        if any(subject.startswith("registry/") for subject in self._inventory.held):
            self._refused = True
        elif not self._inventory.places["Registry"]:
            self._refused = True
            if not any(diagnostic.path == _REGISTRY_PATH for diagnostic in self._diagnostics):
                message = "there is no Registry, and a repository has exactly one"
                help = "registry-tool init writes one"
                self._diagnostics.append(
                    _unplaced(Finding("RT204", _REGISTRY_PATH, (), message, help))
                )

    def _check_modes(self, entries: list[EntryLike]) -> None:
        templates = {
            place.path.rpartition("/")[0]: f"template/{name}"
            for name, place in self._inventory.places["BuildTemplate"].items()
        }
        for entry in entries:
            folder = "/".join(entry.path.split("/")[:2])
            subject = templates.get(folder)
            if subject:
                self._held.add(subject)
            else:
                self._refused = True
            what = _MODES.get(entry.mode, f"a file of mode {entry.mode}")
            message = f"this is {what}, and only regular files are read"
            help = "commit the file itself"
            self._diagnostics.append(
                _unplaced(Finding("RT013", entry.path, (), message, help, subject=subject))
            )

    # --- the result ----------------------------------------------------------------------------

    def _desired(self, files: Files) -> Desired | None:
        places = self._inventory.places
        registries: Mapping[str, Any] = LazyManifests("Registry", places["Registry"], self._shelf)
        if not registries:
            return None
        made: dict[str, Any] = {
            name: LazyManifests(kind, places[kind], self._shelf) for name, kind in _FIELDS.items()
        }
        beside = {
            name: self._beside(place, files) for name, place in places["BuildTemplate"].items()
        }
        templates = LazyTemplates(
            LazyManifests("BuildTemplate", places["BuildTemplate"], self._shelf), beside
        )
        return Desired(registries[next(iter(registries))], templates=templates, **made)

    def _beside(self, place: EntryLike, files: Files) -> LazyFiles:
        """The files of a template's folder; a template elsewhere has none."""
        parts = place.path.split("/")
        own = len(parts) == 3 and parts[0] == TEMPLATES_FOLDER
        return LazyFiles(files.beside.get(parts[1], {}) if own else {}, self._source)


_REGISTRY_PATH = "manifests/registry.yaml"
_FIELDS = {
    "models": "Model",
    "releases": "Release",
    "locks": "ArtifactLock",
    "environments": "Environment",
    "deployments": "Deployment",
    "api_keys": "ApiKey",
}


def _summary(data: bytes | None) -> Summary | None:
    """What the cache remembers of a run; nothing when it is damaged."""
    try:
        return Summary.from_bytes(data) if data is not None else None
    except ValueError:
        return None


def _unplaced(finding: Finding) -> Diagnostic:
    """A diagnostic about a file as a whole."""
    return Diagnostic(
        finding.path,
        START,
        finding.severity,
        finding.code,
        finding.message,
        finding.help,
        subject=finding.subject,
    )


def _at_path(diagnostics: Sequence[Diagnostic], path: str) -> Iterator[Diagnostic]:
    """The diagnostics of a file that has the same content as the one they were made for."""
    for diagnostic in diagnostics:
        related = tuple(replace(place, path=path) for place in diagnostic.related)
        yield replace(diagnostic, path=path, related=related)
