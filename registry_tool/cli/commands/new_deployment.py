"""`new environment` and `new deployment`: where releases run, and what runs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
from pydantic import JsonValue

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.arguments import key_values, ports
from registry_tool.cli.edit_options import EditOptions, edit_options
from registry_tool.cli.editing import ManifestEdit
from registry_tool.cli.options import label_option
from registry_tool.cli.scaffold import field_examples
from registry_tool.cli.scaffold.manifest_files import finish, require_name, write_manifest
from registry_tool.domain.deployment import Deployment, WeightsMode
from registry_tool.domain.environment import Environment, TargetType
from registry_tool.domain.names import DNS_LABEL
from registry_tool.domain.release import Stage
from registry_tool.domain.subjects import parse_deployment
from registry_tool.errors import UsageProblem

Values = Mapping[str, JsonValue]


@click.command("environment")
@click.argument("name")
@click.option(
    "--type",
    "target_type",
    type=click.Choice([entry.value for entry in TargetType]),
    default=TargetType.COMPOSE.value,
    show_default=True,
    help="The kind of engine.",
)
@click.option("--host", metavar="NAME", help="A Docker context, or a host the operator granted.")
@click.option("--namespace", help="The Kubernetes namespace.")
@click.option("--network", help="The network that containers join.")
@click.option(
    "--accepts",
    type=click.Choice([stage.value for stage in Stage]),
    multiple=True,
    help="A stage of releases that may run here; may be repeated.",
)
@click.option("--promote-from", metavar="ENV", help="Where a release must have run before.")
@click.option("--soak", metavar="DURATION", help="How long it must have run there.")
@label_option
@edit_options
@pass_app
def new_environment(
    app: App,
    *,
    name: str,
    target_type: str,
    host: str | None,
    namespace: str | None,
    network: str | None,
    accepts: Sequence[str],
    promote_from: str | None,
    soak: str | None,
    labels: Sequence[str],
    edit: EditOptions,
) -> int:
    """Write the manifest of an environment."""
    require_name(DNS_LABEL, name, "environment", "staging", 63)
    session = ManifestEdit(app, edit)
    places = {"host": host, "namespace": namespace, "network": network}
    target = {"type": target_type} | {key: text for key, text in places.items() if text}
    values: dict[str, JsonValue] = {"target": dict(target)}
    if accepts:
        values["accepts"] = list(accepts)
    values |= {
        key: text for key, text in {"promote_from": promote_from, "soak": soak}.items() if text
    }
    path = f"manifests/environments/{name}.yaml"
    write_manifest(
        session, path, Environment, values, field_examples.ENVIRONMENT, {"name": name}, labels
    )
    return finish(
        session,
        f"Add environment {name}",
        f"registry-tool new deployment {name}/NAME --release MODEL/VERSION",
    )


@click.command("deployment")
@click.argument("deployment", metavar="ENV/NAME")
@click.option("--release", metavar="RELEASE", help="What runs: MODEL/VERSION[/QUANTIZATION].")
@click.option("--model", metavar="MODEL", help="With --track: the model to follow.")
@click.option("--track", metavar="RANGE", help="Follow releases, for example ^1.2, not one.")
@click.option("--quantization", metavar="NAME", help="With --track; none by default.")
@click.option("--replicas", type=click.IntRange(0, 1000), help="How many containers.")
@click.option(
    "--port",
    "port",
    metavar="[HOST:]CONTAINER",
    multiple=True,
    help="A port of the container, published when there is a HOST.",
)
@click.option("--env", metavar="NAME=VALUE", multiple=True, help="An environment variable.")
@click.option("--secret", "secrets", metavar="NAME", multiple=True, help="A granted secret.")
@click.option(
    "--weights",
    type=click.Choice([mode.value for mode in WeightsMode]),
    help="How the container gets the weights.",
)
@label_option
@edit_options
@pass_app
def new_deployment(
    app: App,
    *,
    deployment: str,
    release: str | None,
    model: str | None,
    track: str | None,
    quantization: str | None,
    replicas: int | None,
    port: Sequence[str],
    env: Sequence[str],
    secrets: Sequence[str],
    weights: str | None,
    labels: Sequence[str],
    edit: EditOptions,
) -> int:
    """Write the manifest of a deployment: a release that runs in an environment."""
    wanted = parse_deployment(deployment)
    session = ManifestEdit(app, edit)
    values: dict[str, JsonValue] = {"environment": wanted.environment}
    if release is not None and model is None and track is None and quantization is None:
        found = session.release(release).manifest.id
        values |= dict(found._asdict())
    elif release is None and model is not None and track is not None:
        values |= {"model": model, "quantization": quantization or "none"}
        values["track"] = {"version": track}
    else:
        raise UsageProblem(
            "a deployment either names a release or follows a model's releases",
            help="give --release MODEL/VERSION[/QUANTIZATION], or --model MODEL --track RANGE",
        )
    optional: dict[str, JsonValue] = {
        "replicas": replicas,
        "ports": ports(port) or None,
        "env": key_values(env, "--env") or None,
        "secrets": list(secrets) or None,
        "weights": weights,
    }
    values |= {key: value for key, value in optional.items() if value is not None}
    examples = {
        key: value
        for key, value in field_examples.DEPLOYMENT.items()
        if key != "track" or "version" not in values
    }
    path = f"manifests/deployments/{wanted}.yaml"
    write_manifest(session, path, Deployment, values, examples, {"name": wanted.name}, labels)
    return finish(session, f"Deploy {_what(values)} as {wanted}", "registry-tool plan")


def _what(values: Values) -> str:
    version = values.get("version") or "tracked releases"
    return f"{values['model']} {version}"
