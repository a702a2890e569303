"""Manifests by what the command line calls them, with a useful answer when there is none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from registry_tool.domain.names import did_you_mean
from registry_tool.domain.subjects import parse_deployment, parse_release
from registry_tool.errors import InvalidManifests, UsageProblem

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.domain.api_key import ApiKey
    from registry_tool.domain.deployment import Deployment
    from registry_tool.domain.desired import Desired, Located
    from registry_tool.domain.release import Release
    from registry_tool.domain.subjects import ReleaseId
    from registry_tool.manifests.source import Source


def here(app: App) -> tuple[Desired, str]:
    """The valid manifests of the work tree, or of HEAD where there is none, and what they are called."""
    from registry_tool.manifests.loading import load

    repository = app.repository
    if repository.work_tree is not None:
        source: Source = repository.work_tree_snapshot()
        where = "the work tree"
    else:
        revision = repository.revision()
        source, where = repository.snapshot(revision.oid), revision.short
    loaded = load(source, app.cache, jobs=app.jobs)
    if loaded.desired is None:
        raise InvalidManifests(f"{where} has no valid Registry", loaded.diagnostics)
    return loaded.desired, where


def find_release(desired: Desired, text: str, where: str) -> Located[Release]:
    """The release that an argument names. `where` ends the sentence "there is no … in"."""
    wanted = parse_release(text)
    found = desired.releases.get(wanted)
    if found is None:
        raise UsageProblem(
            f'there is no release "{wanted}" in {where}', help=_release_help(desired, wanted)
        )
    return found


def _release_help(desired: Desired, wanted: ReleaseId) -> str:
    of_model = [known for known in desired.releases if known.model == wanted.model]
    siblings = sorted(known.quantization for known in of_model if known.version == wanted.version)
    if siblings:
        return f"{wanted.model}/{wanted.version} has the quantization {_any_of(siblings)}"
    if of_model:
        return suggestion(str(wanted), map(str, of_model), "release")
    models = {known.model for known in desired.releases}
    near = did_you_mean(wanted.model, models - {wanted.model})
    return near or f"registry-tool new release {wanted} writes one"


def find_deployment(desired: Desired, text: str, where: str) -> Located[Deployment]:
    """The deployment that an argument names. `where` ends the sentence "there is no … in"."""
    wanted = parse_deployment(text)
    found = desired.deployments.get(wanted)
    if found is None:
        raise UsageProblem(
            f'there is no deployment "{wanted}" in {where}',
            help=suggestion(str(wanted), map(str, desired.deployments), "deployment"),
        )
    return found


def find_api_key(desired: Desired, name: str, where: str) -> Located[ApiKey]:
    """The API key of that name. `where` ends the sentence "there is no … in"."""
    found = desired.api_keys.get(name)
    if found is None:
        known = sorted(desired.api_keys)
        raise UsageProblem(
            f'there is no API key "{name}" in {where}',
            help=suggestion(name, known, "API key")
            if known
            else "registry-tool api-key create NAME makes one",
        )
    return found


def require_environment(desired: Desired, name: str, where: str) -> None:
    """Raise UsageProblem unless the environment is known."""
    if name not in desired.environments:
        raise UsageProblem(
            f'there is no environment "{name}" in {where}',
            help=suggestion(name, desired.environments, "environment"),
        )


def suggestion(wanted: str, known: Iterable[str], noun: str) -> str:
    """The nearest of the known names, or what there is, or how to make the first one."""
    names = sorted(known)
    if not names:
        return f"there is no {noun} at all yet; registry-tool new {noun} writes one"
    return did_you_mean(wanted, names) or f"known: {', '.join(names[:10])}" + (
        f" and {len(names) - 10} more" if len(names) > 10 else ""
    )


def _any_of(names: Sequence[str]) -> str:
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))
