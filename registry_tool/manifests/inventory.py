"""The manifests of one load: which there are, which clash, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from registry_tool.domain.diagnostics import Finding, RelatedPlace, Severity
from registry_tool.domain.kinds import MANIFEST_KINDS
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.manifests.identity import Identity, identity_place
from registry_tool.manifests.source import EntryLike

Key = Any
"""What `Desired` calls a manifest of a kind: a name, a ReleaseId or a DeploymentId."""

_KEY_TYPES: dict[str, Any] = {
    "Release": ReleaseId,
    "ArtifactLock": ReleaseId,
    "Deployment": DeploymentId,
}


class Inventory:
    """Identities and places, in the order of their paths."""

    def __init__(self) -> None:
        self.places: dict[str, dict[Key, EntryLike]] = {kind: {} for kind in MANIFEST_KINDS}
        self.doubles: list[tuple[Identity, EntryLike, EntryLike]] = []
        self.misplaced: list[tuple[Identity, str]] = []
        self.invalid: dict[Identity, EntryLike] = {}

    def add(self, kind: str, names: Sequence[str], entries: Sequence[EntryLike]) -> None:
        """Valid manifests of one kind; names of several parts are joined by slashes."""
        key_type = _KEY_TYPES.get(kind)
        keys: Sequence[Key] = names
        if key_type is not None:
            keys = [key_type._make(name.split("/")) for name in names]
        places = self.places[kind]
        new = dict(zip(keys, entries, strict=True))
        if len(new) == len(keys) and places.keys().isdisjoint(new):
            places.update(new)
            return
        for key, entry in zip(keys, entries, strict=True):
            if places.setdefault(key, entry) is not entry:
                self.doubles.append((identity_of_key(kind, key), places[key], entry))

    def add_misplaced(self, kind: str, name: str, path: str) -> None:
        """A valid manifest that is not where it belongs."""
        self.misplaced.append((Identity(kind, tuple(name.split("/"))), path))

    def add_invalid(self, identity: Identity, place: EntryLike) -> None:
        """A manifest with errors whose identity is known all the same."""
        if identity in self.invalid:
            self.doubles.append((identity, self.invalid[identity], place))
        else:
            self.invalid[identity] = place

    @property
    def held(self) -> frozenset[str]:
        """Subjects with errors."""
        return frozenset(identity.subject for identity in self.invalid)

    def identity_findings(self) -> Iterator[Finding]:
        """Manifests that cannot both be (RT201, RT202, RT204 for a second Registry)."""
        doubles = list(self.doubles)
        for identity, place in self.invalid.items():
            valid = self.places[identity.kind].get(key_of(identity))
            if valid is not None:
                first, second = sorted((valid, place), key=lambda entry: entry.path)
                doubles.append((identity, first, second))
        for identity, first, second in doubles:
            if identity.kind != "Registry":
                yield _double(identity, first, second)
        yield from self._several_registries(doubles)
        yield from self._case_clashes()

    def _several_registries(
        self, doubles: list[tuple[Identity, EntryLike, EntryLike]]
    ) -> Iterator[Finding]:
        paths = {place.path for place in self.places["Registry"].values()}
        paths |= {place.path for identity, _, place in doubles if identity.kind == "Registry"}
        ordered = sorted(paths)
        for other in ordered[1:]:
            yield Finding(
                "RT204",
                other,
                ("kind",),
                "there is already a Registry, and a repository has exactly one",
                f"move its settings to {ordered[0]} and delete this file",
                (RelatedPlace(ordered[0], ("kind",), "the first one"),),
            )

    def _case_clashes(self) -> Iterator[Finding]:
        releases: dict[ReleaseId, EntryLike] = self.places["Release"]
        folded = {(model, version, name.lower()) for model, version, name in releases}
        if len(folded) == len(releases):
            return
        first: dict[tuple[str, str, str], ReleaseId] = {}
        for release, place in releases.items():
            known = first.setdefault(
                (release.model, release.version, release.quantization.lower()), release
            )
            if known != release:
                yield Finding(
                    "RT202",
                    place.path,
                    ("spec", "quantization"),
                    f'"{release.quantization}" and "{known.quantization}" differ only in case',
                    f"write {known.quantization}, or choose another name",
                    (
                        RelatedPlace(
                            releases[known].path, ("spec", "quantization"), "the other one"
                        ),
                    ),
                    subject=release.subject,
                )

    def misplaced_findings(self) -> Iterator[Finding]:
        """Files that are not where their manifests belong (RT203)."""
        doubles = {entry.path for _, _, entry in self.doubles}
        for identity, path in self.misplaced:
            if path in doubles:
                continue  # one of the two has to go first
            wanted = identity.conventional_path
            yield Finding(
                "RT203",
                path,
                (),
                f"{identity.subject} belongs in {wanted}",
                f"git mv {path} {wanted}",
                severity=Severity.WARNING,
                subject=identity.subject,
            )

    def paths(self) -> dict[str, str]:
        """The file of every subject; of a release that is its manifest, not its lock."""
        found: dict[str, str] = {}
        for kind, places in self.places.items():
            if kind == "ArtifactLock":
                continue
            for key, place in places.items():
                found[identity_of_key(kind, key).subject] = place.path
        for identity, place in self.invalid.items():
            found.setdefault(identity.subject, place.path)
        return found


def key_of(identity: Identity) -> Key:
    """What `Desired` calls it."""
    key_type = _KEY_TYPES.get(identity.kind)
    return key_type(*identity.names) if key_type else identity.names[0]


def identity_of_key(kind: str, key: Key) -> Identity:
    """The inverse of `key_of`."""
    return Identity(kind, (key,) if isinstance(key, str) else tuple(key))


def _double(identity: Identity, first: EntryLike, second: EntryLike) -> Finding:
    pointer = identity_place(identity.kind)
    what = "the lock of " if identity.kind == "ArtifactLock" else ""
    return Finding(
        "RT201",
        second.path,
        pointer,
        f"{what}{identity.subject} is declared twice",
        "delete one of the two files, or rename one of the manifests",
        (RelatedPlace(first.path, pointer, "first here"),),
    )


class LazyPaths(Mapping[str, str]):
    """`Inventory.paths`, made when somebody asks."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._paths: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._paths is None:
            self._paths = self._inventory.paths()
        return self._paths

    def __getitem__(self, subject: str) -> str:
        return self._all()[subject]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
