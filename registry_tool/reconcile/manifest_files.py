"""Manifest and record files of a commit, or some of them, read in pieces that fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from registry_tool.catalog.inputs import (
    InvalidFile,
    ManifestFile,
    Problem,
    RecordFile,
    TemplateFile,
)
from registry_tool.domain.desired import Located
from registry_tool.domain.diagnostics import Diagnostic, Severity
from registry_tool.domain.kinds import TEMPLATES_FOLDER, AnyManifest
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.recorded import (
    REQUESTS_FOLDER,
    builds_folder,
    deployments_folder,
    parse_record_file_name,
)
from registry_tool.domain.records import Build, DeploymentRecord, Request
from registry_tool.errors import InvalidManifests, RegistryToolError
from registry_tool.manifests.loading import Loaded, load
from registry_tool.manifests.records import parse_record
from registry_tool.manifests.source import REGULAR_MODES, Cache, EntryLike, Source
from registry_tool.manifests.validating import Invalid, read_manifest
from registry_tool.reconcile.lineage import plain
from registry_tool.repository.repository import Repository

REGISTRY_PATH = "manifests/registry.yaml"
_AT_ONCE = 16_000


class Doubtful(RegistryToolError):
    """Only a look at all files together can tell whether a revision is acceptable."""


@dataclass(frozen=True)
class _Part:
    """Some files of a source."""

    source: Source
    some: Sequence[EntryLike]

    def entries(self) -> Sequence[EntryLike]:
        """These files only."""
        return self.some

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Contents, from the whole source."""
        return self.source.read(oids)


def read_manifests(
    source: Source,
    entries: Sequence[EntryLike],
    registry: EntryLike | None,
    cache: Cache | None,
    jobs: int,
) -> Iterator[ManifestFile | InvalidFile]:
    """Manifests among `entries`, which hold whole folders of templates or none of their files.

    `registry` is the Registry's file: a part of a repository without one cannot be read. Raises Doubtful where
    identities are not known or clash, and when there is no Registry.
    """
    if registry is None:
        raise Doubtful("the Registry is not where it belongs")
    folder = f"{TEMPLATES_FOLDER}/"
    templates = [entry for entry in entries if entry.path.startswith(folder)]
    others = iter([entry for entry in entries if not entry.path.startswith(folder)])
    if templates:
        yield from _read_part(source, templates, registry, cache, jobs)
    while some := list(islice(others, _AT_ONCE)):
        yield from _read_part(source, some, registry, cache, jobs)


def _read_part(
    source: Source, some: Sequence[EntryLike], registry: EntryLike, cache: Cache | None, jobs: int
) -> Iterator[ManifestFile | InvalidFile]:
    wanted = {entry.path for entry in some}
    whole = some if registry.path in wanted else sorted((*some, registry), key=lambda e: e.path)
    loaded = load(_Part(source, whole), cache, jobs=jobs)
    if loaded.refused or loaded.desired is None:
        raise Doubtful("some identities are not known")
    valid: set[str] = set()
    beside = _beside(some)
    for located, name in _located(loaded):
        valid.add(located.path)
        if located.path in wanted:
            yield _manifest_file(located, name, beside)
    yield from _invalid_files(source, loaded, {entry.path: entry for entry in some}, valid)


def _located(loaded: Loaded) -> Iterator[tuple[Located[Manifest], str]]:
    """All manifests with their identities."""
    desired = loaded.desired
    if desired is None:
        return
    registry: Located[Manifest] = desired.registry
    yield registry, desired.registry.manifest.metadata.name
    kinds: tuple[Mapping[object, Located[Manifest]], ...] = (
        *(desired.models, desired.releases, desired.locks),
        *(desired.environments, desired.deployments, desired.api_keys),
    )  # type: ignore[assignment]
    for located_by_key in kinds:
        for key in located_by_key:
            yield located_by_key[key], str(key)
    for name in desired.templates:
        yield desired.templates[name].located, name


def _beside(entries: Iterable[EntryLike]) -> Mapping[str, list[TemplateFile]]:
    """Regular files in the folders of templates, the templates themselves left out."""
    found: dict[str, list[TemplateFile]] = {}
    for entry in entries:
        parts = entry.path.split("/", 2)
        if parts[0] == TEMPLATES_FOLDER and len(parts) == 3 and entry.mode in REGULAR_MODES:
            file = TemplateFile(plain(parts[2]), entry.oid, entry.mode == "100755")
            found.setdefault(parts[1], []).append(file)
    return found


