"""One Git repository: the only way the other packages reach Git."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from registry_tool.domain.patches import Patch
from registry_tool.domain.revisions import Revision, is_oid
from registry_tool.errors import RepositoryProblem
from registry_tool.repository import refs
from registry_tool.repository.command import GitCommand, decode
from registry_tool.repository.discovery import Location, locate
from registry_tool.repository.history import Change, CommitInfo, read_changes, read_commits
from registry_tool.repository.objects import ObjectReader
from registry_tool.repository.patches import read_patch
from registry_tool.repository.problems import shallow_clone, unborn_branch, unknown_revision
from registry_tool.repository.refs import RefUpdate
from registry_tool.repository.snapshots import Snapshot, commit_snapshot, index_snapshot
from registry_tool.repository.trees import (
    TREE_MODE,
    ObjectBatch,
    TreeEntry,
    TreeNode,
    find_entry,
    list_tree,
    object_id,
)
from registry_tool.repository.work_tree import WorkTreeSnapshot

STATE_FOLDER = "registry-tool"
_CONFIG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*(\..+)?\.[A-Za-z][A-Za-z0-9-]*", re.ASCII)


class Repository:
    """A Git repository, with or without a work tree.

    Threads may share it; close it after one piece of work.
    """

    def __init__(self, location: Location) -> None:
        self.git_dir = location.git_dir
        self.common_dir = location.common_dir
        self.work_tree = location.work_tree
        self.object_format = location.object_format
        self.zero = "0" * (40 if location.object_format == "sha1" else 64)
        self.command = GitCommand(location.directory, location.environment())
        self.reader = ObjectReader(self.command)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The repository around `path`; the one of GIT_DIR in a hook. Raises RepositoryProblem."""
        return cls(locate(path))

    @classmethod
    def create(cls, path: Path, *, bare: bool = False, branch: str = "main") -> Self:
        """Make the folder `path` an empty repository, or leave one that it already is as it is."""
        path.mkdir(parents=True, exist_ok=True)
        refs.check_ref(f"refs/heads/{branch}")
        kind = ["--bare"] if bare else []
        GitCommand(path, {}).run_as_operator("init", "--quiet", *kind, f"--initial-branch={branch}")
        return cls.open(path)

    def close(self) -> None:
        """End the processes that serve this object."""
        self.reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- places and settings ---

    @property
    def state_path(self) -> Path:
        """Where caches, locks and the embedded store live; it may not exist yet."""
        return self.common_dir / STATE_FOLDER

    @property
    def state_dir(self) -> Path:
        """`state_path`, made when missing. Raises RepositoryProblem when it cannot be."""
        try:
            self.state_path.mkdir(exist_ok=True)
        except OSError as problem:
            raise RepositoryProblem(
                f"{self.state_path} cannot be made: {problem.strerror}",
                code="RT610",
                help="the user that runs this needs to write there",
            ) from problem
        return self.state_path

    def config(self, name: str) -> str | None:
        """A setting of the operator's Git configuration; the last value when there are several."""
        values = self.config_all(name)
        return values[-1] if values else None

    def config_all(self, name: str) -> list[str]:
        """All values of a setting."""
        if not _CONFIG_NAME.fullmatch(name):
            raise RepositoryProblem(f'"{name}" is not the name of a Git setting')
        found = self.command.run_as_operator(
            "config", "-z", "--get-all", "--end-of-options", name, accept=(0, 1)
        )
        return found.stdout.decode("utf-8", "replace").split("\0")[:-1]

    def config_flag(self, name: str) -> bool:
        """A yes-or-no setting; absent is no."""
        arguments = ("config", "--type=bool", "--get", "--end-of-options", name)
        return self.command.run_as_operator(*arguments, accept=(0, 1)).text == "true"

    def remotes(self) -> list[str]:
        """Names of the configured remotes, sorted."""
        return sorted(self.command.run_as_operator("remote").text.split())

    @property
    def git_version(self) -> str:
        """The version of the git program."""
        return self.command.run("version").text.removeprefix("git version ")

    @property
    def is_shallow(self) -> bool:
        """Whether history is cut off."""
        return bool(self._boundary())

    def _boundary(self) -> frozenset[str]:
        try:
            return frozenset((self.common_dir / "shallow").read_text().split())
        except FileNotFoundError:
            return frozenset()

    # --- refs and commits ---

    def head_branch(self) -> str:
        """The checked-out branch, which may have no commit yet; ``HEAD`` when there is none."""
        found = self.command.run("symbolic-ref", "--quiet", "HEAD", accept=(0, 1))
        return found.text.removeprefix("refs/heads/") if found.status == 0 else "HEAD"

    def resolve(self, revision: str) -> str:
        """The commit oid behind anything that names a commit. Raises RepositoryProblem (RT602)."""
        if self._is_commit(revision):
            return revision
        try:
            revision = Revision.parse(revision).oid
        except ValueError:
            # Not "main@sha1:…", so whatever Git makes of it.
            if not revision or "\0" in revision:
                raise unknown_revision(revision, shallow=False) from None
        found = self._verify(f"{revision}^{{commit}}")
        if found is None:
            raise unknown_revision(revision, shallow=self.is_shallow)
        return found

    def revision(self, revision: str | None = None) -> Revision:
        """A commit with the ref that names it; None is the tip of the checked-out branch.

        Raises RepositoryProblem: RT602, or RT604 when the branch has no commit yet. A revision that
        is no branch or tag is reached by the checked-out branch.
        """
        branch = self.head_branch()
        if revision is None or revision == "HEAD":
            oid = self._verify("HEAD^{commit}")
            if oid is None:
                raise unborn_branch(branch)
            return Revision(branch, oid)
        oid = self.resolve(revision)
        arguments = ("rev-parse", "--symbolic-full-name", "--end-of-options", revision)
        lines = self.command.run(*arguments, accept=(0, 128)).text.split("\n")
        names = [line for line in lines if line.startswith("refs/")]
        if not names:
            return Revision(branch, oid)
        short = names[0].removeprefix("refs/")
        return Revision(short.removeprefix("heads/").removeprefix("remotes/"), oid)

    def ref(self, name: str) -> str | None:
        """The oid of a full ref name or HEAD, or None."""
        return self._verify(name if name == "HEAD" else refs.check_ref(name))

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Oids of all refs that equal or lie under full names such as ``refs/heads/deploy``."""
        return refs.read_refs(self.command, *prefixes)

    def move_refs(
        self, updates: Sequence[RefUpdate], prepared: Callable[[], None] = lambda: None
    ) -> None:
        """Move refs in one transaction, each only from its expected oid. Raises RefsMoved."""
        refs.move_refs(self.command, updates, zero=self.zero, prepared=prepared)

    def has(self, oid: str) -> bool:
        """Whether the object is in the repository."""
        return is_oid(oid) and self.reader.find(oid) is not None

    def first_parent(self, oid: str) -> str | None:
        """The first parent, or None of a root commit.

        Raises RT603 when a shallow clone lacks it.
        """
        for line in self.reader.get(self.resolve(oid)).data.split(b"\n"):
            key, _, value = line.partition(b" ")
            if key == b"parent":
                parent = value.decode()
                if not self.has(parent):
                    raise shallow_clone("the parent of a commit is needed")
                return parent
            if not key:
                break
        return None

    def tree_of(self, commit: str) -> str:
        """The tree oid of a commit."""
        return self.reader.get(commit).data.split(b"\n", 1)[0].removeprefix(b"tree ").decode()

    def root_tree(self, commit: str | None) -> str:
        """The tree oid of a commit; None has the empty tree, which Git knows without having it."""
        return self.tree_of(commit) if commit else object_id("tree", b"", self.object_format)

    def _head_tree(self) -> str:
        return self.root_tree(self._verify("HEAD^{commit}"))

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Whether the first commit is reachable from the second (or is it).

        Raises RT603 when it cannot be told.
        """
        arguments = (
            "merge-base",
            "--is-ancestor",
            self.resolve(ancestor),
            self.resolve(descendant),
        )
        if self.command.run(*arguments, accept=(0, 1)).status == 0:
            return True
        if self.is_shallow:
            raise shallow_clone("it cannot be told which of two commits is older")
        return False

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both reach, or None. Raises RT603 when it cannot be told."""
        arguments = ("merge-base", self.resolve(one), self.resolve(other))
        found = self.command.run(*arguments, accept=(0, 1))
        if found.status == 0:
            return found.text
        if self.is_shallow:
            raise shallow_clone("what two commits have in common cannot be told")
        return None

    def commits(
        self, revision: str, paths: Sequence[str] = (), limit: int | None = None
    ) -> Iterator[CommitInfo]:
        """Commits from a revision backwards, newest first; with `paths` those that changed them.

        Raises RT603 where a shallow clone ends too early for the answer.
        """
        oid = self.resolve(revision)
        return read_commits(self.command, oid, paths=paths, limit=limit, boundary=self._boundary())

    def changed_paths(self, before: str | None, after: str) -> list[Change]:
        """Paths that differ between two commits; without `before`, from the first parent."""
        after = self.resolve(after)
        base = self.resolve(before) if before else self.first_parent(after)
        # Git knows the empty tree without having it.
        return read_changes(self.command, base or object_id("tree", b"", self.object_format), after)

    def patch(self, commit: str) -> Patch:
        """What a commit changed in manifests and templates, against its first parent; RT603 where that is missing."""
        oid = self.resolve(commit)
        if oid in self._boundary():
            raise shallow_clone("the parent of this commit is needed")
        return read_patch(self.command, oid)

    def changed_files(self, before: str, after: str) -> list[str]:
        """Paths that differ between two trees, deleted ones included."""
        arguments = ("diff-tree", "-r", "-z", "--no-renames", "--name-only")
        output = self.command.run(*arguments, before, after).stdout
        return [path for path in decode(output).split("\0") if path]

    # --- contents ---

    def snapshot(self, oid: str | None) -> Snapshot:
        """Manifests and templates at a commit; None is the empty state before the first one."""
        commit = self.resolve(oid) if oid else None
        return commit_snapshot(self.command, self.reader, commit, lambda: self.root_tree(commit))

    def index_snapshot(self) -> Snapshot:
        """Manifests and templates as the next commit would have them."""
        return index_snapshot(self.command, self.reader, self._head_tree)

    def work_tree_snapshot(self) -> WorkTreeSnapshot:
        """Manifests and templates on disk. Raises RepositoryProblem in a bare repository."""
        if self.work_tree is None:
            raise RepositoryProblem(
                f"{self.git_dir} has no work tree",
                code="RT601",
                help="name a revision with --rev, for example --rev HEAD",
            )
        cache = self.state_path / "work-tree.sqlite"
        return WorkTreeSnapshot(
            self.command, self.reader, self.work_tree, self.object_format, cache, self._head_tree
        )

    def tree(self, oid: str, prefixes: Sequence[str] = ()) -> list[TreeEntry]:
        """All files of a commit below the prefixes (none: everywhere), sorted by path."""
        return list_tree(self.command, self.resolve(oid), prefixes)

    def read_blobs(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Oid and content of blobs, in the order asked for."""
        for found in self.reader.read(oids):
            yield found.oid, found.data

    def has_folder(self, commit: str, path: str) -> bool:
        """Whether there is such a folder in a commit."""
        node = self._node(commit, path)
        return node is not None and node.mode == TREE_MODE

    def blob_at(self, commit: str, path: str) -> bytes | None:
        """The content of one file of a commit, or None."""
        node = self._node(commit, path)
        if node is None or not node.mode.startswith("10"):
            return None
        return self.reader.get(node.oid).data

    def _node(self, commit: str, path: str) -> TreeNode | None:
        root = self.tree_of(self.resolve(commit))
        return find_entry(self.reader, ObjectBatch(self.object_format), root, path)

    def _is_commit(self, revision: str) -> bool:
        """Whether this is the full oid of a commit; told without starting a process."""
        if len(revision) != len(self.zero) or not is_oid(revision):
            return False
        found = self.reader.find(revision)
        return found is not None and found.type == "commit"

    def _verify(self, expression: str) -> str | None:
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", expression)
        found = self.command.run(*arguments, accept=(0, 1, 128))
        return found.text if found.status == 0 and is_oid(found.text) else None
