"""Many manifests together: identity, holding and refusing, caches, processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from manifests_samples import FULL, PATHS, repository

from registry_tool.domain.diagnostics import Diagnostic, Severity
from registry_tool.domain.kinds import conventional_path
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.manifests.identity import identity_of
from registry_tool.manifests.loading import Loaded, load
from registry_tool.manifests.source import DictSource, Entry, blob_oid
from registry_tool.manifests.validating import Valid, read_manifest

RELEASE = ReleaseId("minilm", "1.10.0", "Q4_K_M")


class MemoryCache:
    """Remembers everything and counts what it was asked."""

    def __init__(self) -> None:
        self.items: dict[str, bytes] = {}

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self.items[key] for key in keys if key in self.items}

    def put_many(self, items: Mapping[str, bytes]) -> None:
        self.items.update(items)


class CountingSource(DictSource):
    """Counts the blobs that are read."""

    reads = 0

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        self.reads += len(oids)
        return super().read(oids)


def codes(loaded: Loaded) -> list[tuple[str, str]]:
    return [(entry.code, entry.path) for entry in loaded.diagnostics]


def only(loaded: Loaded) -> Diagnostic:
    assert len(loaded.diagnostics) == 1, loaded.diagnostics
    return loaded.diagnostics[0]


def contents(loaded: Loaded) -> object:
    """Everything that a load says, looked at in full."""
    desired = loaded.desired
    assert desired is not None
    return (
        desired.registry,
        *(dict(mapping) for mapping in (desired.models, desired.releases, desired.locks)),
        *(dict(mapping) for mapping in (desired.environments, desired.deployments)),
        dict(desired.api_keys),
        {name: (t.located, dict(t.files)) for name, t in desired.templates.items()},
        loaded.diagnostics,
        loaded.checked,
        loaded.held,
        loaded.refused,
        dict(loaded.paths),
    )


def many(count: int) -> dict[str, bytes]:
    files = repository()
    for number in range(count):
        text = FULL["Model"].replace(b"name: minilm", b"name: minilm-%d" % number)
        files[f"manifests/models/minilm-{number}.yaml"] = text
    return files


def test_a_good_repository_has_all_manifests_by_identity() -> None:
    loaded = load(DictSource(repository()))
    desired = loaded.desired
    assert desired is not None
    assert loaded.diagnostics == ()
    assert (loaded.checked, loaded.held, loaded.refused) == (8, frozenset(), False)
    assert desired.registry.manifest.metadata.name == "main"
    assert list(desired.models) == ["minilm"]
    assert list(desired.releases) == [RELEASE] == list(desired.locks)
    assert desired.deployments[DeploymentId("production", "search")].path == PATHS["Deployment"]
    assert desired.releases[RELEASE].oid == blob_oid(FULL["Release"])
    template = desired.templates["python-server"]
    assert template.manifest.metadata.name == "python-server"
    assert template.files["server.py.j2"].content == b"print('{{ model }}')\n"
    assert dict(loaded.paths) == {
        "registry/main": PATHS["Registry"],
        "model/minilm": PATHS["Model"],
        RELEASE.subject: PATHS["Release"],
        "environment/production": PATHS["Environment"],
        "deployment/production/search": PATHS["Deployment"],
        "api-key/dashboard": PATHS["ApiKey"],
        "template/python-server": PATHS["BuildTemplate"],
    }


@pytest.mark.parametrize("kind", PATHS)
def test_identity_is_what_the_domain_says(kind: str) -> None:
    result = read_manifest("x.yaml", FULL[kind])
    assert isinstance(result, Valid)
    manifest = result.manifest
    assert manifest is not None
    identity = identity_of(manifest)  # type: ignore[arg-type]
    assert identity == result.identity
    assert identity.subject == manifest.subject  # type: ignore[attr-defined]
    assert identity.conventional_path == conventional_path(manifest) == PATHS[kind]  # type: ignore[arg-type]


def test_other_files_are_left_alone() -> None:
    files = repository() | {
        "manifests/README.md": b"\xff not: [yaml",
        "manifests/models/notes.txt": b"{",
        "manifests/models/minilm.yaml.orig": b"{",
        "build_templates/README.md": b"# templates",
        "build_templates/python-server/values.yaml": b"not: [a manifest",
        "docs/x.yaml": b"{",
    }
    loaded = load(DictSource(files))
    assert (loaded.checked, loaded.diagnostics) == (8, ())
    assert loaded.desired is not None
    assert "values.yaml" in loaded.desired.templates["python-server"].files


def test_executable_template_files_are_known() -> None:
    files: dict[str, bytes | tuple[str, bytes]] = dict(repository())
    files["build_templates/python-server/run.sh"] = ("100755", b"#!/bin/sh\n")
    loaded = load(DictSource(files))
    assert loaded.desired is not None
    beside = loaded.desired.templates["python-server"].files
    assert {path: file.executable for path, file in beside.items()} == {
        "run.sh": True,
        "server.py.j2": False,
    }


def test_a_moved_manifest_is_the_same_with_a_warning() -> None:
    files = repository()
    files["manifests/models/elsewhere.yml"] = files.pop(PATHS["Model"])
    loaded = load(DictSource(files))
    entry = only(loaded)
    assert (entry.code, entry.severity) == ("RT203", Severity.WARNING)
    assert entry.help == f"git mv manifests/models/elsewhere.yml {PATHS['Model']}"
    assert not loaded.refused
    assert loaded.held == frozenset()
    assert loaded.desired is not None
    assert list(loaded.desired.models) == ["minilm"]


def test_the_same_name_twice_is_refused_and_names_both_places() -> None:
    files = repository()
    files["manifests/models/second.yaml"] = b"# a comment\n" + FULL["Model"]
    loaded = load(DictSource(files))
    entry = only(loaded)
    assert (entry.code, entry.path, entry.span.line) == ("RT201", "manifests/models/second.yaml", 5)
    assert [(place.path, place.line) for place in entry.related] == [(PATHS["Model"], 4)]
    assert loaded.refused


def test_the_same_blob_twice_is_a_duplicate_too() -> None:
    files = repository()
    files["manifests/models/zcopy.yaml"] = FULL["Model"]
    assert codes(load(DictSource(files))) == [("RT201", "manifests/models/zcopy.yaml")]


def test_spellings_of_one_version_are_one_release() -> None:
    files = repository()
    path = "manifests/releases/minilm/1.10/Q4_K_M.yaml"
    files[path] = FULL["Release"].replace(b"v1.10", b'"1.10"')
    loaded = load(DictSource(files))
    assert codes(loaded) == [("RT201", path)]
    assert loaded.refused


def test_a_lock_does_not_clash_with_its_release() -> None:
    loaded = load(DictSource(repository()))
    assert loaded.diagnostics == ()


def test_a_duplicate_is_found_when_one_of_the_two_has_errors() -> None:
    files = repository()
    files["manifests/models/second.yaml"] = FULL["Model"] + b"  oops: 1\n"
    loaded = load(DictSource(files))
    assert codes(loaded) == [
        ("RT201", "manifests/models/second.yaml"),
        ("RT101", "manifests/models/second.yaml"),
    ]
    assert loaded.refused


def test_quantizations_that_differ_in_case_are_an_error() -> None:
    files = repository()
    path = "manifests/releases/minilm/1.10.0/q4_k_m.yaml"
    files[path] = FULL["Release"].replace(b"Q4_K_M", b"q4_k_m")
    loaded = load(DictSource(files))
    entry = only(loaded)
    assert (entry.code, entry.path, entry.span.column) == ("RT202", path, 17)
    assert [place.path for place in entry.related] == [PATHS["Release"]]
    assert loaded.held == {"release/minilm/1.10.0/q4_k_m"}
    assert not loaded.refused


def test_a_schema_error_holds_its_subject() -> None:
    files = repository()
    files[PATHS["Release"]] = FULL["Release"].replace(b"stage: released", b"stage: relased")
    loaded = load(DictSource(files))
    assert loaded.held == {RELEASE.subject}
    assert not loaded.refused
    assert only(loaded).subject == RELEASE.subject
    assert loaded.paths[RELEASE.subject] == PATHS["Release"]
    assert loaded.desired is not None
    assert RELEASE not in loaded.desired.releases
    assert RELEASE in loaded.desired.locks


def test_an_error_in_a_lock_holds_the_release() -> None:
    files = repository()
    files[PATHS["ArtifactLock"]] = FULL["ArtifactLock"].replace(b"role: weights", b"role: weight")
    loaded = load(DictSource(files))
    assert loaded.held == {RELEASE.subject}
    assert not loaded.refused


def test_an_invalid_name_leaves_identity_unknown() -> None:
    files = repository()
    files[PATHS["Model"]] = FULL["Model"].replace(b"name: minilm", b"name: MiniLM")
    loaded = load(DictSource(files))
    assert (loaded.held, loaded.refused) == (frozenset(), True)


def test_an_unreadable_file_is_refused_and_the_rest_is_there() -> None:
    files = repository()
    files[PATHS["Model"]] = b"a: [\n"
    loaded = load(DictSource(files))
    assert codes(loaded) == [("RT004", PATHS["Model"])]
    assert loaded.refused
    assert loaded.desired is not None
    assert RELEASE in loaded.desired.releases


def test_a_key_given_twice_elsewhere_holds_only() -> None:
    files = repository()
    files[PATHS["Model"]] = FULL["Model"] + b"  license: MIT\n"
    loaded = load(DictSource(files))
    assert (loaded.held, loaded.refused) == ({"model/minilm"}, False)


def test_a_name_given_twice_leaves_identity_unknown() -> None:
    files = repository()
    files[PATHS["Model"]] = FULL["Model"].replace(
        b"  name: minilm\n", b"  name: minilm\n  name: m\n"
    )
    assert load(DictSource(files)).refused


def test_no_registry() -> None:
    files = repository()
    del files[PATHS["Registry"]]
    loaded = load(DictSource(files))
    assert codes(loaded) == [("RT204", PATHS["Registry"])]
    assert loaded.desired is None
    assert loaded.refused


def test_no_files_at_all() -> None:
    loaded = load(DictSource({}))
    assert codes(loaded) == [("RT204", PATHS["Registry"])]
    assert loaded.checked == 0


def test_two_registries() -> None:
    files = repository()
    files["manifests/settings.yaml"] = FULL["Registry"].replace(b"name: main", b"name: other")
    loaded = load(DictSource(files))
    assert ("RT204", "manifests/settings.yaml") in codes(loaded)
    assert loaded.refused


def test_an_invalid_registry_is_reported_once() -> None:
    files = repository()
    files[PATHS["Registry"]] = FULL["Registry"].replace(b"storage:", b"storige:")
    loaded = load(DictSource(files))
    assert {code for code, _ in codes(loaded)} == {"RT101", "RT102"}
    assert loaded.desired is None
    assert loaded.refused


@pytest.mark.parametrize(("mode", "word"), [("120000", "symbolic link"), ("160000", "submodule")])
def test_what_is_not_a_regular_file_is_refused(mode: str, word: str) -> None:
    files: dict[str, bytes | tuple[str, bytes]] = dict(repository())
    files["manifests/models/link.yaml"] = (mode, b"../../etc/passwd")
    loaded = load(DictSource(files))
    entry = only(loaded)
    assert (entry.code, entry.path) == ("RT013", "manifests/models/link.yaml")
    assert word in entry.message
    assert loaded.refused


def test_a_link_beside_a_template_holds_the_template() -> None:
    files: dict[str, bytes | tuple[str, bytes]] = dict(repository())
    files["build_templates/python-server/lib"] = ("120000", b"../../../secret")
    loaded = load(DictSource(files))
    assert only(loaded).code == "RT013"
    assert (loaded.held, loaded.refused) == ({"template/python-server"}, False)


def test_a_template_elsewhere_has_no_files() -> None:
    files = repository()
    files["manifests/template.yaml"] = files.pop(PATHS["BuildTemplate"])
    loaded = load(DictSource(files))
    assert only(loaded).code == "RT203"
    assert loaded.desired is not None
    assert dict(loaded.desired.templates["python-server"].files) == {}


def test_a_record_is_not_a_manifest() -> None:
    files = repository() | {"manifests/build.yaml": FULL["Build"]}
    loaded = load(DictSource(files))
    assert codes(loaded) == [("RT105", "manifests/build.yaml")]


# --- caches and processes ----------------------------------------------------------------------


def bad(files: dict[str, bytes]) -> dict[str, bytes]:
    return files | {
        "manifests/models/a.yaml": b"a: [\n",
        "manifests/models/b.yaml": FULL["Model"] + b"  x: 1\n",
        "manifests/models/z.yaml": FULL["Model"] + b"  x: 1\n",
    }


@pytest.mark.parametrize("spoil", [False, True])
def test_warm_load_equals_cold_load(spoil: bool) -> None:
    files = bad(many(600)) if spoil else many(600)
    cold = load(DictSource(files))
    cache = MemoryCache()
    first = load(DictSource(files), cache)
    second = load(DictSource(files), cache)
    assert contents(cold) == contents(first) == contents(second)


def test_a_warm_load_reads_no_file() -> None:
    files, cache = many(300), MemoryCache()
    load(DictSource(files), cache)
    source = CountingSource(files)
    loaded = load(source, cache)
    assert loaded.desired is not None
    assert len(dict(loaded.desired.models)) == 301
    assert source.reads == 0


def test_a_change_reads_only_the_changed_file() -> None:
    files, cache = many(600), MemoryCache()
    load(DictSource(files), cache)
    files["manifests/models/minilm-7.yaml"] += b"  # changed\n"
    source = CountingSource(files)
    load(source, cache)
    assert source.reads == 1


def test_a_cache_that_forgot_half_of_it_is_no_problem() -> None:
    files, cache = many(300), MemoryCache()
    cold = contents(load(DictSource(files), cache))
    cache.items = {key: value for key, value in cache.items.items() if key.startswith("run-")}
    assert contents(load(DictSource(files), cache)) == cold
    cache.items = {}
    warm = load(DictSource(files), cache)
    cache.items = {}
    assert contents(warm) == cold


@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"[1, 2]", b"\xff", b'["Model", ["x"]]\n{"kind": 1}']
)
def test_a_damaged_cache_only_costs_time(garbage: bytes) -> None:
    files, cache = many(50), MemoryCache()
    cold = contents(load(DictSource(files), cache))
    bodies = {key: value for key, value in cache.items.items() if not key.startswith("run-")}
    heads = {key: value.partition(b"\n")[0] + b"\n" + garbage for key, value in bodies.items()}
    for damaged in (dict.fromkeys(cache.items, garbage[:5]), heads):
        cache.items = damaged
        assert contents(load(DictSource(files), cache)) == cold


def test_processes_give_the_same_result() -> None:
    files = bad(many(1600))
    assert contents(load(DictSource(files))) == contents(load(DictSource(files), jobs=2))


def test_entries_need_only_look_like_entries() -> None:
    class Other:
        def __init__(self, entry: Entry) -> None:
            self.path, self.mode, self.oid = entry.path, entry.mode, entry.oid

    class OtherSource:
        def __init__(self, inner: DictSource) -> None:
            self._inner = inner

        def entries(self) -> Sequence[Other]:
            return [Other(entry) for entry in self._inner.entries()]

        def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
            return self._inner.read(oids)

    assert load(OtherSource(DictSource(repository()))).diagnostics == ()
