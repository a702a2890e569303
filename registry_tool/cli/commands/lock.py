"""`lock`: pin the files of releases by path, size and sha256."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.edit_options import EditOptions, edit_options
from registry_tool.cli.editing import ManifestEdit
from registry_tool.cli.failures import report
from registry_tool.cli.locking import Relocked, known_files, relock, write_lock
from registry_tool.errors import RegistryToolError, UsageProblem

if TYPE_CHECKING:
    from registry_tool.domain.desired import Desired
    from registry_tool.domain.release import Release


@click.command("lock")
@click.argument("releases", metavar="[RELEASE]...", nargs=-1)
@click.option("--all-unlocked", is_flag=True, help="Every release that has no lock yet.")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a lock would change.")
@click.option("--rehash", is_flag=True, help="Read all files, also those that did not change.")
@click.option("--jobs", type=click.IntRange(min=1), help="How many layers to read at a time.")
@edit_options
@pass_app
def lock_command(
    app: App,
    *,
    releases: tuple[str, ...],
    all_unlocked: bool,
    check: bool,
    rehash: bool,
    jobs: int | None,
    edit: EditOptions,
) -> int:
    """Read the files of each RELEASE in storage and write its lock.

    The lock lists every file with its size and sha256, and the image layers that carry them. It is
    committed with the release, so that a plan needs no storage. Files are read once, in parallel;
    those that storage says did not change since they were locked or read here are not read again.
    """
    if bool(releases) == all_unlocked:
        raise UsageProblem(
            "name the releases to lock, or ask for all that have no lock",
            help="registry-tool lock MODEL/VERSION, or registry-tool lock --all-unlocked",
        )
    session = ManifestEdit(app, edit)
    wanted = (
        _unlocked(session.desired)
        if all_unlocked
        else [session.release(text).manifest for text in releases]
    )
    if not wanted:
        app.out("unchanged: every release has a lock")
    codes = [_lock(app, session, release, jobs, check=check, rehash=rehash) for release in wanted]
    if session.finish(_message(wanted), briefly=True):
        session.next_step()
    return max(codes, default=0)


def _unlocked(desired: Desired) -> list[Release]:
    missing = sorted(set(desired.releases) - set(desired.locks))
    return [desired.releases[release].manifest for release in missing]


def _lock(
    app: App,
    session: ManifestEdit,
    release: Release,
    jobs: int | None,
    *,
    check: bool,
    rehash: bool,
) -> int:
    """Lock one release; its failure is told and leaves the others alone. Returns an exit code."""
    try:
        known = None if rehash else known_files(app, session.desired, release)
        new = relock(app, session.desired, release, jobs=jobs, known=known)
        if not new.unchanged and not check:
            write_lock(session, release, new)
    except RegistryToolError as problem:
        if str(release.id) not in problem.message:
            app.note(f"{release.subject}:")
        return report(problem)
    app.out(f"{_change(new, check=check)} {release.subject}: {new.summary()}")
    return int(check and not new.unchanged)


def _change(new: Relocked, *, check: bool) -> str:
    if new.unchanged:
        return "unchanged"
    if check:
        return "missing" if new.before is None else "differs"
    return "locked" if new.before is None else "locked anew"


def _message(releases: list[Release]) -> str:
    names = ", ".join(str(release.id) for release in releases[:3])
    return f"Lock {names}" + (f" and {len(releases) - 3} more" if len(releases) > 3 else "")
