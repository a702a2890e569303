"""`log`: the log of a build."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import EMBEDDED, App, pass_app
from registry_tool.cli.reading import read_committed
from registry_tool.errors import StoreProblem, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from registry_tool.domain.recorded import Recorded, Sequenced
    from registry_tool.domain.records import Build
    from registry_tool.oci.store import ImageStore

_KEY = re.compile(r"[0-9a-f]{4,64}", re.ASCII)
_LOG = re.compile(r"(?:.*/)?(?P<model>[^/:]+):(?P<tag>log-[^/:@]+)")


@click.command("log")
@click.argument("build", metavar="BUILD")
@pass_app
def log_command(app: App, build: str) -> None:
    """Print the log of a build.

    BUILD is the beginning of a build key, a release such as minilm/1.0.0 (its latest build), or the
    reference of a log such as minilm:log-1a2b3c4d5e6f-000001.
    """
    from registry_tool.cli.recorded import records_of

    recorded = records_of(app)
    found = _find(recorded, build)
    if found is not None:
        _print_log(app, found)
        return
    reference = _LOG.fullmatch(build)
    if reference is None:
        raise UsageProblem(
            f'there is no build "{build}"', help="registry-tool list builds shows all of them"
        )
    app.out(_read(app, None, reference["model"], reference["tag"]))


def _find(recorded: Recorded, text: str) -> Sequenced[Build] | None:
    """The newest build that a key prefix, a log reference or a release means."""
    from registry_tool.domain.subjects import parse_release

    if _KEY.fullmatch(text):
        by_key = [entry for entry in _builds(recorded) if entry.record.spec.key.startswith(text)]
        keys = sorted({entry.record.spec.key for entry in by_key})
        if len(keys) > 1:
            raise UsageProblem(
                f'"{text}" begins {len(keys)} build keys',
                help="write more of it: " + ", ".join(key[:12] for key in keys[:5]),
            )
        return by_key[-1] if by_key else None
    tagged = [entry for entry in _builds(recorded) if _names(entry.record.spec.log, text)]
    if tagged or ":" in text:
        return tagged[-1] if tagged else None
    release = parse_release(text)
    builds = recorded.builds.get(release, ())
    if not builds:
        raise UsageProblem(
            f"no build of {release} is recorded", help="registry-tool list builds shows all of them"
        )
    return builds[-1]


def _builds(recorded: Recorded) -> Iterator[Sequenced[Build]]:
    for release in sorted(recorded.builds):
        yield from recorded.builds[release]


def _names(reference: str | None, text: str) -> bool:
    """Whether `text` is a log's reference, or the tag in it."""
    return reference is not None and (reference == text or reference.endswith(f":{text}"))


def _print_log(app: App, entry: Sequenced[Build]) -> None:
    """The full log from the store, or the end of it that the record keeps."""
    spec = entry.record.spec
    missing = "the build left no log"
    if spec.log is not None:
        try:
            app.out(_read(app, spec.store, spec.model, spec.log))
        except StoreProblem as problem:
            if spec.error is None:
                raise
            missing = problem.message
        else:
            return
    if spec.error is not None:
        app.note(f"note: {missing}; this is the end of it, from the record")
        app.out(spec.error)
    else:
        app.note(f"note: {missing}; it {spec.result.value} and was made by {spec.builder}")


def _read(app: App, store: str | None, model: str, reference: str) -> str:
    from registry_tool.builders.publishing import read_log

    return read_log(_store(app, store), model, reference)


def _store(app: App, name: str | None) -> ImageStore:
    """The store of that name, which need not be the one that is in use now; by default that."""
    if name == EMBEDDED:
        return app.store_named(EMBEDDED)
    registry = read_committed(app, None).desired.registry.manifest
    images = registry.spec.images
    if name in {None, images.repository}:
        return app.open_store(registry)
    return app.store_named(name or EMBEDDED)
