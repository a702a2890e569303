"""Files that appear complete or not at all, and what is left of those whose writer died.

A partial file is locked by its writer for as long as that lives. Whoever can take the lock knows
that the writer is gone, in whichever container it ran, and removes the file.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EMLINK, ENOENT, ENOSYS, ENOTSUP, EPERM, EXDEV
from pathlib import Path
from typing import IO

from registry_tool.oci.tar import Chunk


@contextmanager
def partial_file(folder: Path) -> Iterator[tuple[Path, IO[bytes]]]:
    """A new file in `folder`, open for writing, removed at the end unless it was renamed."""
    path, file = _locked_file(folder)
    try:
        with file:
            yield path, file
    finally:
        path.unlink(missing_ok=True)


def write_all(file: IO[bytes], data: Chunk) -> None:
    """Write to an unbuffered file, which may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def settle(file: IO[bytes], *, for_good: bool) -> None:
    """Bring the content to the disk, so that a rename can follow; `for_good` forbids changes."""
    if for_good:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        os.fchmod(file.fileno(), mode & ~0o222)
    os.fsync(file.fileno())


def link(source: Path, destination: Path) -> bool:
    """Give a file a second name; False where that cannot be, True also when the name is taken."""
    try:
        os.link(source, destination)
    except FileExistsError:
        return True
    except OSError as problem:
        # No such source, no hard links on this file system, or too many of them already.
        if problem.errno in {ENOENT, EXDEV, EPERM, EMLINK, ENOTSUP, ENOSYS}:
            return False
        raise
    return True


def settle_directory(folder: Path) -> None:
    """Bring the names in a directory to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> int:
    """Remove the partial files of writers that are gone; how many there were."""
    removed = 0
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        with suppress(FileNotFoundError), path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # its writer lives, or cannot be asked
            path.unlink()
            removed += 1
    return removed


def _locked_file(folder: Path) -> tuple[Path, IO[bytes]]:
    while True:
        path = folder / secrets.token_hex(16)
        file = path.open("xb", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A sweep between the two calls may have taken the file for a dead writer's.
            if path.exists():
                return path, file
        except OSError:
            file.close()
            path.unlink(missing_ok=True)
            raise
        file.close()
