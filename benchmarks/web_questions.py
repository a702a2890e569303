"""The same questions in the words of each side: URL paths, by what is asked."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from benchmarks import web_corpus

FACETS = ("company", "tags", "quantization")
API = "/api/v1"
MLFLOW_API = "/api/2.0/mlflow"
_FACETED = "&".join(f"facet={name}" for name in FACETS)
_STAGES = ("released", "candidate", "deprecated")
_NOTES = ("faster decoding", "better answers", "smaller cache", "fewer refusals")
_LIMIT = 50


@dataclass(frozen=True)
class Release:
    """One release, by its place in the corpus and by its names."""

    model: int
    number: int

    @property
    def names(self) -> dict[str, str]:
        """Model, version and quantization."""
        return web_corpus.release_names(self.model, self.number)

    @property
    def key(self) -> str:
        """As paths have it."""
        return "{model}/{version}/{quantization}".format(**self.names)


@dataclass(frozen=True)
class Side:
    """How one side is asked."""

    listed: Callable[[str, str], str]
    """Releases of a company and a stage, with facets where the side has them."""
    searched: Callable[[str], str]
    """Releases that have all words."""
    shown: Callable[[Release], str]
    """One release, as JSON."""


def _mlflow_search(condition: str, what: str = "model-versions") -> str:
    return f"{MLFLOW_API}/{what}/search?max_results={_LIMIT}&filter={quote(condition)}"


def _mlflow_release(release: Release) -> str:
    name = release.names["model"]
    return f"{MLFLOW_API}/model-versions/get?name={name}&version={release.number + 1}"


def _mlflow_words(words: str) -> str:
    # It has no search of words: descriptions cannot be asked for, names and tags by pattern.
    return _mlflow_search(f"tags.release_notes ILIKE '%{words.replace(' ', '%')}%'")


OURS = Side(
    lambda company, stage: (
        f"{API}/releases?company={quote(company)}&stage={stage}&{_FACETED}&limit={_LIMIT}"
    ),
    lambda words: f"{API}/releases?q={quote(words)}&limit={_LIMIT}",
    lambda release: f"{API}/releases/{release.key}",
)
DATASETTE = Side(
    lambda company, stage: (
        f"/registry/releases.json?company={quote(company)}&stage={stage}&_size={_LIMIT}"
        "&_facet=company&_facet_array=tags&_facet=quantization"
    ),
    lambda words: f"/registry/releases.json?_search={quote(words)}&_size={_LIMIT}",
    lambda release: (
        f"/registry/releases/{release.key.replace('/', '~2F').replace('.', '~2E')}.json"
    ),
)
MLFLOW = Side(
    lambda company, stage: _mlflow_search(f"tags.company = '{company}' AND tags.stage = '{stage}'"),
    _mlflow_words,
    _mlflow_release,
)


@dataclass(frozen=True)
class Questions:
    """What is asked, the same each time; no question twice."""

    models: int
    releases: int

    def companies(self) -> list[tuple[str, str]]:
        """Companies and stages."""
        number = min(200, self.models)
        pairs = [(f"Company {company}", stage) for company in range(number) for stage in _STAGES]
        random.Random(4).shuffle(pairs)  # noqa: S311 - the same order each time
        return pairs

    def words(self) -> list[str]:
        """Words of the notes together with the name of a model."""
        chosen = self._shuffled(self.models)
        return [f"{_NOTES[n % 4]} {web_corpus.model_name(model)}" for n, model in enumerate(chosen)]

    def keys(self, most: int) -> list[Release]:
        """At most so many releases."""
        chosen = self._shuffled(self.models * self.releases)[:most]
        return [Release(*divmod(number, self.releases)) for number in chosen]

    def _shuffled(self, count: int) -> list[int]:
        numbers = list(range(count))
        random.Random(5).shuffle(numbers)  # noqa: S311 - the same order each time
        return numbers
