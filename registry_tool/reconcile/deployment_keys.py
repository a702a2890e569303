"""Keys of deployments from the few files that decide about them, for the catalog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from registry_tool.builders.templates import TemplateProblem
from registry_tool.catalog.inputs import KeyQuestion
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.manifests.loading import load
from registry_tool.manifests.source import Cache, Entry
from registry_tool.planning.keys import Keys
from registry_tool.repository.repository import Repository


@dataclass(frozen=True)
class _Files:
    """Some blobs of a repository as a source of manifests."""

    repository: Repository
    files: Sequence[Entry]

    def entries(self) -> Sequence[Entry]:
        """These files."""
        return self.files

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Contents, from the repository."""
        yield from self.repository.read_blobs(list(oids))


class DeploymentKeys:
    """Answers as the planner would; where it could not plan, there is no answer."""

    def __init__(self, repository: Repository, cache: Cache | None) -> None:
        self._repository = repository
        self._cache = cache

    def __call__(self, questions: Sequence[KeyQuestion]) -> Mapping[str, str]:
        """Keys by deployment."""
        entries = {
            blob.path: Entry(blob.path, "100755" if blob.executable else "100644", blob.oid)
            for question in questions
            for blob in question.files
        }
        source = _Files(self._repository, [entries[path] for path in sorted(entries)])
        desired = load(source, self._cache).desired
        if desired is None:
            return {}
        keys, found = Keys(desired), {}
        for question in questions:
            release = ReleaseId(*question.release.split("/"))
            deployment = DeploymentId(*question.deployment.split("/"))
            try:
                build = keys.build(release)
                found[question.deployment] = keys.deployment(deployment, release, build.value).value
            except (TemplateProblem, KeyError):
                continue  # a manifest that is missing is reported as a diagnostic
        return found
