"""Findings and diagnostics: one model for everything that can be wrong with manifests.

A `Finding` is what a pure check produces: it names a value by file and pointer. A `Diagnostic` is a finding with
source positions, ready for any output format. Codes are stable; docs/diagnostics.md has a section for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Pointer = tuple[str | int, ...]
"""Keys and list positions from the document's root to a value, e.g. ``("spec", "tags", 0)``."""


class Severity(StrEnum):
    """How bad: only errors make a revision invalid."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A region of a text file. Lines and columns start at 1, columns count characters, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class RelatedPlace:
    """Another value that explains a finding. With `pointer` () the whole file is meant."""

    path: str
    pointer: Pointer
    message: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with the value at `pointer` in `path`, before positions are known.

    `on_key` asks for the position of the mapping key instead of its value. A pointer into a value that is absent
    falls back to its nearest ancestor that is present.
    """

    code: str
    path: str
    pointer: Pointer
    message: str
    help: str | None = None
    related: tuple[RelatedPlace, ...] = ()
    severity: Severity = Severity.ERROR
    on_key: bool = False
    subject: str | None = None
    """The subject that is held by this finding; None when identity is unknown and the revision must be refused."""


@dataclass(frozen=True, slots=True)
class RelatedPosition:
    """A `RelatedPlace` with its position."""

    path: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A finding with positions and the text of its source line."""

    path: str
    span: Span
    severity: Severity
    code: str
    message: str
    help: str | None = None
    related: tuple[RelatedPosition, ...] = ()
    source_line: str = ""
    subject: str | None = None

    @property
    def sort_key(self) -> tuple[object, ...]:
        """Total order of output, however diagnostics were found: by place, then code, then the rest."""
        related = tuple((one.path, one.line, one.column, one.message) for one in self.related)
        rest = (self.subject or "", self.help or "", self.severity.value, related)
        return (self.path, self.span, self.code, self.message, *rest)


CODES: dict[str, str] = {
    # RT0xx YAML
    "RT001": "the file is not UTF-8",
    "RT002": "the file is too large",
    "RT003": "a forbidden character",
    "RT004": "YAML syntax error",
    "RT005": "a key appears twice",
    "RT006": "anchors, aliases and merge keys are not allowed",
    "RT007": "YAML tags are not allowed",
    "RT008": "a file holds exactly one document",
    "RT009": "a tab is used as indentation",
    "RT010": "nesting is too deep",
    "RT011": "a number that can be read in two ways",
    "RT012": "a mapping key is not a string",
    "RT013": "not a regular file",
    "RT014": "the document is not a mapping",
    # RT1xx schema
    "RT101": "unknown field",
    "RT102": "a required field is missing",
    "RT103": "wrong type",
    "RT104": "invalid value",
    "RT105": "unknown kind",
    "RT106": "unsupported apiVersion",
    "RT107": "a field that is not allowed here",
    "RT108": "a string is needed and a number was written",
    "RT109": "a value that looks like a secret",
    # RT2xx references and identity
    "RT201": "two manifests have the same identity",
    "RT202": "names that differ only in case",
    "RT203": "a file is not at its conventional path",
    "RT204": "there must be exactly one Registry",
    "RT210": "unknown release",
    "RT211": "unknown template",
    "RT212": "unknown environment",
    "RT213": "a lock without its release",
    "RT214": "unknown model",
    "RT215": "environments promote in a circle",
    "RT216": "no release satisfies track",
    "RT217": "a manifest that others refer to was deleted",
    # RT3xx policy
    "RT301": "a released release was changed",
    "RT302": "the environment does not accept this stage",
    "RT303": "a yanked release is deployed anew",
    "RT304": "a yanked release is still deployed",
    "RT305": "the license is not allowed",
    "RT306": "a required label is missing",
    "RT307": "the base image is not allowed",
    "RT308": "host ports clash",
    "RT309": "one host port cannot serve several replicas",
    "RT310": "the target cannot provide weights this way",
    "RT311": "host paths are not allowed in this environment",
    "RT312": "the health check cannot be made",
    "RT313": "a gate that cannot work",
    # RT4xx templates
    "RT401": "a template does not render",
    "RT402": "invalid template parameters",
    "RT403": "the parameter schema is invalid",
    "RT404": "a file that the template names is missing",
    "RT405": "a base image is not pinned by digest",
    "RT406": "a rendered value is not allowed",
    "RT407": "a Dockerfile uses an unsupported feature",
    "RT408": "the template cannot build for this platform",
    # RT5xx storage and locks
    "RT501": "the storage path is not allowed",
    "RT502": "a deployed release has no lock",
    "RT503": "a locked file is outside the release's globs",
    "RT504": "the set digest does not match the files",
    "RT505": "layers and files of a lock disagree",
    "RT506": "a locked path is not allowed",
    "RT507": "storage differs from the lock",
    "RT508": "storage cannot be read",
    "RT509": "the lock is for another directory in the image",
    # RT6xx environment of the tool
    "RT601": "not a Git repository",
    "RT602": "unknown revision",
    "RT603": "the clone is shallow",
    "RT604": "the branch has no commit yet",
    "RT605": "Git failed",
    "RT606": "another reconciler is at work",
    "RT607": "the remote refused the push",
    "RT608": "the image store cannot be used",
    "RT609": "Git is too old or missing",
    "RT610": "a program or permission is missing",
    "RT611": "the container engine cannot be used",
    "RT612": "a host or secret is not granted",
}
