"""`serve`: the read-only web index."""

from __future__ import annotations

import click

from registry_tool.cli.app import App, pass_app


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen on; 0 takes a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that answer; they share one catalog.",
)
@click.option(
    "--root-path", metavar="PATH", default="", help="The prefix under which a proxy offers it."
)
@click.option(
    "--watch/--no-watch", default=True, show_default=True, help="Whether to notice commits at once."
)
@click.option(
    "--poll",
    metavar="SECONDS",
    type=click.FloatRange(min=0.1, max=3600),
    default=5.0,
    show_default=True,
    help="How often to look for new commits in any case.",
)
@click.option(
    "--access-log/--no-access-log", default=True, show_default=True, help="Whether to log requests."
)
@pass_app
def serve_command(
    app: App,
    *,
    host: str,
    port: int,
    workers: int,
    root_path: str,
    watch: bool,
    poll: float,
    access_log: bool,
) -> int:
    """Serve the web index: pages, the API below /api/v1, and the embedded images below /v2.

    What is shown is the newest valid revision of the checked-out branch; new commits appear by
    themselves. Nothing can be changed through it. It runs until it is interrupted.
    """
    from registry_tool.cli.serving import Listening, ServeSettings, serve

    repository = app.repository
    settings = ServeSettings(
        repo=str(repository.work_tree or repository.git_dir),
        root_path=_prefix(root_path),
        watch=watch,
        poll=poll,
    )
    return serve(app, settings, Listening(host, port, workers, access_log))


def _prefix(text: str) -> str:
    """``/registry`` for all spellings of it; empty for the root."""
    path = text.strip("/")
    return f"/{path}" if path else ""
