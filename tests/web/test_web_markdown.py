from __future__ import annotations

import pytest

from registry_tool.web.markdown import LIMIT, excerpt, notes_excerpt, render_markdown
from registry_tool.web.text import finalize, human_bytes, human_count, human_seconds, visible


def test_the_usual_markdown_is_rendered() -> None:
    html = render_markdown("# News\n\n- *faster*\n- `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert "<h3>News</h3>" in html
    assert "<li><em>faster</em></li>" in html
    assert "<code>code</code>" in html
    assert "<td>2</td>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick=alert(1)>b</b>",
        "<!-- comment -->",
        "<svg/onload=alert(1)>",
        "`<script>`",
        "```\n<script>\n```",
        '[x](http://e.org "<script>")',
        "| <script> |\n|---|\n| <script> |",
    ],
)
def test_html_is_text(text: str) -> None:
    html = render_markdown(text)
    for tag in ("<script", "<img", "<b ", "<!--", "<svg"):
        assert tag not in html


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "&#106;avascript:alert(1)",
        "java\\script:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "ftp://example.org",
        "//example.org",
        "/relative",
        "mailto:a@example.org",
        " javascript:alert(1)",
        "<javascript:alert(1)>",
    ],
)
def test_links_lead_nowhere_but_to_the_web(target: str) -> None:
    for text in (f"[x]({target})", f"<{target}>", f"[x]\n\n[x]: {target}"):
        assert "<a" not in render_markdown(text)


@pytest.mark.parametrize(
    "target", ["https://example.org/a?b=c", "http://example.org", "HTTPS://e.org"]
)
def test_web_links_say_that_they_are_not_ours(target: str) -> None:
    html = render_markdown(f"[x]({target})")
    assert f'<a href="{target}"' in html
    assert 'rel="nofollow noopener noreferrer"' in html


def test_images_are_links_and_nothing_is_loaded() -> None:
    html = render_markdown("![x](https://example.org/tracker.png)")
    assert "<img" not in html
    assert 'href="https://example.org/tracker.png"' in html


def test_hidden_characters_are_written_out() -> None:
    assert "a\\u202eb\\u200bc" in render_markdown("a\u202eb\u200bc")


def test_long_text_is_shown_as_it_is() -> None:
    html = render_markdown("# <b>\n" * LIMIT)
    assert html.startswith('<pre class="pre-wrap"># &lt;b&gt;\n# &lt;b&gt;')


def test_an_excerpt_is_one_line() -> None:
    assert excerpt("a\n  b", 10) == "a b"
    assert excerpt("word " * 100, 10) == "word word…"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain", "plain"),
        ("ümläut 漢字 עברית 🎉", "ümläut 漢字 עברית 🎉"),
        ("line\nline\ttab", "line\nline\ttab"),
        ("\u202eabc", "\\u202eabc"),
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("bell\x07", "bell\\x07"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("\u2028", "\\u2028"),
        ("soft\u00adhyphen", "soft\\xadhyphen"),
    ],
)
def test_what_cannot_be_seen_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown
    assert finalize(text) == shown


def test_none_is_nothing() -> None:
    assert finalize(None) == ""
    assert finalize(0) == 0


@pytest.mark.parametrize(
    "count, shown", [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB")]
)
def test_bytes_for_people(count: int, shown: str) -> None:
    assert human_bytes(count) == shown


@pytest.mark.parametrize(
    "count, shown",
    [
        (0, "0"),
        (999, "999"),
        (22_700_000, "22.7M"),
        (7_000_000_000, "7B"),
        (1_100_000_000_000, "1.1T"),
    ],
)
def test_parameter_counts_for_people(count: int, shown: str) -> None:
    assert human_count(count) == shown


@pytest.mark.parametrize(
    "seconds, shown",
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (12.3, "12 s"),
        (200, "3 min 20 s"),
        (7500, "2 h 5 min"),
        (3600, "1 h"),
    ],
)
def test_durations_for_people(seconds: float, shown: str) -> None:
    assert human_seconds(seconds) == shown


def test_headings_fit_below_those_of_the_page() -> None:
    html = render_markdown("## News\n\n#### Details\n\n## More\n")
    assert "<h3>News</h3>" in html
    assert "<h4>Details</h4>" in html
    assert "<h3>More</h3>" in html


def test_an_excerpt_of_notes_has_no_marks() -> None:
    notes = (
        "## News\n\n- **Recall** is [better](https://example.org), `fast`\n\n| a | b |\n|---|---|\n"
    )
    assert notes_excerpt(notes) == "News Recall is better, fast a b"
