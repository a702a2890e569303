"""`rollback`, `yank`, `suspend`, `resume`: the rest of a release's and a deployment's life."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.edit_options import EditOptions, edit_options
from registry_tool.cli.editing import ManifestEdit
from registry_tool.cli.recorded import records_of
from registry_tool.domain.records import DeploymentResult
from registry_tool.domain.subjects import ReleaseId
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.domain.deployment import Deployment
    from registry_tool.domain.desired import Desired, Located
    from registry_tool.domain.recorded import Recorded

RAN = {DeploymentResult.SUCCEEDED, DeploymentResult.DELEGATED}


@click.command("rollback")
@click.argument("deployment", metavar="ENV/NAME")
@click.option(
    "--to", "release", metavar="RELEASE", help="The release to go back to, or its version."
)
@edit_options
@pass_app
def rollback_command(app: App, deployment: str, release: str | None, edit: EditOptions) -> int:
    """Point a deployment back to an earlier release.

    Without --to it is the last one that the records say was deployed here before, and that may
    still run here.
    """
    session = ManifestEdit(app, edit)
    found = session.deployment(deployment)
    wanted = _target(app, session, found, release)
    spec = found.manifest.spec
    if (spec.model, spec.version, spec.quantization) == tuple(wanted):
        return session.unchanged(found, f"it names {wanted} already")
    for field, value in zip(ReleaseId._fields, wanted, strict=True):
        if getattr(spec, field) != value:
            session.set_value(found.path, ("spec", field), value)
    if spec.track is not None:
        session.remove_value(found.path, ("spec", "track"))
    session.finish(f"Roll back {found.manifest.id} to {wanted}")
    if spec.track is not None and not edit.dry_run:
        app.note(
            "note: the deployment no longer tracks releases; restore spec.track to follow again"
        )
    session.next_step()
    return 0


def _target(
    app: App, edit: ManifestEdit, found: Located[Deployment], release: str | None
) -> ReleaseId:
    """The release to go back to, from the option or from the records."""
    if release is not None:
        spec = found.manifest.spec
        if "/" not in release:
            release = f"{spec.model}/{release}/{spec.quantization}"
        return edit.release(release).manifest.id
    for candidate in earlier_releases(found.manifest, records_of(app)):
        if may_run(edit.desired, found.manifest, candidate):
            return candidate
    raise UsageProblem(
        f"the records know no earlier release of {found.manifest.subject} that may still run",
        help=f"name one: registry-tool rollback {found.manifest.id} --to RELEASE",
    )


def earlier_releases(deployment: Deployment, recorded: Recorded) -> list[ReleaseId]:
    """Releases that ran, latest first, without the one that the manifest names.

    For a deployment that tracks releases, the one that was deployed last is left out instead.
    """
    ran = [
        entry.record.spec.release.id
        for entry in reversed(recorded.deployments.get(deployment.id, ()))
        if entry.record.spec.result in RAN
    ]
    spec = deployment.spec
    named = ReleaseId(spec.model, spec.version, spec.quantization) if spec.version else None
    current = named or next(iter(ran), None)
    return [release for release in dict.fromkeys(ran) if release != current]


def may_run(desired: Desired, deployment: Deployment, release: ReleaseId) -> bool:
    """Whether a release still exists, is not yanked, and is accepted by the environment."""
    found = desired.releases.get(release)
    environment = desired.environments.get(deployment.spec.environment)
    return (
        found is not None
        and found.manifest.spec.yanked is None
        and environment is not None
        and found.manifest.spec.stage in environment.manifest.spec.accepts
    )


@click.command("yank")
@click.argument("release")
@click.option("--reason", metavar="TEXT", help="Why; shown wherever the release is named.")
@click.option("--undo", is_flag=True, help="Take the yank back.")
@edit_options
@pass_app
def yank_command(app: App, release: str, reason: str | None, undo: bool, edit: EditOptions) -> int:
    """Take RELEASE out of use: it can no longer be deployed anew.

    What runs of it goes on running; a warning names the deployments and how to roll them back.
    """
    if undo == (reason is not None):
        raise UsageProblem(
            "a yank needs a reason" if not undo else "--undo takes no reason",
            help=f"registry-tool yank {release} " + ("--undo" if undo else '--reason "…"'),
        )
    session = ManifestEdit(app, edit)
    found = session.release(release)
    spec = found.manifest.spec
    if undo and spec.yanked is None:
        return session.unchanged(found, "it is not yanked")
    if spec.yanked is not None and spec.yanked.reason == reason:
        return session.unchanged(found, "it is yanked for this reason already")
    if undo:
        session.remove_value(found.path, ("spec", "yanked"))
        session.finish(f"Take back the yank of {found.manifest.id}")
    else:
        session.set_value(found.path, ("spec", "yanked"), {"reason": reason})
        session.finish(f"Yank {found.manifest.id}: {reason}")
        _warn_where_deployed(app, session.desired, found.manifest.id)
    session.next_step()
    return 0


def _warn_where_deployed(app: App, desired: Desired, release: ReleaseId) -> None:
    for key in sorted(desired.deployments):
        spec = desired.deployments[key].manifest.spec
        if (spec.model, spec.version, spec.quantization) == tuple(release):
            app.note(f"warning: {key.subject} names it; go back: registry-tool rollback {key}")


@click.command("suspend")
@click.argument("deployment", metavar="ENV/NAME")
@edit_options
@pass_app
def suspend_command(app: App, deployment: str, edit: EditOptions) -> int:
    """Leave what runs of a deployment alone, whatever its manifest says, until it is resumed."""
    return _set_suspend(app, deployment, True, edit)


@click.command("resume")
@click.argument("deployment", metavar="ENV/NAME")
@edit_options
@pass_app
def resume_command(app: App, deployment: str, edit: EditOptions) -> int:
    """End the suspension of a deployment: the next apply brings it to what its manifest says."""
    return _set_suspend(app, deployment, False, edit)


def _set_suspend(app: App, text: str, suspend: bool, options: EditOptions) -> int:
    edit = ManifestEdit(app, options)
    found = edit.deployment(text)
    if found.manifest.spec.suspend is suspend:
        state = "suspended already" if suspend else "not suspended"
        return edit.unchanged(found, f"it is {state}")
    edit.set_value(found.path, ("spec", "suspend"), suspend)
    edit.finish(f"{'Suspend' if suspend else 'Resume'} {found.manifest.id}")
    edit.next_step()
    return 0
