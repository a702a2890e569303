"""The entry point: the command table, global options, and how errors become messages and exit codes."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
from typing import Any, NoReturn, cast

import click

from registry_tool import __version__
from registry_tool.cli.app import App
from registry_tool.errors import RegistryToolError

# No plugin of pydantic belongs to this program, and looking for one reads the metadata of every package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
_OBJECTS_BETWEEN_COLLECTIONS = 100_000

COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Scaffold a registry repository and commit it."),
    "new": ("new", "Write a manifest with comments; never overwrite."),
    "lock": ("lock", "Scan storage, hash in parallel, write the lock of releases."),
    "validate": ("validate", "Check all manifests."),
    "plan": ("plan", "Show what would be built and deployed, and why."),
    "apply": ("apply", "Reconcile once: build, deploy and record what the plan says."),
    "build": ("requests", "Ask for a build of releases."),
    "retry": ("requests", "Ask for another try of what failed."),
    "stage": ("stage", "Set the stage of a release."),
    "promote": ("stage", "Promote a release to released, or a deployment to the next environment."),
    "demote": ("stage", "Take a release back to candidate."),
    "rollback": ("lifecycle", "Point a deployment back to an earlier release."),
    "yank": ("lifecycle", "Take a release out of use, with a reason."),
    "suspend": ("lifecycle", "Leave what runs of a deployment alone."),
    "resume": ("lifecycle", "End the suspension of a deployment."),
    "list": ("list", "List manifests and builds of one kind."),
    "show": ("show", "Show one subject: manifest, state and records."),
    "status": ("status", "Show what runs where."),
    "history": ("history", "Show who changed what, and what was done."),
    "diff": ("diff", "Compare the manifests of two revisions."),
    "log": ("log", "Print the log of a build."),
    "artifact": ("artifact", "Work with the files of a release in storage."),
    "serve": ("serve", "Serve the read-only web index, the API and the embedded images."),
    "api-key": ("api_key", "Create, list and revoke keys for the web index."),
    "schema": ("schema", "Write or check the JSON Schemas of all kinds."),
    "fmt": ("fmt", "Format manifests, keeping comments."),
    "hooks": ("hooks", "Install Git hooks."),
    "doctor": ("doctor", "Check this machine and this repository."),
    "demo": ("demo", "Run the whole flow on a real model, without a daemon."),
    "completion": ("completion", "Print the shell completion script."),
}
"""Command name → module below registry_tool.cli.commands (holding a click command of that name), short help."""


class CommandTable(click.Group):
    """Imports a command's module only when that command is used: `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The click command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"registry_tool.cli.commands.{COMMANDS[cmd_name][0]}")
        command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return cast("click.Command", command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a mistyped name."""
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from registry_tool.domain.names import did_you_mean

            hint = did_you_mean(args[0], COMMANDS) or "see registry-tool --help"
            raise click.UsageError(f'there is no command "{args[0]}"; {hint}', ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The short helps of the table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=CommandTable,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "REGISTRY_TOOL"},
)
@click.version_option(__version__, prog_name="registry-tool")
@click.option(
    "--repo",
    metavar="PATH",
    default=".",
    show_default=True,
    help="The registry repository: a work tree or a bare repository.",
)
@click.option("-v", "--verbose", count=True, help="Say more on stderr; -vv for debugging.")
@click.option("-q", "--quiet", is_flag=True, help="Only results and errors.")
@click.pass_context
def cli(ctx: click.Context, repo: str, verbose: int, quiet: bool) -> None:
    """A GitOps registry for machine-learning model releases.

    Models, releases and deployments are YAML manifests in a Git repository. `validate` checks them, `plan` shows what
    would be done and `apply` does it and records it as commits.

    Exit codes: 0 success, 1 invalid manifests or failed actions, 2 usage, 3 environment (Git, storage, registry or
    engine), 4 changes pending (plan --exit-code).
    """
    app = App(repo_path=repo, verbosity=-1 if quiet else verbose)
    ctx.obj = app
    ctx.call_on_close(app.close)


class Terminated(KeyboardInterrupt):
    """Asked to end by SIGTERM, as service managers do: as orderly as at Ctrl-C."""


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise Terminated


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    # Importing makes very many objects that stay; looking through them again and again finds nothing.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)
    status = run(args)
    # All that is left goes with the process: the collection at exit has nothing to look through.
    gc.freeze()
    sys.exit(status)


def run(args: list[str] | None = None) -> int:
    """Run the command line; returns the exit code and never raises for an expected failure."""
    try:
        result: Any = cli.main(args=args, prog_name="registry-tool", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as problem:
        problem.show()
        return problem.exit_code
    except (click.Abort, KeyboardInterrupt) as end:
        # click turns the one into the other.
        terminated = isinstance(end.__cause__ or end, Terminated)
        click.echo("terminated" if terminated else "interrupted", err=True)
        return 143 if terminated else 130
    except RegistryToolError as problem:
        from registry_tool.cli.failures import report

        return report(problem)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as crash:
        from registry_tool.cli.failures import report_crash

        return report_crash(crash)
