"""`new`: manifests with comments, at their conventional paths, never over an existing file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click
from pydantic import JsonValue

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.arguments import key_values
from registry_tool.cli.commands.new_deployment import new_deployment, new_environment
from registry_tool.cli.edit_options import EditOptions, edit_options
from registry_tool.cli.editing import ManifestEdit
from registry_tool.cli.options import label_option
from registry_tool.cli.scaffold import field_examples
from registry_tool.cli.scaffold.manifest_files import finish, require_name, write_manifest
from registry_tool.domain.model import Model
from registry_tool.domain.names import OCI_COMPONENT
from registry_tool.domain.release import Release, Stage
from registry_tool.domain.subjects import ReleaseId, parse_release
from registry_tool.domain.versions import precedence
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.domain.desired import Desired

Values = Mapping[str, JsonValue]


@click.group("new")
def new_command() -> None:
    """Write a manifest with comments at its conventional path; never overwrite one."""


@new_command.command("model")
@click.argument("name")
@click.option("--storage-path", metavar="PATH", help="Where checkpoint files live.")
@click.option("--description", help="What the model is for.")
@click.option("--company", help="Who made the model.")
@click.option("--base-model", help="The model that this one was made from.")
@click.option("--parameter-count", metavar="COUNT", help="For example 7B or 350M.")
@click.option("--license", help="SPDX identifier or name of the license.")
@click.option("--tag", "tags", multiple=True, help="A word to find it by; may be repeated.")
@label_option
@edit_options
@pass_app
def new_model(
    app: App,
    /,
    *,
    name: str,
    storage_path: str | None,
    parameter_count: str | None,
    tags: Sequence[str],
    labels: Sequence[str],
    edit: EditOptions,
    **texts: str | None,
) -> int:
    """Write the manifest of a model.

    Without --storage-path it is a folder of that name below the first allowed storage prefix.
    """
    require_name(OCI_COMPONENT, name, "model", "my-model")
    session = ManifestEdit(app, edit)
    allowed = session.desired.registry.manifest.spec.storage.allowed
    values: dict[str, JsonValue] = {
        "storage_path": storage_path or f"{allowed[0].rstrip('/')}/{name}",
        **{key: text for key, text in texts.items() if text is not None},
    }
    if parameter_count is not None:
        values["parameter_count"] = (
            int(parameter_count) if parameter_count.isdigit() else parameter_count
        )
    if tags:
        values["tags"] = list(tags)
    path = f"manifests/models/{name}.yaml"
    write_manifest(session, path, Model, values, field_examples.MODEL, {"name": name}, labels)
    # One that needs no engine, where there is one.
    templates = sorted(
        session.desired.templates,
        key=lambda each: (
            session.desired.templates[each].manifest.spec.dockerfile is not None,
            each,
        ),
    )
    template = f" --template {templates[0]}" if len(templates) > 1 else ""
    following = f"registry-tool new release {name}/1.0.0{template}"
    return finish(session, f"Add model {name}", following)


@new_command.command("release")
@click.argument("release")
@click.option("--template", metavar="NAME", help="The build template.")
@click.option(
    "--param",
    "params",
    metavar="KEY=VALUE",
    multiple=True,
    help="A parameter of the template, as JSON or text; may be repeated.",
)
@click.option("--storage-path", metavar="PATH", help="Where its files live, if not the model's.")
@click.option(
    "--include", metavar="GLOB", multiple=True, help="Files that belong to it; may be repeated."
)
@click.option(
    "--exclude", metavar="GLOB", multiple=True, help="Files that do not; may be repeated."
)
@click.option(
    "--stage",
    type=click.Choice([stage.value for stage in Stage]),
    default=Stage.CANDIDATE.value,
    show_default=True,
    help="Where it is in its life.",
)
@click.option(
    "--platform",
    "platforms",
    metavar="OS/ARCH",
    multiple=True,
    help="A platform to build for; may be repeated.",
)
@click.option("--notes", metavar="MARKDOWN", help="Release notes.")
@click.option("--auto-build/--no-auto-build", default=True, help="Whether to build unasked.")
@label_option
@edit_options
@pass_app
def new_release(
    app: App,
    *,
    release: str,
    template: str | None,
    params: Sequence[str],
    storage_path: str | None,
    include: Sequence[str],
    exclude: Sequence[str],
    stage: str,
    platforms: Sequence[str],
    notes: str | None,
    auto_build: bool,
    labels: Sequence[str],
    edit: EditOptions,
) -> int:
    """Write the manifest of RELEASE (MODEL/VERSION[/QUANTIZATION]).

    Without --template it is that of the model's newest release, or the only one there is.
    """
    wanted = parse_release(release)
    session = ManifestEdit(app, edit)
    use: dict[str, JsonValue] = {"name": template or _default_template(session.desired, wanted)}
    if params:
        use["params"] = key_values(params, "--param", typed=True)
    values: dict[str, JsonValue] = {**wanted._asdict(), "stage": stage}
    values["template"] = use
    if notes:
        values["release_notes"] = notes.replace("\\n", "\n")
    if storage_path:
        values["storage_path"] = storage_path
    if include or exclude:
        globs: dict[str, JsonValue] = {"include": list(include), "exclude": list(exclude)}
        values["artifacts"] = {key: given for key, given in globs.items() if given}
    if platforms:
        values["platforms"] = list(platforms)
    if not auto_build:
        values["auto_build"] = False
    path = f"manifests/releases/{wanted}.yaml"
    write_manifest(session, path, Release, values, field_examples.RELEASE, {}, labels)
    return finish(session, f"Add release {wanted}", f"registry-tool lock {_short(wanted)}")


def _default_template(desired: Desired, wanted: ReleaseId) -> str:
    of_model = [known for known in desired.releases if known.model == wanted.model]
    if of_model:
        newest = max(of_model, key=lambda known: precedence(known.version))
        return desired.releases[newest].manifest.spec.template.name
    names = sorted(desired.templates)
    if len(names) == 1:
        return names[0]
    if not names:
        raise UsageProblem(
            "there is no build template yet", help="registry-tool new template NAME writes one"
        )
    raise UsageProblem(
        f"which template makes the image of {wanted}?",
        help=f"add --template NAME; there are {', '.join(names)}",
    )


@new_command.command("template")
@click.argument("name")
@click.option(
    "--native/--dockerfile",
    default=True,
    help="Assembled without an engine (the default), or built from a Dockerfile.",
)
@edit_options
@pass_app
def new_template(app: App, name: str, native: bool, edit: EditOptions) -> int:
    """Write a build template: how images are made from the files of releases."""
    from registry_tool.cli.scaffold.template_files import dockerfile_template, native_template

    require_name(OCI_COMPONENT, name, "template", "my-template")
    session = ManifestEdit(app, edit)
    made = native_template(name) if native else dockerfile_template(name)
    for path, data in made.items():
        session.create(f"build_templates/{name}/{path}", data.encode())
    return finish(
        session,
        f"Add build template {name}",
        f"registry-tool new release MODEL/VERSION --template {name}",
    )


def _short(release: ReleaseId) -> str:
    return str(release).removesuffix("/none")


new_command.add_command(new_environment)
new_command.add_command(new_deployment)
