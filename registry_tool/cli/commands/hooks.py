"""`hooks`: Git hooks that check and reconcile."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.errors import UsageProblem


@click.group("hooks")
def hooks_command() -> None:
    """Install Git hooks."""


@hooks_command.command("install")
@click.option(
    "--client", "side", flag_value="client", help="pre-commit and pre-push: check what you commit."
)
@click.option(
    "--server",
    "side",
    flag_value="server",
    help="pre-receive and post-receive: refuse invalid pushes, reconcile after valid ones.",
)
@click.argument("repo", required=False)
@pass_app
def hooks_install(app: App, side: str | None, repo: str | None) -> None:
    """Install hooks into REPO, by default the repository of --repo.

    Without --client or --server a bare repository gets server hooks and a work tree client hooks.
    Hooks of somebody else are never replaced.
    """
    from registry_tool.repository.hooks import install_client, install_server
    from registry_tool.repository.repository import Repository

    with Repository.open(Path(repo) if repo is not None else app.repo_path) as repository:
        server = side == "server" or (side is None and repository.work_tree is None)
        if not server and repository.work_tree is None:
            raise UsageProblem(
                "a bare repository has no commits to check before they are made",
                help="install --server hooks",
            )
        installed = install_server(repository) if server else install_client(repository)
        for hook in installed:
            app.out(f"{hook.change} {hook.path}")
        if server and not repository.config_all("registry-tool.recorder"):
            app.note(
                "note: nobody may push records here; to let a reconciler elsewhere do so:"
                " git config --add registry-tool.recorder NAME"
            )


@hooks_command.command("run", hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument(
    "name", type=click.Choice(["pre-commit", "pre-push", "pre-receive", "post-receive"])
)
@click.argument("arguments", nargs=-1)
@pass_app
def hooks_run(app: App, name: str, arguments: tuple[str, ...]) -> int:
    """Do what the hook NAME is for; the installed scripts call this."""
    from registry_tool.cli import receiving

    del arguments
    if name == "pre-commit":
        return receiving.pre_commit(app)
    lines = sys.stdin.read()
    if name == "pre-push":
        return receiving.pre_push(app, lines)
    if name == "pre-receive":
        return receiving.pre_receive(app, lines, os.environ)
    return receiving.post_receive(app, lines, os.environ)
