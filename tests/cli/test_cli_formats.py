import json
from xml.etree import ElementTree as ET

import pytest

from registry_tool.cli.formats import github, junit, sarif, text
from registry_tool.cli.formats import json as json_format
from registry_tool.cli.formats.layout import fields, human_bytes, printable, table, width_of
from registry_tool.domain.diagnostics import CODES, Diagnostic, RelatedPosition, Severity, Span


def diagnostic(
    *,
    source: str = "  model: resnet5O",
    column: int = 10,
    end: int = 18,
    path: str = "manifests/releases/resnet50/1.0.0/none.yaml",
    line: int = 5,
    severity: Severity = Severity.ERROR,
    message: str = 'unknown model "resnet5O"',
    code: str = "RT214",
) -> Diagnostic:
    return Diagnostic(
        path=path,
        span=Span(line, column, line, end),
        severity=severity,
        code=code,
        message=message,
        help='did you mean "resnet50"?',
        related=(RelatedPosition("manifests/models/resnet50.yaml", 3, 9, 'defines "resnet50"'),),
        source_line=source,
    )


def carets_below(output: str) -> tuple[str, str]:
    """The shown source and the part of it that stands above the carets, by terminal columns."""
    lines = output.splitlines()
    row = next(index for index, line in enumerate(lines) if line.strip("^ |") == "" and "^" in line)
    prefix = lines[row].index("|") + 2
    source = lines[row - 1][prefix:]
    start = lines[row].index("^") - prefix
    stop = start + lines[row].count("^")
    at, marked = 0, ""
    for character in source:
        if start <= at < stop:
            marked += character
        at += width_of(character)
    return source, marked


def test_text_shows_place_source_carets_note_help_and_totals() -> None:
    assert text.format_diagnostics([diagnostic()], color=False) == (
        "manifests/releases/resnet50/1.0.0/none.yaml:5:10: error[RT214] unknown model "
        '"resnet5O"\n'
        "   |\n"
        " 5 |   model: resnet5O\n"
        "   |          ^^^^^^^^\n"
        'note: manifests/models/resnet50.yaml:3:9: defines "resnet50"\n'
        'help: did you mean "resnet50"?\n'
        "\n"
        "1 error in 1 file\n"
    )


def test_text_of_nothing_is_empty() -> None:
    assert text.format_diagnostics([], color=False) == ""


@pytest.mark.parametrize(
    "source, column, end, marked",
    [
        ("name: 模型 x", 7, 9, "模型"),
        ("name: 模型 x", 10, 11, "x"),
        ("\tname: x", 8, 9, "x"),
        ("a: e\u0301 x", 7, 8, "x"),
        ("a: x", 5, 5, ""),
    ],
)
def test_carets_stand_under_the_span_in_terminal_columns(
    source: str, column: int, end: int, marked: str
) -> None:
    output = text.format_diagnostics(
        [diagnostic(source=source, column=column, end=end)], color=False
    )
    assert carets_below(output)[1] == marked


def test_a_span_over_several_lines_is_marked_to_the_end_of_its_first() -> None:
    entry = Diagnostic("a.yaml", Span(2, 3, 4, 1), Severity.ERROR, "RT104", "m", source_line="  ab")
    assert carets_below(text.format_diagnostics([entry], color=False))[1] == "ab"


@pytest.mark.parametrize("offset", [0, 50, 500, 1900])
@pytest.mark.parametrize("filler", ["x", "模"])
def test_a_long_line_is_cut_around_the_span(offset: int, filler: str) -> None:
    source = filler * offset + "WRONG" + filler * 2000
    entry = diagnostic(source=source, column=offset + 1, end=offset + 6)
    shown, marked = carets_below(text.format_diagnostics([entry], color=False))
    assert marked == "WRONG"
    assert width_of(shown) <= text.EXCERPT_WIDTH
    assert shown.endswith("…")
    assert shown.startswith("…") == (offset * width_of(filler) > 90)


def test_a_span_longer_than_the_excerpt_is_marked_as_far_as_it_is_shown() -> None:
    entry = diagnostic(source="k: " + "v" * 5000, column=4, end=5004)
    output = text.format_diagnostics([entry], color=False)
    assert max(map(len, output.splitlines())) <= text.EXCERPT_WIDTH + 10
    assert set(carets_below(output)[1]) <= {"v", "…"}


def test_hostile_text_cannot_reach_the_terminal() -> None:
    entry = diagnostic(
        source="a: \x1b[2J\u202e\x07",
        column=4,
        end=7,
        message="bad \x1b[31m\nnext",
        path="a\x1b.yaml",
    )
    output = text.format_diagnostics([entry], color=False)
    assert all(line.isprintable() for line in output.split("\n"))
    assert "\\x1b[2J\\u202e\\x07" in output