def _manifest_file(
    located: Located[Manifest], name: str, beside: Mapping[str, list[TemplateFile]]
) -> ManifestFile:
    manifest: AnyManifest = located.manifest  # type: ignore[assignment]
    files: list[TemplateFile] = []
    parts = located.path.split("/")
    if manifest.kind == "BuildTemplate" and parts[0] == TEMPLATES_FOLDER and len(parts) == 3:
        others = ("template.yaml", "template.yml")
        files = [file for file in beside.get(parts[1], ()) if file.path not in others]
    path = plain(located.path)
    return ManifestFile(path, located.oid, manifest.kind, name, manifest, tuple(files))


def _invalid_files(
    source: Source, loaded: Loaded, entries: Mapping[str, EntryLike], valid: set[str]
) -> Iterator[InvalidFile]:
    """Files with errors that do not keep the others from being used."""
    wrong: dict[str, list[Diagnostic]] = {}
    for diagnostic in loaded.diagnostics:
        path = diagnostic.path
        if diagnostic.severity is Severity.ERROR and path in entries and path not in valid:
            wrong.setdefault(path, []).append(diagnostic)
    kinds = _kinds(source, [entries[path] for path in wrong if entries[path].mode in REGULAR_MODES])
    for path, diagnostics in wrong.items():
        problems = tuple(map(problem_of, diagnostics))
        yield InvalidFile(plain(path), diagnostics[0].subject, problems, kinds.get(path))


def _kinds(source: Source, entries: Sequence[EntryLike]) -> dict[str, str]:
    contents = dict(source.read(sorted({entry.oid for entry in entries})))
    found = {}
    for entry in entries:
        checked = read_manifest(entry.path, contents[entry.oid])
        if isinstance(checked, Invalid) and checked.identity is not None:
            found[entry.path] = checked.identity.kind
    return found


def problem_of(diagnostic: Diagnostic) -> Problem:
    """A diagnostic as the catalog keeps it."""
    span = diagnostic.span
    return Problem(diagnostic.code, diagnostic.message, span.line, span.column, diagnostic.help)


def refusals(loaded: Loaded) -> tuple[InvalidFile, ...]:
    """Why a revision is not accepted: the files with errors, by path."""
    found: dict[str, list[Diagnostic]] = {}
    for diagnostic in loaded.diagnostics:
        if diagnostic.severity is Severity.ERROR:
            found.setdefault(diagnostic.path, []).append(diagnostic)
    return tuple(
        InvalidFile(plain(path), diagnostics[0].subject, tuple(map(problem_of, diagnostics)))
        for path, diagnostics in found.items()
    )


# --- records -------------------------------------------------------------------------------------


def read_records(
    repository: Repository, entries: Iterable[EntryLike]
) -> Iterator[RecordFile | InvalidFile]:
    """Records among files of the records branch; files that are no records are left out."""
    pending = iter([entry for entry in entries if _sequence(entry) is not None])
    while some := list(islice(pending, _AT_ONCE)):
        contents = repository.read_blobs([entry.oid for entry in some])
        for entry, (_, data) in zip(some, contents, strict=True):
            yield _record(entry, data)


def _sequence(entry: EntryLike) -> int | None:
    folder, _, name = entry.path.rpartition("/")
    parsed = parse_record_file_name(name)
    known = folder == REQUESTS_FOLDER or folder.startswith(("builds/", "deployments/"))
    return parsed[0] if parsed and known and entry.mode in REGULAR_MODES else None


def _record(entry: EntryLike, data: bytes) -> RecordFile | InvalidFile:
    path = plain(entry.path)
    try:
        record = parse_record(entry.path, data)
    except InvalidManifests as problem:
        return InvalidFile(path, None, tuple(map(problem_of, problem.diagnostics)))
    match record:
        case Build():
            folder = builds_folder(record.release)
        case DeploymentRecord():
            folder = deployments_folder(record.deployment)
        case Request():
            folder = REQUESTS_FOLDER
    if entry.path.rpartition("/")[0] != folder:
        foreign = Problem("RT203", f"this {record.kind} belongs in {folder}/", 1, 1, None)
        return InvalidFile(path, None, (foreign,))
    return RecordFile(path, _sequence(entry) or 0, record)
