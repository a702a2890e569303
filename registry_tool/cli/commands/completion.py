"""`completion`: shell completion scripts."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from registry_tool.cli.app import App, pass_app
from registry_tool.errors import UsageProblem

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@pass_app
@click.pass_context
def completion_command(ctx: click.Context, app: App, shell: str | None) -> None:
    """Print the completion script of a shell; by default of the one in $SHELL.

    \b
    bash: registry-tool completion bash > ~/.local/share/bash-completion/completions/registry-tool
    zsh:  registry-tool completion zsh > "${fpath[1]}/_registry-tool"
    fish: registry-tool completion fish > ~/.config/fish/completions/registry-tool.fish
    """  # noqa: D301 - click wants the character, not the backslash
    shell = shell or Path(os.environ.get("SHELL", "")).name
    found = get_completion_class(shell) if shell in SHELLS else None
    if found is None:
        raise UsageProblem(
            f'there is no completion for the shell "{shell}"',
            help=f"name one of {', '.join(SHELLS)}",
        )
    root = ctx.find_root().command
    app.out(found(root, {}, "registry-tool", "_REGISTRY_TOOL_COMPLETE").source())
