"""The file tree of an image as each of the programs has it that pull images: Docker, podman, skopeo."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from services.engine import unavailable

_MADE_BY_DOCKER = frozenset(
    (".dockerenv", "dev", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "sys")
)
"""What an engine puts into every container."""


class Node(NamedTuple):
    """One entry of a tree."""

    kind: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    sha256: str = ""
    target: str = ""


Tree = dict[str, Node]


def require(program: str) -> None:
    """Skip where a program is missing, or fail in CI."""
    if shutil.which(program) is None:
        unavailable(f"there is no {program}: apt-get install {program}")


@contextmanager
def exported_by_docker(client: Any, reference: str) -> Iterator[tarfile.TarFile]:
    """Pulled by an engine, read from a container that is never started; both are gone afterwards."""
    import docker

    client.images.pull(reference)
    container = client.api.create_container(reference, "/never-run")
    try:
        with tempfile.TemporaryFile() as exported:
            for chunk in client.api.export(container):
                exported.write(chunk)
            exported.seek(0)
            with tarfile.open(fileobj=exported) as archive:
                yield archive
    finally:
        client.api.remove_container(container)
        with suppress(docker.errors.APIError):
            client.images.remove(reference)


def tree_in_docker(client: Any, reference: str) -> Tree:
    """As an engine has it, without what engines put into every container."""
    with exported_by_docker(client, reference) as archive:
        tree = _tree_of(archive)
    return {
        path: node
        for path, node in tree.items()
        if path not in _MADE_BY_DOCKER and not path.startswith("dev/")
    }


def _tree_of(archive: tarfile.TarFile) -> Tree:
    tree: Tree = {}
    for member in archive:
        path = member.name.removeprefix("./").strip("/")
        common = (stat.S_IMODE(member.mode), member.uid, member.gid)
        if member.isdir():
            tree[path] = Node("directory", *common)
        elif member.issym():
            tree[path] = Node("link", *common, target=member.linkname)
        else:
            file = archive.extractfile(member)
            assert file is not None, member
            content = file.read()
            digest = hashlib.sha256(content).hexdigest()
            tree[path] = Node("file", *common, len(content), digest)
    tree.pop(".", None)
    return tree


class Podman:
    """podman with a storage of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, *arguments: str) -> str:
        """What a command prints."""
        command = ["podman", "--root", self._folder / "root", "--runroot", self._folder / "run"]
        command += ["--tmpdir", self._folder / "tmp", "--storage-driver", "vfs"]
        ran = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    @contextmanager
    def mounted(self, reference: str) -> Iterator[Path]:
        """The root of a pulled image, which is removed afterwards."""
        image = self.run("pull", "--quiet", "--tls-verify=false", f"docker://{reference}")
        try:
            yield Path(self.run("image", "mount", image))
        finally:
            self.run("image", "umount", "--force", image)
            self.run("rmi", "--force", image)

    def tree(self, reference: str) -> Tree:
        """Pulled and read."""
        with self.mounted(reference) as root:
            return tree_of_folder(root)


@pytest.fixture
def podman() -> Iterator[Podman]:
    """A podman that has nothing yet. It refuses the long paths that pytest makes."""
    require("podman")
    if os.geteuid() != 0:
        unavailable("only root can keep the owners of files with podman")
    with tempfile.TemporaryDirectory(prefix="podman-") as folder:
        yield Podman(Path(folder))


def tree_of_folder(root: Path) -> Tree:
    """Everything below a folder."""
    tree: Tree = {}
    for path in sorted(root.rglob("*")):
        found = path.lstat()
        common = (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            tree[name] = Node("link", *common, target=str(path.readlink()))
        elif path.is_dir():
            tree[name] = Node("directory", *common)
        else:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            tree[name] = Node("file", *common, found.st_size, digest)
    return tree


def copied_by_skopeo(reference: str, folder: Path, tag: str) -> None:
    """Copy an image into an OCI layout, digests and all."""
    require("skopeo")
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [
        "skopeo",
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        "--src-tls-verify=false",
    ]
    command += [f"docker://{reference}", f"oci:{folder}:{tag}"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
