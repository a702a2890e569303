"""Commits of exactly the given files, for edits of manifests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.command import decode, encode
from registry_tool.repository.refs import RefsMoved, RefUpdate
from registry_tool.repository.trees import ObjectBatch, change_tree, find_entry, list_tree

if TYPE_CHECKING:
    from registry_tool.repository.repository import Repository

_FEW = 20


def commit_files(
    repository: Repository,
    changes: Mapping[str, bytes | None],
    message: str,
    branch: str | None = None,
) -> str:
    """Commit exactly these files (None removes one) on top of a branch; returns its new tip.

    `branch` defaults to the checked-out one; a new one starts at HEAD and is not checked out. The identity and signing
    settings are the operator's. The index entries of these paths follow when the branch is the one that is checked out;
    work-tree files are the caller's, and all other changes stay as they are.
    """
    current = repository.head_branch()
    name = branch or current
    if name == "HEAD":
        raise RepositoryProblem(
            "no branch is checked out, so there is none to commit to",
            help="check one out, or name one with --branch",
        )
    ref = f"refs/heads/{name}"
    tip = repository.ref(ref)
    if name != current:
        _refuse_other_work_tree(repository, ref)
    parent = tip or (repository.ref(f"refs/heads/{current}") if current != "HEAD" else None)
    if parent is None and current == "HEAD":
        parent = repository.resolve("HEAD")
    batch = ObjectBatch(repository.object_format)
    base = repository.tree_of(parent) if parent else None
    oids = {
        path: None if data is None else batch.add("blob", data) for path, data in changes.items()
    }
    tree = change_tree(repository.reader, batch, base, oids) or batch.add("tree", b"")
    batch.write(repository.command)
    commit = _commit_tree(repository, tree, parent, message)
    try:
        repository.move_refs([RefUpdate(tip, commit, ref)])
    except RefsMoved as problem:
        raise RepositoryProblem(
            f'somebody else moved the branch "{name}" at the same time',
            code="RT605",
            transient=True,
            help="run the command again",
        ) from problem
    if name == current and repository.work_tree is not None:
        _follow_in_index(repository, tree, list(changes))
    return commit


def _follow_in_index(repository: Repository, tree: str, paths: Sequence[str]) -> None:
    """Set the index entries of `paths` to what `tree` has."""
    committed: Mapping[str, tuple[str, str]]
    if len(paths) > _FEW:
        listed = list_tree(repository.command, tree)
        committed = {entry.path: (entry.mode, entry.oid) for entry in listed}
    else:
        batch = ObjectBatch(repository.object_format)
        found = ((path, find_entry(repository.reader, batch, tree, path)) for path in paths)
        committed = {path: (node.mode, node.oid) for path, node in found if node is not None}
    rows = []
    for path in paths:
        mode, oid = committed.get(path, ("0", repository.zero))
        rows.append(f"{mode} {oid}\t{path}\0")
    repository.command.run(
        "update-index",
        "-z",
        "--index-info",
        stdin=encode("".join(rows)),
        environment=_without_filters(repository),
    )


def _without_filters(repository: Repository) -> dict[str, str]:
    """Settings under which no filter program runs.

    Git would use one to tell whether a file that is as old as the index has changed; without it,
    it looks again the next time.
    """
    arguments = ("config", "-z", "--name-only", "--get-regexp", r"^filter\.")
    names = decode(repository.command.run(*arguments, accept=(0, 1)).stdout).split("\0")[:-1]
    return repository.command.with_config(
        {name: "false" if name.endswith(".required") else "" for name in names}
    )


def _commit_tree(repository: Repository, tree: str, parent: str | None, message: str) -> str:
    arguments = ["commit-tree", tree, "-F", "-"]
    if parent is not None:
        arguments += ["-p", parent]
    if repository.config_flag("commit.gpgSign"):
        arguments.append("-S")
    text = message.rstrip("\n") + "\n"
    return repository.command.run_as_operator(*arguments, stdin=encode(text)).text


def _refuse_other_work_tree(repository: Repository, ref: str) -> None:
    """A branch that another work tree has checked out would move under its feet."""
    output = repository.command.run(
        "for-each-ref", "--format=%(refname) %(worktreepath)", "--end-of-options", ref
    )
    for line in output.text.splitlines():
        name, _, path = line.partition(" ")
        if name == ref and path:
            raise RepositoryProblem(
                f'the branch "{ref.removeprefix("refs/heads/")}" is checked out in {path}',
                help="run the command there, or name another branch",
            )
