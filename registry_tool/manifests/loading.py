"""All manifests of one state of a repository: read, checked one by one, and told apart.

Cold, every file is parsed. Warm, the cache knows two things: of runs of neighbouring files, who they are; and of each
blob, its manifest as JSON. So an unchanged repository costs a few look-ups, and a changed file only its own run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from registry_tool.domain.desired import Desired
from registry_tool.domain.diagnostics import Diagnostic, Finding
from registry_tool.domain.kinds import MANIFESTS_FOLDER, TEMPLATES_FOLDER
from registry_tool.manifests.batch import check_all
from registry_tool.manifests.fingerprint import fingerprint
from registry_tool.manifests.identity import Identity
from registry_tool.manifests.inventory import Inventory, LazyPaths
from registry_tool.manifests.locating import START, locate
from registry_tool.manifests.shelf import LazyFiles, LazyManifests, LazyTemplates, Place, Shelf
from registry_tool.manifests.source import REGULAR_MODES, Cache, EntryLike, Source
from registry_tool.manifests.validating import Invalid, Valid

YAML_ENDINGS = (".yaml", ".yml")
_MODES = {"120000": "a symbolic link", "160000": "a submodule", "040000": "a directory"}

Row = tuple[str, tuple[str, ...], bool]
"""Kind, names, and whether the path is the conventional one."""


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


def load(source: Source, cache: Cache | None = None, *, jobs: int = 1) -> Loaded:
    """Load all manifests. `jobs` is the number of processes that may parse; the result does not depend on it.

    The manifests are made when they are looked at, from `source` or `cache`, which must stay open meanwhile.
    """
    return _Load(source, cache, jobs).run()


@dataclass
class _Files:
    """The entries of a source by what they are for."""

    manifests: list[EntryLike] = field(default_factory=list)
    beside: dict[str, dict[str, EntryLike]] = field(default_factory=dict)
    """Files of template folders, by folder and by path in it."""
    irregular: list[EntryLike] = field(default_factory=list)


def _sort_out(entries: Sequence[EntryLike]) -> _Files:
    files = _Files()
    for entry in entries:
        path = entry.path
        if entry.mode not in REGULAR_MODES:
            files.irregular.append(entry)
        elif path.startswith(f"{MANIFESTS_FOLDER}/"):
            if path.endswith(YAML_ENDINGS):
                files.manifests.append(entry)
        elif path.startswith(f"{TEMPLATES_FOLDER}/"):
            _, folder, *rest = path.split("/", 2)
            if (rest and rest[0] in {"template.yaml", "template.yml"}) or (
                not rest and path.endswith(YAML_ENDINGS)
            ):
                files.manifests.append(entry)
            elif rest:
                files.beside.setdefault(folder, {})[rest[0]] = entry
    return files


class _Load:
    """One run of `load`."""

    def __init__(self, source: Source, cache: Cache | None, jobs: int) -> None:
        self._source = source
        self._cache = cache
        self._jobs = jobs
        self._fingerprint = fingerprint()
        self._shelf = Shelf(source, cache, self._fingerprint)
        self._inventory = Inventory()
        self._diagnostics: list[Diagnostic] = []
        self._held: set[str] = set()
        self._refused = False
        self._new: dict[str, bytes] = {}

    def run(self) -> Loaded:
        files = _sort_out(self._source.entries())
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
        )

    # --- reading -------------------------------------------------------------------------------

    def _read(self, entries: list[EntryLike]) -> None:
        runs = _runs(entries)
        keys = [_run_key(run, self._fingerprint) for run in runs] if self._cache is not None else []
        known = self._cache.get_many(keys) if self._cache is not None else {}
        rows: dict[int, list[Row]] = {
            number: json.loads(known[key]) for number, key in enumerate(keys) if key in known
        }
        missing = [entry for number, run in enumerate(runs) if number not in rows for entry in run]
        results = self._results(missing)
        for number, run in enumerate(runs):
            if number in rows:
                for entry, (kind, names, conventional) in zip(run, rows[number], strict=True):
                    self._inventory.add(kind, names, entry.path, entry.oid, conventional)
            else:
                made = [self._add(entry, results[entry.oid]) for entry in run]
                if keys and all(made):
                    self._new[keys[number]] = json.dumps(made).encode()

    def _results(self, entries: list[EntryLike]) -> dict[str, tuple[str, Sequence[str]] | Invalid]:
        """Of each blob, its identity or what is wrong with it."""
        results: dict[str, tuple[str, Sequence[str]] | Invalid] = {}
        paths = {entry.oid: entry.path for entry in reversed(entries)}
        if self._cache is not None and paths:
            found = self._cache.get_many([f"{oid}:{self._fingerprint}" for oid in paths])
            for key, value in found.items():
                oid = key.partition(":")[0]
                head, _, body = value.partition(b"\n")
                results[oid] = tuple(json.loads(head))
                self._shelf.keep_body(oid, body)
        wanted = [oid for oid in reversed(paths) if oid not in results]
        contents = ((paths[oid], oid, data) for oid, data in self._source.read(wanted))
        for oid, result in check_all(contents, len(wanted), self._jobs):
            if isinstance(result, Invalid):
                results[oid] = result
            else:
                results[oid] = (result.identity.kind, result.identity.names)
                self._keep(oid, result)
        return results

    def _keep(self, oid: str, valid: Valid) -> None:
        if valid.manifest is not None:
            self._shelf.keep(oid, valid.manifest)
        else:
            self._shelf.keep_body(oid, valid.body)
        if self._cache is not None:
            head = json.dumps([valid.identity.kind, valid.identity.names]).encode()
            self._new[f"{oid}:{self._fingerprint}"] = head + b"\n" + valid.body

    def _add(self, entry: EntryLike, result: tuple[str, Sequence[str]] | Invalid) -> Row | None:
        """Take a file into the inventory; its row when it is valid."""
        if isinstance(result, Invalid):
            self._diagnostics += _at_path(result.diagnostics, entry.path)
            if result.identity is None:
                self._refused = True
            else:
                self._inventory.add_invalid(result.identity, entry.path, entry.oid)
            return None
        kind, names = result
        conventional = Identity(kind, tuple(names)).conventional_path == entry.path
        self._inventory.add(kind, names, entry.path, entry.oid, conventional)
        return kind, tuple(names), conventional

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

    def _desired(self, files: _Files) -> Desired | None:
        places = self._inventory.places
        registries: Mapping[str, Any] = LazyManifests(places["Registry"], self._shelf)
        if not registries:
            return None
        made: dict[str, Any] = {
            name: LazyManifests(places[kind], self._shelf) for name, kind in _FIELDS.items()
        }
        beside = {
            name: self._beside(place, files) for name, place in places["BuildTemplate"].items()
        }
        templates = LazyTemplates(LazyManifests(places["BuildTemplate"], self._shelf), beside)
        return Desired(registries[next(iter(registries))], templates=templates, **made)

    def _beside(self, place: Place, files: _Files) -> LazyFiles:
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


def _runs(entries: list[EntryLike]) -> list[list[EntryLike]]:
    """The entries in runs of about 256. Contents decide where a run ends, so a change moves no other run's end."""
    runs: list[list[EntryLike]] = []
    run: list[EntryLike] = []
    for entry in entries:
        run.append(entry)
        if entry.oid[-2:] == "00":
            runs.append(run)
            run = []
    if run:
        runs.append(run)
    return runs


def _run_key(run: list[EntryLike], fingerprint: str) -> str:
    text = "\0".join([part for entry in run for part in (entry.path, entry.oid)])
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return f"run-{digest}:{fingerprint}"
