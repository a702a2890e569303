"""A remote repository: bringing its state here, and pushing records to it atomically.

These calls alone use the operator's Git configuration: URLs and credentials are theirs.
"""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from registry_tool.domain.recorded import DEPLOY_BRANCHES, LEASE_REF, RECORDS_BRANCH
from registry_tool.errors import RepositoryProblem, UsageProblem
from registry_tool.repository.command import Finished
from registry_tool.repository.problems import git_failed, shorten
from registry_tool.repository.refs import RefsMoved, RefUpdate, check_ref
from registry_tool.repository.repository import Repository

_TIMEOUT = 600.0
_ATTEMPTS = 5
_ACCEPTED = (0, 1, 128)
_CONFLICT = re.compile(
    r"non-fast-forward|fetch first|stale info|cannot lock ref|failed to lock|failed to update ref"
    r"|incorrect old value|reference already exists|remote ref updated since checkout"
    r"|reference (conflict|update failed)|already exists|needs force|is at [0-9a-f]+ but expected",
    re.IGNORECASE,
)
_ATOMIC = re.compile(
    r"atomic (transaction|push) failed|transaction (aborted|failed)", re.IGNORECASE
)
_NOT_ATOMIC = "does not support --atomic"
_GONE = re.compile(r"couldn't find remote ref|not our ref|no matching refs", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fetched:
    """Oids that count after a fetch; None is absent.

    Records and deploy branches may be ahead of the remote.
    """

    branch: str | None
    """The tip of the branch that was asked for, in the remote."""
    records: str | None
    deploy: Mapping[str, str]
    """Tips by short name, ``deploy/<environment>``."""


def fetch(repository: Repository, remote: str, branch: str | None = None) -> Fetched:
    """Bring a branch (by default the checked-out one), records and deploy branches from a remote.

    Local records and deploy branches are fast-forwarded; one that has diverged is a
    RepositoryProblem.
    """
    return Remote(repository, remote).fetch(branch or repository.head_branch())


class Remote:
    """One configured remote of a repository.

    Raises UsageProblem for a name that is not configured.
    """

    def __init__(self, repository: Repository, name: str) -> None:
        known = repository.remotes()
        if name not in known:
            raise UsageProblem(
                f'there is no remote "{name}"',
                help=f"the remotes are: {', '.join(known)}"
                if known
                else f"add it with: git remote add {name} URL",
            )
        self.name = name
        self._repository = repository
        self._tracking = f"refs/registry-tool/remotes/{name}/"

    def fetch(self, branch: str | None = None) -> Fetched:
        """Bring the remote's records, deploy branches and a branch; see the function `fetch`."""
        wanted = [RECORDS_BRANCH, DEPLOY_BRANCHES + "*"]
        branch_ref = check_ref(f"refs/heads/{branch}") if branch else None
        found = self._bring(wanted + ([branch_ref] if branch_ref else []))
        bases = {
            ref: self._base(ref, oid)
            for ref, oid in found.items()
            if ref == RECORDS_BRANCH or ref.startswith(DEPLOY_BRANCHES)
        }
        local = self._repository.refs(RECORDS_BRANCH, DEPLOY_BRANCHES)
        deploy = {
            ref.removeprefix("refs/heads/"): oid
            for ref, oid in {**local, **bases}.items()
            if ref.startswith(DEPLOY_BRANCHES)
        }
        return Fetched(
            branch=found.get(branch_ref) if branch_ref else None,
            records=bases.get(RECORDS_BRANCH, local.get(RECORDS_BRANCH)),
            deploy=deploy,
        )

    def push(self, updates: Sequence[RefUpdate]) -> None:
        """Push all updates or none: branches only forward, the lease from its expected oid.

        Raises RefsMoved when somebody else was faster, and RepositoryProblem (RT607) when the
        remote refuses.
        """
        options = [
            f"--force-with-lease={check_ref(update.ref)}:{update.old or ''}"
            for update in updates
            if update.ref == LEASE_REF
        ]
        refspecs = [f"{update.new or ''}:{check_ref(update.ref)}" for update in updates]
        done = self._run(
            "push",
            "--porcelain",
            "--atomic",
            "--no-verify",
            "--no-follow-tags",
            "--recurse-submodules=no",
            *options,
            "--end-of-options",
            self.name,
            *refspecs,
        )
        if done.status != 0:
            _refuse(done)
        self._remember(updates)

    # --- the lease ---

    def read_lease(self) -> tuple[str, bytes] | None:
        """Oid and content of the remote's lease."""
        oid = self._bring([LEASE_REF]).get(LEASE_REF)
        return None if oid is None else (oid, self._repository.reader.get(oid).data)

    def swap_lease(self, old: str | None, new: str | None) -> None:
        """Move the remote's lease ref; raises RefsMoved."""
        self.push([RefUpdate(old, new, LEASE_REF)])

    # --- inside ---

    def _run(self, *arguments: str) -> Finished:
        return self._repository.command.run_as_operator(
            *arguments, accept=_ACCEPTED, timeout=_TIMEOUT
        )

    def _bring(self, patterns: Sequence[str]) -> dict[str, str]:
        """Refs of the remote that match, with their objects brought here.

        One look at the remote is all it takes when nothing has changed.
        """
        with self._exclusive():
            for _ in range(_ATTEMPTS):
                offered = self._offered(patterns)
                known = self._known(patterns)
                missing = [ref for ref in offered if known.get(ref) != offered[ref]]
                if missing and not self._download(missing):
                    continue
                gone = [ref for ref in known if ref not in offered]
                self._track(dict.fromkeys(gone), known)
                return {ref: oid for ref, oid in self._known(patterns).items() if ref in offered}
        raise RepositoryProblem(
            f'the refs of the remote "{self.name}" keep changing while they are fetched',
            code="RT605",
            transient=True,
        )

    def _offered(self, patterns: Sequence[str]) -> dict[str, str]:
        arguments = ("ls-remote", "--refs", "--end-of-options", self.name, *patterns)
        done = self._run(*arguments)
        if done.status != 0:
            raise git_failed(arguments, done.stderr)
        rows = (line.split("\t", 1) for line in done.text.splitlines() if "\t" in line)
        return {ref: oid for oid, ref in rows if _matches(ref, patterns)}

    def _download(self, missing: Sequence[str]) -> bool:
        """Fetch refs; False when one of them has vanished meanwhile."""
        arguments = (
            "fetch",
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-auto-maintenance",
            "--refmap=",
            "--end-of-options",
            self.name,
            *(f"+{ref}:{self._tracking}{ref.removeprefix('refs/')}" for ref in missing),
        )
        done = self._run(*arguments)
        if done.status == 0:
            return True
        if _GONE.search(done.stderr):
            return False
        raise git_failed(arguments, done.stderr)

    def _known(self, patterns: Sequence[str]) -> dict[str, str]:
        """What was last seen of the remote, by the remote's ref names."""
        refs = self._repository.refs(self._tracking)
        named = {"refs/" + ref.removeprefix(self._tracking): oid for ref, oid in refs.items()}
        return {ref: oid for ref, oid in named.items() if _matches(ref, patterns)}

    def _remember(self, updates: Sequence[RefUpdate]) -> None:
        """The push succeeded, so the remote and, for branches, the local refs are there now."""
        with self._exclusive():
            known = self._known([update.ref for update in updates])
            self._track({update.ref: update.new for update in updates}, known)
        for update in updates:
            if update.ref != LEASE_REF and update.new is not None:
                self._base(update.ref, update.new)

    def _track(self, new: Mapping[str, str | None], known: Mapping[str, str]) -> None:
        updates = [
            RefUpdate(known.get(ref), oid, self._tracking + ref.removeprefix("refs/"))
            for ref, oid in new.items()
            if known.get(ref) != oid
        ]
        if updates:
            self._repository.move_refs(updates)

    def _base(self, ref: str, theirs: str) -> str:
        """What a new commit on a branch builds on: the newer one of the local and the remote tip.

        The local branch is moved forward to the remote's. Raises RepositoryProblem when the two
        have diverged.
        """
        repository = self._repository
        for _ in range(_ATTEMPTS):
            ours = repository.ref(ref)
            if ours == theirs:
                return theirs
            if ours is not None and repository.is_ancestor(theirs, ours):
                return ours
            if ours is not None and not repository.is_ancestor(ours, theirs):
                raise _diverged(ref, self.name)
            try:
                repository.move_refs([RefUpdate(ours, theirs, ref)])
            except RefsMoved:
                # Another process of this clone moved it; look again.
                continue
            return theirs
        return theirs

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """One process or thread at a time changes the tracking refs of this clone."""
        with (self._repository.state_dir / "fetch.lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _matches(ref: str, patterns: Sequence[str]) -> bool:
    return any(
        ref.startswith(pattern[:-1]) if pattern.endswith("*") else ref == pattern
        for pattern in patterns
    )


def _diverged(ref: str, remote: str) -> RepositoryProblem:
    name = ref.removeprefix("refs/heads/")
    return RepositoryProblem(
        f'the local branch "{name}" and the one of "{remote}" have both moved',
        code="RT605",
        help="the remote's counts; put the local one aside with: "
        f"git branch -m {name} {name}-local",
    )


def _refuse(done: Finished) -> None:
    """Raise what the answer to a push means."""
    said = shorten(done.stderr)
    rows = [line.split("\t") for line in done.text.splitlines() if line.startswith("!\t")]
    reasons = [row[-1] for row in rows]
    if _NOT_ATOMIC in said:
        raise RepositoryProblem(
            "the remote does not accept atomic pushes",
            code="RT607",
            help="records and lease must move together: use a server that runs Git itself",
        )
    if not reasons:
        raise git_failed(("push",), done.stderr)
    telling = [reason for reason in reasons if not _ATOMIC.search(reason)]
    if all(_CONFLICT.search(reason) for reason in telling):
        raise RefsMoved(f"the remote's refs have moved: {'; '.join(reasons)}")
    raise RepositoryProblem(
        f"the remote refused the push: {'; '.join(telling)}\n{said}",
        code="RT607",
        help="the identity that pushes needs to be a recorder of the remote: "
        "git config --add registry-tool.recorder <name>, there",
    )
