"""Edits of manifests: made in memory, checked as a whole, and only then written or committed.

An edit replaces the source span of a value, so that every other byte stays. Manifests are found by
identity: where the file lies does not matter. An edit that would add an error to the repository is
refused with its diagnostics; errors that were there before are mentioned and do not stand in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from registry_tool.cli.finding import find_api_key, find_deployment, find_release, here
from registry_tool.cli.formats.changes import changed_lines, unified_diff
from registry_tool.cli.overlay import Overlay
from registry_tool.cli.replacing import replace_file
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.subjects import parse_deployment, parse_release
from registry_tool.errors import (
    InvalidManifests,
    RegistryToolError,
    RepositoryProblem,
    UsageProblem,
)
from registry_tool.manifests.loading import Loaded, load
from registry_tool.reconcile.states import DesiredState, read_desired
from registry_tool.repository.editing import commit_files

if TYPE_CHECKING:
    from pydantic import JsonValue

    from registry_tool.cli.app import App
    from registry_tool.cli.edit_options import EditOptions
    from registry_tool.domain.api_key import ApiKey
    from registry_tool.domain.deployment import Deployment
    from registry_tool.domain.desired import Desired, Located
    from registry_tool.domain.diagnostics import Pointer
    from registry_tool.domain.release import Release
    from registry_tool.manifests.source import Source

M = TypeVar("M", bound=Manifest)


class ManifestEdit:
    """One edit: where it starts from, what it changes, and how it ends."""

    def __init__(self, app: App, options: EditOptions) -> None:
        self.app = app
        self.options = options
        self._changes: dict[str, bytes] = {}
        self._before: dict[str, bytes | None] = {}

    # --- Where the edit starts ---

    @cached_property
    def _start_commit(self) -> str | None:
        """The commit that the result is added to and compared with; None on an unborn branch."""
        repository = self.app.repository
        if self.options.branch is not None:
            tip = self._branch_tip(self.options.branch)
            if tip is not None:
                return tip
        try:
            return repository.revision().oid
        except RepositoryProblem as problem:
            if problem.code != "RT604":
                raise
            return None

    def _branch_tip(self, branch: str) -> str | None:
        try:
            return self.app.repository.ref(f"refs/heads/{branch}")
        except RepositoryProblem as problem:
            raise UsageProblem(
                f'"{branch}" cannot be the name of a branch', help="for example --branch my-change"
            ) from problem

    @cached_property
    def source(self) -> Source:
        """The manifests as they are: of the work tree, or of the commit that the result goes onto."""
        repository = self.app.repository
        if not self.options.committed:
            if repository.work_tree is None:
                raise UsageProblem(
                    "a bare repository has no work tree to write to",
                    help="commit the change: add --commit, or --branch NAME",
                )
            return repository.work_tree_snapshot()
        return repository.snapshot(self._start_commit)

    @property
    def where(self) -> str:
        """What `source` is, for messages."""
        if not self.options.committed:
            return "the work tree"
        return f"the branch {self.options.branch or self.app.repository.head_branch()}"

    @cached_property
    def _loaded(self) -> Loaded:
        return load(self.source, self.app.cache, jobs=self.app.jobs)

    @property
    def desired(self) -> Desired:
        """The valid manifests that the edit starts from; raises InvalidManifests without a Registry."""
        if self._loaded.desired is None:
            raise InvalidManifests(f"{self.where} has no valid Registry", self._loaded.diagnostics)
        return self._loaded.desired

    @cached_property
    def base(self) -> Desired | None:
        """The valid manifests of the commit that the result is compared with."""
        if self._start_commit is None:
            return None
        return load(self.app.repository.snapshot(self._start_commit), self.app.cache).desired

    def _checked(self, source: Source) -> DesiredState:
        repository, start = self.app.repository, self._start_commit
        base = repository.snapshot(start) if start is not None else None
        return read_desired(source, base, cache=self.app.cache, jobs=self.app.jobs)

    def release(self, text: str) -> Located[Release]:
        """The release that an argument names; raises UsageProblem."""
        subject = parse_release(text).subject
        return self._found(subject, lambda desired, where: find_release(desired, text, where))

    def api_key(self, text: str) -> Located[ApiKey]:
        """The API key that an argument names; raises UsageProblem."""
        name = text.removeprefix("api-key/")
        return self._found(
            f"api-key/{name}", lambda desired, where: find_api_key(desired, name, where)
        )

    def deployment(self, text: str) -> Located[Deployment]:
        """The deployment that an argument names; raises UsageProblem."""
        subject = parse_deployment(text).subject
        return self._found(subject, lambda desired, where: find_deployment(desired, text, where))

    def _found(self, subject: str, find: Callable[[Desired, str], Located[M]]) -> Located[M]:
        """What `find` finds where the edit starts, with a hint when it is in the work tree only."""
        desired = self.desired
        try:
            return find(desired, self.where)
        except UsageProblem as problem:
            if subject in self._loaded.held:
                wrong = [entry for entry in self._loaded.diagnostics if entry.subject == subject]
                raise InvalidManifests(f"the manifest of {subject} has errors", wrong) from None
            if not self.options.committed or self.app.repository.work_tree is None:
                raise
            try:
                located = find(*here(self.app))
            except RegistryToolError:
                raise problem from None
        raise UsageProblem(
            f"{located.path} is not committed on {self.where.removeprefix('the ')}",
            help="commit it first (git add manifests && git commit), or leave out --commit",
        )

    # --- What the edit changes ---

    def read(self, path: str) -> bytes | None:
        """A file as the edit sees it, or None."""
        if path in self._changes:
            return self._changes[path]
        if path not in self._before:
            oid = next((entry.oid for entry in self.source.entries() if entry.path == path), None)
            self._before[path] = None if oid is None else dict(self.source.read([oid]))[oid]
        return self._before[path]

    def write(self, path: str, data: bytes) -> None:
        """Give a file new content."""
        self.read(path)
        self._changes[path] = data

    def create(self, path: str, data: bytes) -> None:
        """Write a file that does not exist yet; raises UsageProblem otherwise."""
        if self.read(path) is not None:
            raise UsageProblem(f"{path} exists already", help="edit it, or choose another name")
        self.write(path, data)

    def set_value(self, path: str, pointer: Pointer, value: JsonValue) -> None:
        """Replace or add one value of a manifest."""
        from registry_tool.manifests import edits

        self.write(path, edits.set_value(self.existing(path), pointer, value))

    def remove_value(self, path: str, pointer: Pointer) -> None:
        """Remove one value of a manifest, with its key."""
        from registry_tool.manifests import edits

        self.write(path, edits.remove_value(self.existing(path), pointer))

    def existing(self, path: str) -> bytes:
        """A file as the edit sees it; raises UsageProblem when it is gone meanwhile."""
        data = self.read(path)
        if data is None:
            raise UsageProblem(f"{path} does not exist any more", help="run the command again")
        return data

    @property
    def changed(self) -> Mapping[str, bytes]:
        """New contents of the files that differ."""
        return {
            path: data for path, data in self._changes.items() if data != self._before.get(path)
        }

    # --- How the edit ends ---

    def unchanged(
        self, located: Located[Release] | Located[Deployment] | Located[ApiKey], why: str
    ) -> int:
        """Say that there is nothing to edit; the exit code of that."""
        self.app.out(f"unchanged {located.manifest.subject}: {why}")
        root = self.app.repository.work_tree
        if self.options.committed and root is not None and self._on_checked_out_branch:
            file = root / located.path
            if file.exists() and file.read_bytes() != self.read(located.path):
                self.app.note(f"note: {located.path} has changes that are not committed")
        return 0

    def finish(self, message: str, *, briefly: bool = False) -> bool:
        """Check the result, then write or commit it and say so; returns whether anything changed.

        `message` is the commit's subject unless the user gave one. With `briefly` the changed lines
        are not shown. Raises InvalidManifests, and writes nothing, when there are new errors.
        """
        changed = self.changed
        if not changed:
            return False
        self._require_no_new_errors(changed)
        if self.options.dry_run:
            diffs = (unified_diff(path, self._before[path], changed[path]) for path in changed)
            self.app.out("".join(diffs))
            return True
        self.require_untouched(changed)
        committed = self._commit(changed, message) if self.options.committed else None
        if committed is None or self._on_checked_out_branch:
            self._write(changed)
        for path, data in changed.items():
            self._tell(path, data, briefly)
        if committed is not None:
            self.app.out(committed)
        return True

    def _require_no_new_errors(self, changed: Mapping[str, bytes]) -> None:
        after = self._checked(Overlay(self.source, changed)).errors
        if not after:
            return
        before = self._checked(self.source).errors
        known = {(entry.path, entry.code, entry.message) for entry in before}
        new = [entry for entry in after if (entry.path, entry.code, entry.message) not in known]
        if new:
            raise InvalidManifests(
                "nothing was changed: the result would not be valid", new, help=self._unseen()
            )
        self.app.note(
            f"warning: {self.where} has errors that this change did not make;"
            " see registry-tool validate"
        )

    def _unseen(self) -> str | None:
        """What the edit did not see, though the user may think that it did."""
        if not self.options.committed or self.app.repository.work_tree is None:
            return None
        paths = sorted(self.app.repository.work_tree_snapshot().state.overlay)
        if not paths:
            return None
        return f"changes that are not committed were not looked at: {', '.join(paths)}"

    def require_untouched(self, paths: Iterable[str]) -> None:
        """Raise UsageProblem when committing would lose edits that wait in the work tree."""
        root = self.app.repository.work_tree
        if root is None or not self.options.committed or not self._on_checked_out_branch:
            return
        for path in paths:
            file = root / path
            self.read(path)
            if (file.read_bytes() if file.exists() else None) != self._before[path]:
                raise UsageProblem(
                    f"{path} has changes in the work tree that are not committed",
                    help="commit or discard them first, or use --branch NAME",
                )

    @property
    def _on_checked_out_branch(self) -> bool:
        return self.options.branch in {None, self.app.repository.head_branch()}

    def _commit(self, changed: Mapping[str, bytes], message: str) -> str:
        """Commit the changes; a line that says so."""
        text = self.options.message or message
        name = self.options.branch or self.app.repository.head_branch()
        oid = commit_files(self.app.repository, changed, text, branch=self.options.branch)
        return f"committed {oid[:12]} on {name}: {text.splitlines()[0]}"

    def _write(self, changed: Mapping[str, bytes]) -> None:
        root = self.app.repository.work_tree
        if root is None:
            return
        for path, data in changed.items():
            replace_file(root / path, data)

    def _tell(self, path: str, data: bytes, briefly: bool) -> None:
        before = self._before[path]
        self.app.out(f"{'created' if before is None else 'updated'} {path}")
        if before is None or briefly:
            return
        for line in changed_lines(before, data, color=self.app.color):
            self.app.out(line)

    def next_step(self, otherwise: str = "registry-tool apply") -> None:
        """Say how the change takes effect. `otherwise` is meant for a repository without a remote."""
        if self.options.dry_run:
            return
        repository = self.app.repository
        remotes = repository.remotes()
        if not self.options.committed:
            folders = " ".join(sorted({path.partition("/")[0] for path in self.changed}))
            known = all(self._before[path] is not None for path in self.changed)
            either = "   (--commit does both)" if known else ""
            self.app.note(f"next: git add {folders} && git commit{either}")
        elif not self._on_checked_out_branch:
            push = f"git push -u {remotes[0]} {self.options.branch}" if remotes else None
            self.app.note(f"next: {push or f'git merge {self.options.branch}'}")
        else:
            self.app.note(f"next: {'git push' if remotes else otherwise}")
