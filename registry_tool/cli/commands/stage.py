"""`stage`, `promote`, `demote`: move releases through their stages and deployments through environments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.edit_options import EditOptions, edit_options
from registry_tool.cli.editing import ManifestEdit
from registry_tool.cli.finding import require_environment
from registry_tool.domain.kinds import conventional_path
from registry_tool.domain.release import Stage
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.domain.deployment import Deployment
    from registry_tool.domain.desired import Located
    from registry_tool.domain.environment import Environment
    from registry_tool.domain.release import Release


@click.command("stage")
@click.argument("release")
@click.argument("stage", type=click.Choice([stage.value for stage in Stage]))
@edit_options
@pass_app
def stage_command(app: App, release: str, stage: str, edit: EditOptions) -> int:
    """Set the stage of RELEASE (MODEL/VERSION[/QUANTIZATION]).

    Once a release is released, what goes into its image can no longer change.
    """
    return set_stage(app, release, Stage(stage), edit)


@click.command("promote")
@click.argument("name", metavar="RELEASE|NAME")
@click.option("--from", "source", metavar="ENV", help="The environment that NAME runs in.")
@click.option("--to", "target", metavar="ENV", help="The environment that NAME is promoted to.")
@edit_options
@pass_app
def promote_command(
    app: App, name: str, source: str | None, target: str | None, edit: EditOptions
) -> int:
    """Set the stage of a RELEASE to released, or bring a deployment to the next environment.

    With --from and --to, the deployment NAME of the second environment gets the release that NAME
    of the first one has. It is made from the first one when there is none yet.
    """
    if source is None and target is None:
        return set_stage(app, name, Stage.RELEASED, edit)
    if source is None or target is None:
        raise UsageProblem(
            "promoting a deployment needs both environments",
            help=f"registry-tool promote {name} --from ENV --to ENV",
        )
    return promote_deployment(app, name, source, target, edit)


@click.command("demote")
@click.argument("release")
@edit_options
@pass_app
def demote_command(app: App, release: str, edit: EditOptions) -> int:
    """Set the stage of RELEASE back to candidate, so that it may be changed again."""
    return set_stage(app, release, Stage.CANDIDATE, edit)


def set_stage(app: App, text: str, stage: Stage, options: EditOptions) -> int:
    """Edit the stage of one release."""
    edit = ManifestEdit(app, options)
    found = edit.release(text)
    if found.manifest.spec.stage is stage:
        return edit.unchanged(found, f"its stage is {stage} already")
    edit.set_value(found.path, ("spec", "stage"), stage.value)
    edit.finish(f"Set the stage of {found.manifest.id} to {stage}")
    edit.next_step()
    return 0


def promote_deployment(app: App, name: str, source: str, target: str, options: EditOptions) -> int:
    """Give the deployment of one environment the release of another's."""
    edit = ManifestEdit(app, options)
    for environment in (source, target):
        require_environment(edit.desired, environment, edit.where)
    found = edit.deployment(f"{source}/{name}")
    release = _release_of(edit, found)
    _require_way(edit.desired.environments[target].manifest, source, release)
    existing = edit.desired.deployments.get(found.manifest.id._replace(environment=target))
    if existing is None:
        _copy_to(edit, found, target)
    elif not _give_release(edit, existing, release):
        return edit.unchanged(existing, f"it has {release.id} already")
    edit.finish(f"Promote {name} to {target}: {release.id}")
    if existing is None and not options.dry_run:
        app.note(
            f"note: {target} had no deployment {name}; the new one is a copy of the one in {source}."
            " Look at its ports, replicas and resources."
        )
    edit.next_step()
    return 0


def _release_of(edit: ManifestEdit, deployment: Located[Deployment]) -> Release:
    spec = deployment.manifest.spec
    if spec.version is None:
        raise UsageProblem(
            f"{deployment.manifest.subject} tracks releases and names no version to promote",
            help=f"let the deployment in the other environment track {spec.model}, too",
        )
    text = f"{spec.model}/{spec.version}/{spec.quantization}"
    return edit.release(text).manifest


def _require_way(target: Environment, source: str, release: Release) -> None:
    """Raise UsageProblem where the target environment does not take this release from there."""
    name, spec = target.metadata.name, target.spec
    if spec.promote_from not in {None, source}:
        raise UsageProblem(
            f"{name} takes promotions from {spec.promote_from}, not from {source}",
            help=f"registry-tool promote NAME --from {spec.promote_from} --to {name}",
        )
    if release.spec.stage not in spec.accepts:
        accepted = " and ".join(spec.accepts)
        raise UsageProblem(
            f"{name} accepts {accepted} releases, and {release.id} is {release.spec.stage}",
            help=f"registry-tool promote {release.id}"
            if release.spec.stage is Stage.CANDIDATE
            else f"choose another release, or change spec.accepts of environment {name}",
        )
    if release.spec.yanked is not None:
        raise UsageProblem(
            f"{release.id} is yanked: {release.spec.yanked.reason}", help="choose another release"
        )


def _give_release(edit: ManifestEdit, deployment: Located[Deployment], release: Release) -> bool:
    """Make a deployment name a release, touching only what differs; returns whether anything does."""
    spec = deployment.manifest.spec
    if spec.model != release.spec.model:
        raise UsageProblem(
            f"{deployment.manifest.subject} runs the model {spec.model},"
            f" and {release.id} is of {release.spec.model}",
            help="edit the deployment by hand if the model is meant to change",
        )
    if spec.track is not None:
        raise UsageProblem(
            f"{deployment.manifest.subject} tracks releases by itself",
            help="replace spec.track by spec.version to name releases",
        )
    if spec.version != release.spec.version:
        edit.set_value(deployment.path, ("spec", "version"), release.spec.version)
    if spec.quantization != release.spec.quantization:
        edit.set_value(deployment.path, ("spec", "quantization"), release.spec.quantization)
    return bool(edit.changed)


def _copy_to(edit: ManifestEdit, deployment: Located[Deployment], environment: str) -> None:
    """Write the deployment's manifest, comments included, for another environment."""
    manifest = deployment.manifest
    copied = manifest.model_copy(
        update={"spec": manifest.spec.model_copy(update={"environment": environment})}
    )
    path = conventional_path(copied)
    edit.create(path, edit.existing(deployment.path))
    edit.set_value(path, ("spec", "environment"), environment)
