"""The records branch: immutable files, one an event, read when somebody looks at them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast, overload

from pydantic import ValidationError

from registry_tool.domain.kinds import RECORD_KINDS, AnyRecord
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.recorded import (
    REQUESTS_FOLDER,
    Recorded,
    Sequenced,
    parse_record_file_name,
)
from registry_tool.domain.records import Build, DeploymentRecord, Request
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.errors import InvalidManifests
from registry_tool.manifests.fingerprint import fingerprint
from registry_tool.manifests.parsing import Irregular, parse
from registry_tool.manifests.source import REGULAR_MODES, Cache, EntryLike

R_co = TypeVar("R_co", bound=Manifest, covariant=True)

Read = Callable[[Sequence[str]], Iterable[tuple[str, bytes]]]


def parse_record(path: str, data: bytes) -> AnyRecord:
    """The record in a file of the records branch; raises InvalidManifests."""
    try:
        value = parse(data)
        record = _validated(str(value["kind"]), json.dumps(value).encode())
        return cast(AnyRecord, record)
    except (Irregular, ValidationError, KeyError, TypeError):
        return _examined(path, data)


def _validated(kind: str, body: bytes) -> Manifest:
    record: Manifest = RECORD_KINDS[kind].__pydantic_validator__.validate_json(
        body, by_alias=True, by_name=False
    )
    return record


def _examined(path: str, data: bytes) -> AnyRecord:
    from registry_tool.manifests.examining import check_schema, diagnostics_of
    from registry_tool.manifests.reading import read_document

    document = read_document(data)
    troubles: list[Any] = []
    record: Manifest | None = None
    if document.root is not None:
        troubles, record = check_schema(document.root.value, document, RECORD_KINDS)
    if record is None or troubles or document.problems:
        diagnostics = diagnostics_of(path, document, troubles, None)
        raise InvalidManifests(f"{path} on the records branch is not a valid record", diagnostics)
    return cast(AnyRecord, record)


class _File(NamedTuple):
    sequence: int
    path: str
    oid: str


class _Reader:
    """Reads record files by oid; the newest of each folder together, because those are asked for first."""

    def __init__(self, read: Read, cache: Cache | None) -> None:
        self._read = read
        self._cache = cache
        self._first: list[_File] = []
        self._records: dict[str, AnyRecord] = {}
        self._bodies: dict[str, bytes] = {}

    def expect(self, file: _File) -> None:
        """This file will probably be asked for."""
        self._first.append(file)

    def get(self, file: _File) -> AnyRecord:
        """The record in a file; raises InvalidManifests."""
        if file.oid not in self._records and file.oid not in self._bodies:
            together, self._first = [*self._first, file], []
            self._fetch(together)
        if file.oid not in self._records:
            self._restore(file)
        return self._records[file.oid]

    def _restore(self, file: _File) -> None:
        body = self._bodies.pop(file.oid)
        try:
            record = cast(AnyRecord, _validated(str(json.loads(body)["kind"]), body))
            self._records[file.oid] = record
        except (ValueError, KeyError, TypeError):  # a damaged cache only costs time
            for oid, data in self._read([file.oid]):
                self._records[oid] = parse_record(file.path, data)

    def _fetch(self, files: list[_File]) -> None:
        paths = {file.oid: file.path for file in files if file.oid not in self._records}
        if self._cache is not None:
            keys = [f"{oid}:record:{fingerprint()}" for oid in paths]
            for key, body in self._cache.get_many(keys).items():
                self._bodies[key.partition(":")[0]] = body
        missing = [oid for oid in paths if oid not in self._bodies]
        new: dict[str, bytes] = {}
        for oid, data in self._read(missing) if missing else ():
            record = parse_record(paths[oid], data)
            self._records[oid] = record
            new[f"{oid}:record:{fingerprint()}"] = record.model_dump_json(by_alias=True).encode()
        if self._cache is not None and new:
            self._cache.put_many(new)


class _Folder(Sequence[Sequenced[R_co]], Generic[R_co]):
    """The records of one folder, ascending."""

    def __init__(
        self, files: list[_File], reader: _Reader, check: Callable[[AnyRecord, str], None]
    ) -> None:
        self._files = sorted(files)
        self._reader = reader
        self._check = check

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> Sequenced[R_co]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequenced[R_co]]: ...
    def __getitem__(self, index: int | slice) -> Sequenced[R_co] | Sequence[Sequenced[R_co]]:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        file = self._files[index]
        record = self._reader.get(file)
        self._check(record, file.path)
        return Sequenced(file.sequence, cast(R_co, record))


def load_recorded(
    oid: str | None, entries: Sequence[EntryLike], read: Read, cache: Cache | None = None
) -> Recorded:
    """The records of a tree of the records branch. Files that are not records are left alone.

    Records are read when they are looked at, so `read` must stay usable; a bad one raises InvalidManifests then.
    """
    reader = _Reader(read, cache)
    found: dict[tuple[str, ...], list[_File]] = {}
    for entry in entries:
        path, _, name = entry.path.rpartition("/")
        parsed = parse_record_file_name(name)
        if parsed is not None and entry.mode in REGULAR_MODES:
            found.setdefault(tuple(path.split("/")), []).append(
                _File(parsed[0], entry.path, entry.oid)
            )
    builds: dict[ReleaseId, Sequence[Sequenced[Build]]] = {}
    deployments: dict[DeploymentId, Sequence[Sequenced[DeploymentRecord]]] = {}
    requests: Sequence[Sequenced[Request]] = ()
    for folder_of, files in found.items():
        match folder_of:
            case ("builds", model, version, quantization):
                release = ReleaseId(model, version, quantization)
                builds[release] = _Folder(files, reader, _is_build_of(release))
                reader.expect(max(files))
            case ("deployments", environment, name):
                deployment = DeploymentId(environment, name)
                deployments[deployment] = _Folder(files, reader, _is_record_of(deployment))
                reader.expect(max(files))
            case (requests_folder,) if requests_folder == REQUESTS_FOLDER:
                requests = _Folder(files, reader, _is_request)
                for file in files:
                    reader.expect(file)
    return Recorded(oid, builds, deployments, requests)


def _is_build_of(release: ReleaseId) -> Callable[[AnyRecord, str], None]:
    def check(record: AnyRecord, path: str) -> None:
        if not isinstance(record, Build) or record.release != release:
            raise _foreign(path, f"a Build of {release.subject}")

    return check


def _is_record_of(deployment: DeploymentId) -> Callable[[AnyRecord, str], None]:
    def check(record: AnyRecord, path: str) -> None:
        if not isinstance(record, DeploymentRecord) or record.deployment != deployment:
            raise _foreign(path, f"a DeploymentRecord of {deployment.subject}")

    return check


def _is_request(record: AnyRecord, path: str) -> None:
    if not isinstance(record, Request):
        raise _foreign(path, "a Request")


def _foreign(path: str, wanted: str) -> InvalidManifests:
    return InvalidManifests(f"{path} on the records branch does not hold {wanted}", ())
