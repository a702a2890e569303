"""Putting the web index together, and running it in one process or in several."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry_tool import __version__
from registry_tool.cli.app import App
from registry_tool.errors import EnvironmentProblem, RepositoryProblem, UsageProblem

if TYPE_CHECKING:
    from registry_tool.catalog.files import Catalogs
    from registry_tool.domain.environment import Freeze
    from registry_tool.domain.live import LiveRun
    from registry_tool.reconcile.projecting import CatalogUpdater
    from registry_tool.web.app import Application
    from registry_tool.web.context import LogPlace, WebContext

_WORKER_SETTINGS = "_REGISTRY_TOOL_WORKER"
"""The variable by which workers get their settings."""
_FACTORY = "registry_tool.cli.serving:worker"
_GRACE = 10
"""Seconds that responses may take to end when the server is stopped."""


@dataclass(frozen=True)
class ServeSettings:
    """What every worker needs to know."""

    repo: str
    root_path: str = ""
    watch: bool = True
    poll: float = 5.0
    session_secret: str = field(default_factory=lambda: secrets.token_hex(32))
    """Of this run of the server: sessions end with it."""


def web_context(app: App, settings: ServeSettings) -> WebContext:
    """The web index's context over a repository."""
    from registry_tool.catalog.files import Catalogs
    from registry_tool.cli.deriving import DerivingApart, derive_apart, is_large
    from registry_tool.cli.ref_watching import RefWatcher
    from registry_tool.domain.observed import Observed
    from registry_tool.oci.layout import LayoutStore
    from registry_tool.planning.gates import frozen_until, schedule_problem
    from registry_tool.reconcile.live import read_live
    from registry_tool.reconcile.observations import read_observed
    from registry_tool.web.context import NoWatcher, Updater, WebContext

    repository = app.repository
    state = repository.state_path

    def live() -> tuple[LiveRun, ...]:
        return read_live(state, datetime.now(UTC))

    def observed() -> Observed | None:
        return read_observed(state)

    def frozen(freeze: Freeze, now: datetime) -> datetime | None:
        problem = schedule_problem(freeze.schedule)
        if problem is not None:
            raise UsageProblem(f"its schedule is none: {problem}")
        return frozen_until(freeze, now)

    def read_log(place: LogPlace) -> str:
        from registry_tool.builders.publishing import read_log as read

        store = app.store_named(place.store, insecure=place.insecure)
        return read(store, place.model, place.reference)

    directory = catalog_directory(app)
    catalogs = Catalogs(directory)
    updater: Updater = catalog_updater(app, catalogs)
    if is_large(repository):
        updater = DerivingApart(updater, catalogs, lambda: derive_apart(settings.repo, directory))
    return WebContext(
        updater=updater,
        catalogs=catalogs,
        store=LayoutStore(app.store_root, read_only=True),
        version=__version__,
        watcher=RefWatcher(repository.git_dir, repository.common_dir)
        if settings.watch
        else NoWatcher(),
        read_log=read_log,
        read_patch=repository.patch,
        live=live,
        observed=observed,
        frozen_until=frozen,
        poll=settings.poll,
        session_secret=bytes.fromhex(settings.session_secret),
    )


def catalog_updater(app: App, catalogs: Catalogs) -> CatalogUpdater:
    """What keeps catalogs up to date with a repository."""
    from registry_tool.cli.recorded import records_ref
    from registry_tool.reconcile.projecting import CatalogUpdater

    return CatalogUpdater(
        app.repository, catalogs, app.cache, jobs=app.jobs, records_ref=records_ref
    )


def catalog_directory(app: App) -> Path:
    """Where catalogs are kept: beside the other caches, or for the time of the process only."""
    try:
        place = app.repository.state_dir / "catalog"
        place.mkdir(exist_ok=True)
    except (OSError, RepositoryProblem):
        return Path(tempfile.mkdtemp(prefix="registry-tool-catalog-"))
    return place if os.access(place, os.W_OK) else Path(tempfile.mkdtemp())


def worker() -> Application:
    """The application of one of several workers; uvicorn calls this in each of them."""
    settings = ServeSettings(**json.loads(os.environ[_WORKER_SETTINGS]))
    return _application(App(repo_path=settings.repo, verbosity=0), settings)


def _application(app: App, settings: ServeSettings) -> Application:
    from registry_tool.web.app import create_app

    return create_app(web_context(app, settings))


@dataclass(frozen=True)
class Listening:
    """Where and how a server listens."""

    host: str
    port: int
    workers: int
    access_log: bool


def serve(app: App, settings: ServeSettings, listening: Listening) -> int:
    """Serve until interrupted. Raises EnvironmentProblem when the address cannot be had."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    listener = _listen(listening.host, listening.port)
    _introduce(app, settings, listening, listener)
    logs = log_settings(app.verbosity)
    several = listening.workers > 1
    config = uvicorn.Config(
        _FACTORY if several else _application(app, settings),
        factory=several,
        workers=listening.workers,
        log_config=logs,
        access_log=listening.access_log and app.verbosity >= 0,
        root_path=settings.root_path,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
    )
    with listener, _metrics_of_workers(several):
        if several:
            os.environ[_WORKER_SETTINGS] = json.dumps(asdict(settings))
            Multiprocess(config, sockets=[listener]).run()
        else:
            uvicorn.Server(config).run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as problem:
        raise EnvironmentProblem(
            f"cannot listen on {host} port {port}: {problem}",
            help="choose another --host or --port; --port 0 takes a free one",
        ) from problem
    # Connections inherit it. Head and body of a response are written one after the other, and the
    # second would wait until the client has acknowledged the first: 40 ms on a kept connection.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _introduce(app: App, settings: ServeSettings, at: Listening, listener: socket.socket) -> None:
    """Derive the catalog, so that workers find it, and say what is served where."""
    context = web_context(app, settings)
    pair = context.updater.refresh()
    host = f"[{at.host}]" if ":" in at.host else at.host
    url = f"http://{host}:{listener.getsockname()[1]}/"
    if settings.root_path:
        url += f", for a proxy that offers it below {settings.root_path}/"
    if pair is None:
        app.note(f"Serving {settings.repo} at {url}; it has no valid revision yet")
        return
    with context.catalogs.open() as catalog:
        app.note(f"Serving {catalog.pair.revision.short} of {settings.repo} at {url}")
        if not _is_loopback(at.host) and not catalog.registry().web.require_api_key:
            app.note(
                f"warning: everybody who reaches {at.host} can read this index;"
                " set web.require_api_key in the Registry manifest to ask for keys"
            )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def _metrics_of_workers(several: bool) -> Iterator[None]:
    """A folder in which workers add up what they count."""
    if not several or importlib.util.find_spec("prometheus_client") is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="registry-tool-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


def log_settings(verbosity: int) -> dict[str, Any]:
    """Everything goes to stderr: requests in one form, the rest in another."""
    level = {-1: "ERROR", 0: "INFO"}.get(verbosity, "DEBUG")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "plain": {"format": "%(asctime)s %(levelname)s %(message)s"},
            "access": {
                "()": "uvicorn.logging.AccessFormatter",
                "fmt": '%(asctime)s %(client_addr)s "%(request_line)s" %(status_code)s',
                "use_colors": False,
            },
        },
        "handlers": {
            name: {"class": "logging.StreamHandler", "formatter": name}
            for name in ("plain", "access")
        },
        "loggers": {
            "uvicorn": {"handlers": ["plain"], "level": level, "propagate": False},
            "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
            "registry_tool": {"handlers": ["plain"], "level": level, "propagate": False},
        },
    }
