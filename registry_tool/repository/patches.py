"""Patches of manifests and templates, as Git tells them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from registry_tool.domain.patches import FilePatch, Patch, PatchLine
from registry_tool.repository.command import GitCommand, stop
from registry_tool.repository.differences import FOLDERS
from registry_tool.repository.problems import git_failed

SIZE_LIMIT = 1 << 20
"""Bytes of a patch that are read."""
LINE_LIMIT = 5000
_COLUMNS = 2000
_KINDS = {"+": "added", "-": "removed", " ": "same", "\\": "place"}
_HASH = re.compile(r"(sha256[\"']?\s*:\s*[\"']?)[0-9a-fA-F]{64}")
_KEY_KIND = re.compile(r"^\s*[\"']?kind[\"']?\s*:\s*[\"']?ApiKey\b")
_KEYS_FOLDER = "manifests/api-keys/"
_HIDDEN = "[hidden]"


def read_patch(command: GitCommand, oid: str) -> Patch:
    """What a commit changed against its first parent, below the folders of a registry repository.

    The hashes of API keys are hidden, as everywhere.
    """
    arguments = ["diff-tree", "-p", "--root", "--diff-merges=first-parent", "--no-commit-id"]
    arguments += ["--no-renames", "--no-color", "--no-ext-diff", "--no-textconv", "--no-prefix"]
    arguments += ["--unified=3", "--end-of-options", oid, "--", *FOLDERS]
    process = command.start(*arguments)
    try:
        if process.stdin is not None:
            process.stdin.close()
            process.stdin = None
        read = process.stdout.read(SIZE_LIMIT + 1) if process.stdout is not None else b""
        complete = len(read) <= SIZE_LIMIT
        if complete and process.wait() != 0 and process.stderr is not None:
            raise git_failed(("diff-tree",), process.stderr.read().decode("utf-8", "replace"))
    finally:
        stop(process)
    lines = read[:SIZE_LIMIT].decode("utf-8", "replace").split("\n")
    files = tuple(_files(lines[:LINE_LIMIT]))
    return Patch(files, complete=complete and len(lines) <= LINE_LIMIT)


def _files(lines: Iterable[str]) -> Iterator[FilePatch]:
    """The files of a patch. Lines of content always begin with a mark, so that no file can pretend to be a header."""
    head: list[str] = []
    body: list[PatchLine] = []
    for line in lines:
        if line.startswith("diff --git "):
            if head:
                yield _file(head, body)
            head, body = [line], []
        elif line.startswith("@@"):
            body.append(PatchLine("place", line[:_COLUMNS]))
        elif body and line:
            kind = _KINDS.get(line[0], "same")
            body.append(PatchLine(kind, line[1 : _COLUMNS + 1]))  # type: ignore[arg-type]
        elif line:
            head.append(line)
    if head:
        yield _file(head, body)


def _file(head: list[str], body: list[PatchLine]) -> FilePatch:
    path = _path(head)
    if path.startswith(_KEYS_FOLDER) or any(_KEY_KIND.match(line.text) for line in body):
        body = [line._replace(text=_HASH.sub(rf"\1{_HIDDEN}", line.text)) for line in body]
    notes = (line for line in head[1:] if not line.startswith(("--- ", "+++ ", "index ")))
    return FilePatch(path, tuple(body), ", ".join(notes))


def _path(head: list[str]) -> str:
    for start in ("+++ ", "--- "):
        for line in head:
            path = line.removeprefix(start).rstrip("\t")
            if line.startswith(start) and path != "/dev/null":
                return path
    # Without content both names stand on the first line, equal and a space apart.
    names = head[0].removeprefix("diff --git ")
    return names[: len(names) // 2]
