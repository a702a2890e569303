"""What can be wrong with a repository, in the words of its user."""

from __future__ import annotations

import re
from collections.abc import Sequence

from registry_tool.errors import RepositoryProblem

_USERINFO = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://)[^/@\s'\"]+@")
_LOCK_FILE = re.compile(r"Unable to create '(?P<path>[^']+\.lock)': File exists")
_OFFLINE = re.compile(
    r"could not resolve|(could not|couldn.t|failed to) connect|no route to host"
    r"|connection (refused|reset|timed out|closed)|network is unreachable|operation timed out"
    r"|early EOF|the remote end hung up|RPC failed|(HTTP|returned error:) 5[0-9][0-9]"
    r"|temporary failure in name resolution",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"permission denied|authentication failed|could not read (username|password)|access denied"
    r"|returned error: 40[13]|not authorized|unauthorized|host key verification failed",
    re.IGNORECASE,
)
_NO_IDENTITY = re.compile(r"tell me who you are|empty ident|auto-detect email|no email was given")
_MESSAGE_LIMIT = 2000


def redact(text: str) -> str:
    """Remove user names and passwords from URLs in `text`."""
    return _USERINFO.sub(r"\1***@", text)


def not_a_repository(path: object) -> RepositoryProblem:
    """RT601."""
    return RepositoryProblem(
        f"{path} is not in a Git repository",
        code="RT601",
        help="run the command inside a registry repository, name one with --repo PATH, "
        "or make one with: registry-tool init",
    )


def unknown_revision(revision: str, *, shallow: bool) -> RepositoryProblem:
    """RT602."""
    return RepositoryProblem(
        f'unknown revision "{revision}"',
        code="RT602",
        help="the clone is shallow and may lack it: git fetch --unshallow"
        if shallow
        else "list what there is with: git log --all --oneline",
    )


def shallow_clone(purpose: str) -> RepositoryProblem:
    """RT603; `purpose` completes "the clone is shallow, and …"."""
    return RepositoryProblem(
        f"the clone is shallow, and {purpose}",
        code="RT603",
        help="fetch the whole history: git fetch --unshallow (in a workflow: fetch-depth: 0)",
    )


def unborn_branch(branch: str) -> RepositoryProblem:
    """RT604."""
    return RepositoryProblem(
        f'the branch "{branch}" has no commit yet',
        code="RT604",
        help="commit the manifests first: git add manifests build_templates && git commit",
    )


def missing_git(reason: str) -> RepositoryProblem:
    """RT609."""
    return RepositoryProblem(
        f"Git cannot be used: {reason}",
        code="RT609",
        help="install Git 2.38 or newer and make sure that `git` is on PATH",
    )


def git_failed(arguments: Sequence[str], stderr: str) -> RepositoryProblem:
    """The problem behind a failed call of git. `arguments[0]` is the verb."""
    text = shorten(stderr)
    known = _known_failure(text)
    if known is not None:
        return known
    verb = arguments[0] if arguments else ""
    full = "No space left on device" in text or "Disk quota exceeded" in text
    return RepositoryProblem(
        f"git {verb} failed: {text or 'it gave no reason'}",
        code="RT605",
        transient=bool(_OFFLINE.search(text)),
        help="free some space on the repository's disk, and run again"
        if full
        else "check the repository with: git fsck",
    )


def shorten(stderr: str) -> str:
    """Git's own words without secrets, progress and decoration, at most 2000 characters."""
    lines = [line.strip() for line in redact(stderr).replace("\r", "\n").splitlines()]
    text = "\n".join(line for line in lines if line)
    return text if len(text) <= _MESSAGE_LIMIT else text[:_MESSAGE_LIMIT] + " …"


def _known_failure(text: str) -> RepositoryProblem | None:
    if "dubious ownership" in text or "unsafe repository" in text:
        return RepositoryProblem(
            "the repository belongs to another user, so Git refuses to use it",
            code="RT605",
            help="if you trust it: git config --global --add safe.directory <its path>",
        )
    if "not a git repository" in text:
        return not_a_repository("this directory")
    lock = _LOCK_FILE.search(text)
    if lock:
        return RepositoryProblem(
            f"another Git process holds {lock['path']}, or one crashed and left it behind",
            code="RT605",
            transient=True,
            help=f"if no Git process is running: rm '{lock['path']}'",
        )
    if _NO_IDENTITY.search(text):
        return RepositoryProblem(
            "Git does not know who commits",
            code="RT605",
            help='git config --global user.name "Your Name" && '
            "git config --global user.email you@example.org",
        )
    if _DENIED.search(text):
        return RepositoryProblem(
            f"the remote does not let this user in: {text}",
            code="RT607",
            help="check the remote's URL and your credentials with: git ls-remote <remote>",
        )
    if _OFFLINE.search(text):
        return RepositoryProblem(
            f"the remote cannot be reached: {text}",
            code="RT605",
            transient=True,
            help="check the network and the remote's URL with: git ls-remote <remote>",
        )
    return None
