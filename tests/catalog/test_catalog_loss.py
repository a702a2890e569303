"""Catalogs that are lost or damaged, or whose branch moves back, while others read them."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from projected import Projected

from registry_tool.catalog.listing import ListQuery
from registry_tool.errors import CatalogProblem


class _Readers:
    """Threads that ask all the time, and remember what cannot be true."""

    def __init__(self, projected: Projected) -> None:
        self._projected = projected
        self._done = threading.Event()
        self.models: dict[str, int] = {}
        """How many there are at each commit."""
        self.problems: list[BaseException] = []
        self.answers = 0

    @contextmanager
    def reading(self, count: int = 3) -> Iterator[None]:
        threads = [threading.Thread(target=self._read) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._done.set()
            for thread in threads:
                thread.join()

    def _read(self) -> None:
        try:
            while not self._done.is_set():
                # That there is none for a moment is an honest answer.
                with suppress(CatalogProblem):
                    self._ask()
        except BaseException as problem:
            self.problems.append(problem)

    def _ask(self) -> None:
        with self._projected.catalogs.open() as catalog:
            page = catalog.page(ListQuery("models", facets=("license",), sort=("-created",)))
            about = catalog.about()
            catalog.search("model")
            assert page.total == len(page.items) == about.counts["models"]
            assert page.total == self.models[about.pair.manifests]
            assert about.counts["audit"] == catalog.page(ListQuery("audit")).total
            self.answers += 1

    def wait_for_answer(self) -> None:
        """Until somebody has been answered after now; looks at Git meanwhile, as a server does."""
        before = self.answers
        for _ in range(2000):
            with suppress(CatalogProblem):
                self._projected.updater.refresh()
            if self.answers > before or self.problems:
                return
            self._done.wait(0.005)
        raise AssertionError("nobody is answered any more")


@pytest.fixture
def readers(projected: Projected) -> _Readers:
    found = _Readers(projected)
    found.models[projected.folder.git("rev-parse", "HEAD")] = 1
    projected.updater.refresh()
    return found


def _push(projected: Projected, readers: _Readers, number: int) -> None:
    projected.folder.model(f"model-{number}")
    projected.folder.git("add", "-A")
    count = len(list((projected.folder.path / "manifests/models").iterdir()))
    projected.folder.git("commit", "--quiet", "-m", f"Add {number}")
    readers.models[projected.folder.git("rev-parse", "HEAD")] = count


def _delete(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def _delete_all(file: Path) -> None:
    shutil.rmtree(file.parent)


def _truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _overwrite(file: Path) -> None:
    with file.open("r+b") as stream:
        stream.write(b"rubbish" * (file.stat().st_size // 7))


@pytest.mark.parametrize("harm", [_delete, _delete_all, _truncate, _overwrite])
def test_loss_while_it_is_read_shows_no_half_state(
    projected: Projected, readers: _Readers, harm: object
) -> None:
    with readers.reading():
        for number in range(3):
            _push(projected, readers, number)
            readers.wait_for_answer()
            with suppress(FileNotFoundError):
                harm(projected.file)  # type: ignore[operator]
            readers.wait_for_answer()
    assert not readers.problems
    # What was kept in memory may have hidden the damage; to who comes anew it shows at once, and is gone then.
    projected.catalogs.close()
    for _ in range(3):
        with suppress(CatalogProblem):
            projected.updater.refresh()
            with projected.catalogs.open() as catalog:
                assert catalog.page(ListQuery("models")).total == 4
                assert len(catalog.search("model")) > 1
            return
    pytest.fail("it was not made anew")


def test_branch_that_moves_back_while_it_is_read_shows_no_half_state(
    projected: Projected, readers: _Readers
) -> None:
    file = projected.file
    with readers.reading():
        for number in range(4):
            _push(projected, readers, 2 * number)
            readers.wait_for_answer()
            _push(projected, readers, 2 * number + 1)
            readers.wait_for_answer()
            projected.folder.git("reset", "--quiet", "--hard", "HEAD~1")
            readers.wait_for_answer()
    assert not readers.problems
    projected.assert_like_fresh(0)
    assert projected.file == file
