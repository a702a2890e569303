"""A catalog that another process derives."""

from __future__ import annotations

import subprocess
from pathlib import Path

from registries import RegistryFolder

from registry_tool.catalog.files import CatalogPair, Catalogs
from registry_tool.cli.deriving import DerivingApart, derive_apart, is_large
from registry_tool.repository.repository import Repository


class Counting:
    """An updater that only counts."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def refresh(self) -> CatalogPair | None:
        self.calls.append("refresh")
        return None

    def at(self, revision: str) -> CatalogPair:
        raise AssertionError(revision)

    def known(self, revision: str) -> CatalogPair | None:
        self.calls.append(revision)
        return None


def test_the_catalog_is_there_when_the_process_has_ended(
    registry: RegistryFolder, tmp_path: Path
) -> None:
    catalogs = Catalogs(tmp_path / "catalog")
    updater = Counting()
    apart = DerivingApart(
        updater, catalogs, lambda: derive_apart(str(registry.path), catalogs.directory)
    )
    apart.refresh()
    found = catalogs.current()
    assert found is not None
    assert found.manifests == registry.git("rev-parse", "HEAD")
    catalogs.close()


def test_another_process_is_asked_only_while_there_is_no_catalog(
    registry: RegistryFolder, tmp_path: Path
) -> None:
    catalogs, updater = Catalogs(tmp_path / "catalog"), Counting()

    def derive() -> None:
        updater.calls.append("derive")
        derive_apart(str(registry.path), catalogs.directory)

    apart = DerivingApart(updater, catalogs, derive)
    for _ in range(2):
        apart.refresh()
    assert apart.known("main") is None
    assert updater.calls == ["derive", "refresh", "refresh", "main"]
    catalogs.close()


def test_what_cannot_be_derived_apart_is_left_to_the_updater(tmp_path: Path) -> None:
    catalogs, updater = Catalogs(tmp_path / "catalog"), Counting()
    DerivingApart(
        updater, catalogs, lambda: derive_apart(str(tmp_path / "missing"), catalogs.directory)
    ).refresh()
    assert updater.calls == ["refresh"]
    assert catalogs.current() is None


def test_only_large_packs_make_a_repository_large(registry: RegistryFolder) -> None:
    with Repository.open(registry.path) as repository:
        assert not is_large(repository)
        (repository.common_dir / "objects/pack").mkdir(exist_ok=True)
        with (repository.common_dir / "objects/pack/pack-0.pack").open("wb") as pack:
            pack.truncate(4 << 20)
        assert is_large(repository)


def test_a_bare_repository_is_derived_as_well(registry: RegistryFolder, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", registry.path, bare], check=True)
    catalogs = Catalogs(tmp_path / "catalog")
    derive_apart(str(bare), catalogs.directory)
    assert catalogs.current() is not None
    catalogs.close()
