"""What the installed Git hooks do: check what is committed, pushed or received.

Everything for people goes to stderr, which Git shows to whoever pushes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from registry_tool.cli.ahead import ahead
from registry_tool.cli.formats.layout import counted
from registry_tool.cli.formats.text import format_diagnostics
from registry_tool.cli.heads import head_commit
from registry_tool.domain.recorded import DEPLOY_BRANCHES, RECORDS_BRANCH
from registry_tool.repository import background
from registry_tool.repository.differences import FOLDERS
from registry_tool.repository.receive import (
    configured_recorders,
    parse_receive_lines,
    pusher,
    refused_updates,
)
from registry_tool.repository.refs import RefUpdate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from registry_tool.cli.app import App
    from registry_tool.reconcile.incremental.checked import StateSource

_HEADS = "refs/heads/"


def pre_commit(app: App) -> int:
    """Check the index; 1 refuses the commit."""
    repository = app.repository
    head = head_commit(repository)
    base = repository.snapshot(head) if head else None
    return int(not _is_valid(app, repository.index_snapshot(), base, "what is staged"))


def pre_push(app: App, lines: str) -> int:
    """Check every branch that is pushed; 1 stops the push."""
    refused = False
    for line in lines.splitlines():
        _, local, ref, remote = line.split(" ")
        if local.strip("0"):
            known = remote if remote.strip("0") and app.repository.has(remote) else None
            refused |= not _is_branch_valid(app, RefUpdate(known, local, ref))
    return int(refused)


def pre_receive(app: App, lines: str, environment: Mapping[str, str]) -> int:
    """Check who pushes where, and the manifests of every branch; 1 refuses the whole push."""
    updates = parse_receive_lines(lines)
    recorders = configured_recorders(app.repository)
    reasons = refused_updates(updates, pusher(environment), recorders, app.repository)
    for reason in reasons:
        _say(f"error: {reason}")
    # All of them are checked, so that one push tells everything that is wrong.
    invalid = [update.ref for update in updates if not _is_branch_valid(app, update)]
    return int(bool(reasons or invalid))


def post_receive(app: App, lines: str, environment: Mapping[str, str]) -> int:
    """Start a reconcile in the background when manifests moved, or somebody asked for something."""
    repository = app.repository
    branch = f"{_HEADS}{repository.head_branch()}"
    updates = [update for update in parse_receive_lines(lines) if update.new is not None]
    moved = any(update.ref == branch for update in updates)
    if not moved and pusher(environment) not in configured_recorders(repository):
        # Others can only have appended requests: pre-receive sees to that.
        moved = any(update.ref == RECORDS_BRANCH for update in updates)
    if moved:
        place = str(repository.git_dir)
        command = [sys.executable, "-P", "-m", "registry_tool", "--repo", place, "apply"]
        log = background.start(repository.state_dir, command)
        _say(f"reconciling in the background; log: {log}")
    return 0


def _is_branch_valid(app: App, update: RefUpdate) -> bool:
    """Whether the manifests of a pushed branch have no errors. Other refs are not looked at."""
    ref = update.ref
    ours = ref == RECORDS_BRANCH or ref.startswith(DEPLOY_BRANCHES)
    if update.new is None or ours or not ref.startswith(_HEADS):
        return True
    repository = app.repository
    base = update.old if update.old is not None else _branch_point(app, update.new)
    if not any(
        commit and repository.has_folder(commit, FOLDERS[0]) for commit in (update.new, base)
    ):
        return True
    source = repository.snapshot(update.new)
    before = repository.snapshot(base) if base is not None else None
    return _is_valid(app, source, before, ref.removeprefix(_HEADS))


def _branch_point(app: App, new: str) -> str | None:
    """Where a new branch left the default branch, if it comes from there."""
    tip = app.repository.ref(f"{_HEADS}{app.repository.head_branch()}")
    return app.repository.merge_base(tip, new) if tip is not None else None


def _is_valid(app: App, source: StateSource, base: StateSource | None, what: str) -> bool:
    with ahead(lambda: source.state, lambda: base and base.state):
        from registry_tool.reconcile.incremental.checking import check_state

    state = check_state(
        app.repository, source, base, cache=app.cache, jobs=lambda: app.jobs, may_vanish=True
    )
    if state.diagnostics:
        click.echo(format_diagnostics(state.diagnostics, color=False), err=True, nl=False)
    if state.errors:
        _say(f"error: {what} has {counted(len(state.errors), 'error')} and is refused")
        _say("help: registry-tool validate shows the same before you push")
    return not state.errors


def _say(text: str) -> None:
    click.echo(text, err=True)
