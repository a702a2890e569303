"""Findings get positions; only the files that they name are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from registry_tool.domain.diagnostics import Finding, RelatedPlace, RelatedPosition, Severity, Span
from registry_tool.manifests.locating import locate
from registry_tool.manifests.source import DictSource

FILES = {
    "manifests/a.yaml": b"# first\nspec:\n  model: x\n  ports:\n    - host: 80\n",
    "manifests/b.yaml": b"metadata:\n  name: b\n",
    "manifests/c.yaml": b"not: [yaml",
}


def spans(*findings: Finding) -> list[Span]:
    return [entry.span for entry in locate(DictSource(FILES), findings)]


def test_a_value_its_key_and_the_whole_file() -> None:
    assert spans(Finding("RT214", "manifests/a.yaml", ("spec", "model"), "m")) == [
        Span(3, 10, 3, 11)
    ]
    on_key = Finding("RT214", "manifests/a.yaml", ("spec", "model"), "m", on_key=True)
    assert spans(on_key) == [Span(3, 3, 3, 8)]
    assert spans(Finding("RT214", "manifests/a.yaml", (), "m")) == [Span(2, 1, 2, 5)]


def test_what_is_absent_is_shown_by_its_nearest_ancestor() -> None:
    absent = Finding("RT102", "manifests/a.yaml", ("spec", "strategy", "type"), "m")
    in_item = Finding("RT102", "manifests/a.yaml", ("spec", "ports", 0, "container"), "m")
    at_top = Finding("RT102", "manifests/a.yaml", ("metadata", "labels"), "m")
    assert spans(absent) == [Span(2, 1, 2, 5)]
    assert spans(in_item) == [Span(5, 7, 5, 11)]
    assert spans(at_top) == [Span(2, 1, 2, 5)]


def test_everything_else_of_a_finding_is_kept() -> None:
    related = RelatedPlace("manifests/b.yaml", ("metadata", "name"), "here")
    finding = Finding(
        "RT304",
        "manifests/a.yaml",
        ("spec", "model"),
        "m",
        "h",
        (related,),
        Severity.WARNING,
        subject="s",
    )
    (entry,) = locate(DictSource(FILES), [finding])
    assert (entry.code, entry.message, entry.help) == ("RT304", "m", "h")
    assert (entry.severity, entry.subject, entry.source_line) == (
        Severity.WARNING,
        "s",
        "  model: x",
    )
    assert entry.related == (RelatedPosition("manifests/b.yaml", 2, 9, "here"),)


def test_files_that_are_not_there_or_not_yaml_have_a_position_too() -> None:
    missing = Finding("RT217", "manifests/gone.yaml", ("spec",), "m")
    broken = Finding("RT217", "manifests/c.yaml", ("not",), "m")
    assert spans(broken, missing) == [Span(1, 1, 1, 1), Span(1, 1, 1, 1)]


def test_the_order_does_not_depend_on_the_findings() -> None:
    findings = [
        Finding("RT214", "manifests/b.yaml", ("metadata", "name"), "m"),
        Finding("RT213", "manifests/a.yaml", ("spec", "model"), "m"),
        Finding("RT212", "manifests/a.yaml", ("spec",), "m"),
    ]
    source = DictSource(FILES)
    assert locate(source, findings) == locate(source, reversed(findings))


def test_only_the_files_concerned_are_read() -> None:
    class Watched(DictSource):
        asked = 0

        def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
            self.asked += len(oids)
            return super().read(oids)

    source = Watched(FILES)
    locate(source, [Finding("RT214", "manifests/a.yaml", (), "m")])
    assert source.asked == 1
    locate(source, [])
    assert source.asked == 1
