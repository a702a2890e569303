"""Everything about one subject on one page: manifest, last commit, builds, where it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry_tool.cli.formats.layout import counted, fields, human_bytes, moment, table
from registry_tool.cli.views.items import (
    build_item,
    deployment_item,
    lock_size,
    manifest_item,
    releases_by_model,
)
from registry_tool.cli.views.listing import LISTINGS, Filters, Selection, wanted_release
from registry_tool.domain.recorded import Sequenced
from registry_tool.domain.subjects import DeploymentId, ReleaseId, parse_deployment, parse_release

if TYPE_CHECKING:
    from registry_tool.domain.desired import Desired, Located
    from registry_tool.domain.manifest import Manifest
    from registry_tool.domain.recorded import Recorded
    from registry_tool.domain.records import Build, DeploymentRecord
    from registry_tool.repository.history import CommitInfo

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Knowledge:
    """What a page is made from. `last_commit` finds the newest commit of some files."""

    desired: Desired
    recorded: Recorded
    last_commit: Callable[[tuple[str, ...]], CommitInfo | None]


@dataclass
class Page:
    """A page for people (`sections`, each already laid out) and for programs (`item`)."""

    item: dict[str, Any]
    sections: list[tuple[str, str]] = field(default_factory=list)

    def add(self, title: str, text: str) -> None:
        """Add a section unless it is empty."""
        if text:
            self.sections.append((title, text))


def page_of(subject: str, known: Knowledge) -> Page:
    """The page of a subject that exists."""
    kind, _, name = subject.partition("/")
    return _PAGES[kind](name, known)


def _model(name: str, known: Knowledge) -> Page:
    page = _manifest_page(f"model/{name}", known.desired.models[name], known)
    rows = LISTINGS["releases"].rows(Selection(known.desired, known.recorded, Filters(model=name)))
    listed = list(rows)
    page.item["releases"] = [
        release.subject for release in releases_by_model(known.desired).get(name, ())
    ]
    if listed:
        page.add("Releases", table(LISTINGS["releases"].headings, [row.cells for row in listed]))
    return page


def _release(name: str, known: Knowledge) -> Page:
    release = parse_release(name)
    located = known.desired.releases[release]
    lock = known.desired.locks.get(release)
    files = (located.path, lock.path) if lock else (located.path,)
    page = _manifest_page(release.subject, located, known, files=files)
    page.item["lock"] = None
    if lock:
        spec = lock.manifest.spec
        page.item["lock"] = manifest_item(release.subject, lock)
        layers = counted(len(spec.layers), "layer")
        summary = f"{len(spec.files)} in {layers}, {human_bytes(lock_size(lock.manifest))}"
        page.add(
            "Files",
            fields([("files", summary), ("target", spec.target), ("set digest", spec.set_digest)])
            + table(
                ("path", "role", "size", "sha256"),
                [(f.path, f.role.value, human_bytes(f.size), f.sha256[:12]) for f in spec.files],
            ),
        )
    else:
        page.add("Files", f"not locked; registry-tool lock {release} does it\n")
    builds = known.recorded.builds.get(release, ())
    page.item["builds"] = [build_item(entry) for entry in reversed(builds)]
    if builds:
        page.add("Latest build", _build_text(builds[-1]))
    running = list(_where_it_runs(release, known))
    page.item["deployments"] = [
        {"subject": deployment.subject, "wanted": wanted, "runs": runs}
        for deployment, wanted, runs in running
    ]
    page.add("Deployments", "".join(map(_running_line, running)))
    return page


def _where_it_runs(
    release: ReleaseId, known: Knowledge
) -> Iterator[tuple[DeploymentId, bool, bool]]:
    """Deployments that want the release, or run it according to the records."""
    desired, recorded = known.desired.deployments, known.recorded
    for deployment in sorted(desired.keys() | recorded.deployments.keys()):
        located = desired.get(deployment)
        wanted = located is not None and wanted_release(located.manifest) == str(release)
        latest = recorded.latest_deployment(deployment)
        runs = latest is not None and _runs(latest.record, release)
        if wanted or runs:
            yield deployment, wanted, runs


def _runs(record: DeploymentRecord, release: ReleaseId) -> bool:
    ended_well = record.spec.result.value in {"succeeded", "delegated"}
    return ended_well and record.spec.release.id == release


def _running_line(entry: tuple[DeploymentId, bool, bool]) -> str:
    deployment, wanted, runs = entry
    state = {(True, True): "runs", (True, False): "wanted, does not run yet"}
    return f"{deployment}: {state.get((wanted, runs), 'runs, no longer wanted')}\n"


def _environment(name: str, known: Knowledge) -> Page:
    page = _manifest_page(f"environment/{name}", known.desired.environments[name], known)
    selection = Selection(known.desired, known.recorded, Filters(environment=name))
    rows = list(LISTINGS["deployments"].rows(selection))
    page.item["deployments"] = [row.item["subject"] for row in rows]
    if rows:
        page.add(
            "Deployments", table(LISTINGS["deployments"].headings, [row.cells for row in rows])
        )
    return page


def _deployment(name: str, known: Knowledge) -> Page:
    deployment = parse_deployment(name)
    page = _manifest_page(deployment.subject, known.desired.deployments[deployment], known)
    latest = known.recorded.latest_deployment(deployment)
    page.item["latest"] = deployment_item(latest) if latest else None
    page.add("Latest deployment", _deployment_text(latest) if latest else "not deployed yet\n")
    return page


def _template(name: str, known: Knowledge) -> Page:
    source = known.desired.templates[name]
    folder = source.located.path.removesuffix("/template.yaml")
    page = _manifest_page(f"template/{name}", source.located, known, files=(folder,))
    users = sorted(
        release
        for release, located in known.desired.releases.items()
        if located.manifest.spec.template.name == name
    )
    page.item |= {"files": sorted(source.files), "releases": [entry.subject for entry in users]}
    page.add("Files", "".join(f"{path}\n" for path in sorted(source.files)))
    page.add("Releases", "".join(f"{release}\n" for release in users))
    return page


def _api_key(name: str, known: Knowledge) -> Page:
    return _manifest_page(f"api-key/{name}", known.desired.api_keys[name], known)


def _artifact(sha256: str, known: Knowledge) -> Page:
    found = [
        (release, file)
        for release, located in sorted(known.desired.locks.items())
        for file in located.manifest.spec.files
        if file.sha256 == sha256
    ]
    places = [
        {"release": release.subject, "path": file.path, "role": file.role.value}
        for release, file in found
    ]
    size = found[0][1].size if found else 0
    page = Page({"subject": f"artifact/{sha256}", "size": size, "places": places})
    page.add("", fields([("sha256", sha256), ("size", f"{human_bytes(size)} ({size} bytes)")]))
    rows = [(str(release), file.path, file.role.value) for release, file in found]
    page.add("Releases", table(("release", "path", "role"), rows))
    return page


_PAGES: Mapping[str, Callable[[str, Knowledge], Page]] = {
    "model": _model,
    "release": _release,
    "environment": _environment,
    "deployment": _deployment,
    "template": _template,
    "api-key": _api_key,
    "artifact": _artifact,
}


def _manifest_page(
    subject: str, located: Located[Manifest], known: Knowledge, *, files: tuple[str, ...] = ()
) -> Page:
    """The part that every kind has: fields that were set, file and last commit."""
    page = Page(manifest_item(subject, located))
    commit = known.last_commit(files or (located.path,))
    page.item["commit"] = _commit_item(commit) if commit else None
    pairs: Pairs = [("manifest", located.path)]
    if commit:
        when = f"{commit.oid[:12]}, {moment(commit.authored_at)}, {commit.author.name}"
        pairs.append(("last commit", f"{when}: {commit.subject}"))
    given = located.manifest.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for part in ("metadata", "spec"):
        pairs += _set_fields("", given.get(part) or {})
    page.add("", fields(pairs))
    return page


def _commit_item(commit: CommitInfo) -> dict[str, Any]:
    return {
        "oid": commit.oid,
        "author": commit.author.model_dump(),
        "authored_at": commit.authored_at.isoformat(),
        "subject": commit.subject,
    }


def _set_fields(prefix: str, value: Mapping[str, Any]) -> Pairs:
    pairs: Pairs = []
    for name, entry in value.items():
        label = f"{prefix}{name}"
        if isinstance(entry, dict):
            pairs += _set_fields(f"{label}.", entry)
        elif isinstance(entry, list):
            pairs.append((label, ", ".join(map(_item_text, entry))))
        elif entry is not None:
            pairs.append((label, _item_text(entry)))
    return pairs


def _item_text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(
            f"{key}={_item_text(entry)}" for key, entry in value.items() if entry is not None
        )
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _build_text(entry: Sequenced[Build]) -> str:
    spec = entry.record.spec
    pairs: Pairs = [
        ("record", f"{entry.sequence:06d}, key {spec.key}"),
        ("result", spec.result.value + (", adopted" if spec.adopted else "")),
        ("revision", spec.revision),
        ("finished", f"{moment(spec.timings.finished_at)} after {spec.timings.seconds:.1f} s"),
        ("store", f"{spec.store}, built by {spec.builder}"),
        (
            "bytes",
            f"{human_bytes(spec.bytes.upload)} uploaded, {human_bytes(spec.bytes.reuse)} reused",
        ),
    ]
    pairs += [
        (
            f"{image.role.value} image",
            f"{image.reference}@{image.digest} ({human_bytes(image.size)})",
        )
        for image in spec.images
    ]
    pairs += [("error", spec.error.strip())] if spec.error else []
    pairs += [("log", spec.log)] if spec.log else []
    return fields(pairs)


def _deployment_text(entry: Sequenced[DeploymentRecord]) -> str:
    spec = entry.record.spec
    pairs: Pairs = [
        ("record", f"{entry.sequence:06d}, key {spec.key}"),
        ("result", f"{spec.result.value}, health {spec.health}"),
        ("release", str(spec.release.id)),
        ("image", spec.image or "none"),
        ("previous", spec.previous_digest or "none"),
        ("revision", spec.revision),
        ("finished", moment(spec.timings.finished_at)),
    ]
    if spec.who:
        who = spec.who
        pairs.append(
            ("asked for by", f"{who.author.name} <{who.author.email}>, commit {who.commit[:12]}")
        )
        pairs += [("approved by", ", ".join(who.approved_by))] if who.approved_by else []
        pairs += [("signer", who.signer)] if who.signer else []
    pairs += [("error", spec.error.strip())] if spec.error else []
    return fields(pairs)