def test_colours_only_when_asked() -> None:
    assert "\x1b[" in text.format_diagnostics([diagnostic()], color=True)
    assert "\x1b[" not in text.format_diagnostics([diagnostic()], color=False)


def test_totals_count_errors_warnings_and_files() -> None:
    entries = [
        diagnostic(),
        diagnostic(line=7),
        diagnostic(path="b.yaml", severity=Severity.WARNING),
    ]
    assert text.totals(entries) == "2 errors, 1 warning in 2 files"


def test_json_has_exactly_the_documented_shape() -> None:
    assert json.loads(json_format.format_diagnostics([diagnostic()], checked=3)) == {
        "format_version": 1,
        "checked": 3,
        "diagnostics": [
            {
                "path": "manifests/releases/resnet50/1.0.0/none.yaml",
                "line": 5,
                "column": 10,
                "end_line": 5,
                "end_column": 18,
                "severity": "error",
                "code": "RT214",
                "message": 'unknown model "resnet5O"',
                "help": 'did you mean "resnet50"?',
                "related": [
                    {
                        "path": "manifests/models/resnet50.yaml",
                        "line": 3,
                        "column": 9,
                        "message": 'defines "resnet50"',
                    }
                ],
            }
        ],
    }


def test_github_escapes_what_would_end_a_command() -> None:
    output = github.format_diagnostics([diagnostic(path="a,b:c%.yaml", message="x\n::error::y%")])
    assert output.count("\n") == 1
    assert output.startswith("::error file=a%2Cb%3Ac%25.yaml,line=5,endLine=5,col=10,endColumn=18,")
    assert "x%0A::error::y%25" in output


def test_github_keeps_ten_of_each_severity_and_says_how_many_more() -> None:
    entries = [diagnostic(line=line) for line in range(1, 14)]
    entries += [diagnostic(line=line, severity=Severity.WARNING) for line in range(1, 12)]
    lines = github.format_diagnostics(entries).splitlines()
    assert sum(line.startswith("::error ") for line in lines) == 10
    assert sum(line.startswith("::warning ") for line in lines) == 10
    assert sum("manifests/" in line and not line.startswith("::") for line in lines) == 4
    assert lines[-1] == (
        "::notice title=registry-tool validate::13 errors, 11 warnings in 1 file; "
        "4 diagnostics more in the log"
    )


def test_github_without_diagnostics_annotates_nothing() -> None:
    assert github.format_diagnostics([]) == ""


def test_sarif_refers_every_result_to_its_rule_and_region() -> None:
    entries = [diagnostic(), diagnostic(code="RT101", path="ä b.yaml", severity=Severity.WARNING)]
    log = json.loads(sarif.format_diagnostics(entries))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    for entry, result in zip(entries, run["results"], strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == entry.code
        assert rules[result["ruleIndex"]]["shortDescription"]["text"] == CODES[entry.code]
        assert result["level"] == entry.severity.value
    place = run["results"][1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "%C3%A4%20b.yaml"
    assert place["region"] == {"startLine": 5, "startColumn": 10, "endLine": 5, "endColumn": 18}
    assert run["results"][0]["relatedLocations"][0]["message"]["text"] == 'defines "resnet50"'


def test_junit_has_a_failure_for_each_error_and_survives_forbidden_characters() -> None:
    entries = [diagnostic(message="bad \x00 <&>"), diagnostic(severity=Severity.WARNING)]
    root = ET.fromstring(junit.format_diagnostics(entries, checked=4))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "bad \\x00 <&>"
    assert "warning[RT214]" in (suite.findtext("system-out") or "")


def test_junit_without_errors_has_one_passing_case() -> None:
    root = ET.fromstring(junit.format_diagnostics([], checked=4))
    case = root.find("testsuite/testcase")
    assert case is not None
    assert case.get("name") == "4 manifests"
    assert list(case) == []


@pytest.mark.parametrize(
    "count, shown",
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (90_900_000, "86.7 MiB"), (2**50, "1.0 PiB")],
)
def test_bytes_in_human_units(count: int, shown: str) -> None:
    assert human_bytes(count) == shown


def test_tables_align_wide_characters_and_stay_on_their_line() -> None:
    lines = table(["name", "value"], [["模型", "a\nb"], ["x", "y"]]).splitlines()
    assert lines == ["NAME  VALUE", "模型  a\\nb", "x     y"]


def test_fields_indent_the_further_lines_of_a_value() -> None:
    assert fields([("a", "1"), ("long", "2\n3")]) == "a:     1\nlong:  2\n       3\n"


def test_printable_keeps_ordinary_text() -> None:
    assert printable("größer 模型 → x") == "größer 模型 → x"
