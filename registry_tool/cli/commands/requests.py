"""`build` and `retry`: ask for something although its inputs did not change."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.domain.subjects import parse_release
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.cli.asking import Asking, Wanted

POLL_SECONDS = 2.0


@click.command("build")
@click.argument("releases", metavar="RELEASE...", nargs=-1, required=True)
@click.option("--wait", is_flag=True, help="Wait until the builds are recorded.")
@pass_app
def build_command(app: App, *, releases: tuple[str, ...], wait: bool) -> int:
    """Ask for a build of each RELEASE, also of one with auto_build off or a failed build.

    The request is a record. In a repository that reconciles itself it is carried out at once; with
    a remote it is pushed there. An image that is in the store already is kept, never built twice.
    """
    from registry_tool.cli.asking import Asking

    asking = Asking(app)
    return _ask(app, asking, "build", [asking.build_of(text) for text in releases], wait=wait)


@click.command("retry")
@click.argument("subject", metavar="RELEASE|ENV/NAME")
@click.option("--wait", is_flag=True, help="Wait until the result is recorded.")
@pass_app
def retry_command(app: App, *, subject: str, wait: bool) -> int:
    """Ask for another try of a build or deployment that failed.

    SUBJECT is release/MODEL/VERSION/QUANTIZATION or deployment/ENV/NAME; the kind may be left out
    where only one of them fits.
    """
    from registry_tool.cli.asking import Asking

    asking = Asking(app)
    if _is_deployment(asking, subject):
        wanted = asking.failed_deployment_of(subject)
    else:
        wanted = asking.failed_build_of(subject)
    return _ask(app, asking, "retry", [wanted], wait=wait)


def _is_deployment(asking: Asking, text: str) -> bool:
    """Two parts may be a deployment, or a release without its quantization."""
    kind, _, rest = text.partition("/")
    if kind in {"deployment", "release"} and "/" in rest:
        return kind == "deployment"
    if text.count("/") != 1:
        return False
    deployment = text in {str(known) for known in asking.desired.deployments}
    if deployment and _is_release(asking, text):
        raise UsageProblem(
            f"{text} names a deployment and a release",
            help=f"registry-tool retry deployment/{text}, or registry-tool retry release/{text}",
        )
    return deployment or kind in asking.desired.environments


def _is_release(asking: Asking, text: str) -> bool:
    try:
        return parse_release(text) in asking.desired.releases
    except UsageProblem:
        return False


def _ask(
    app: App, asking: Asking, action: Literal["build", "retry"], wanted: list[Wanted], *, wait: bool
) -> int:
    new = [entry for entry in wanted if not asking.is_open(entry)]
    for entry in wanted:
        if entry not in new:
            app.out(f"unchanged {entry.subject}: the same request is waiting already")
    if new:
        asking.append(action, new)
    for entry in new:
        app.out(f"requested {action} of {entry.subject} (key {entry.key[:12]})")
    if asking.remote is None and not app.repository.remotes():
        from registry_tool.cli.commands.apply import apply_once

        return apply_once(app)
    if wait:
        return _wait(app, asking.remote, wanted)
    what = wanted[0].subject
    app.note(
        f"next: the reconciler of {asking.remote} carries it out; registry-tool history {what}"
        if asking.remote
        else "next: registry-tool apply"
    )
    return 0


def _wait(app: App, remote: str | None, wanted: list[Wanted]) -> int:
    """Look at the records until everything is answered; returns 1 when something failed."""
    from registry_tool.cli.asking import answer_of

    code, waiting = 0, list(wanted)
    while waiting:
        for entry in list(waiting):
            result = answer_of(app, remote, entry)
            if result is not None:
                waiting.remove(entry)
                app.out(f"{result} {entry.subject}")
                code |= int(result not in {"succeeded", "delegated"})
        if waiting:
            pause()
    return code


def pause() -> None:
    """Leave the reconciler some time before looking again."""
    time.sleep(POLL_SECONDS)
