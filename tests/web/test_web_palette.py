"""Every pair of colours that text is shown in can be read: WCAG 2.2, level AA."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import registry_tool.web

STATIC = Path(registry_tool.web.__file__).parent / "static"
COLOR = re.compile(r"--([a-z0-9-]+):\s*light-dark\((#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\)")
PALETTE = {
    name: {"light": light, "dark": dark}
    for name, light, dark in COLOR.findall((STATIC / "palette.css").read_text())
}
WASHED = ("good", "info", "warn", "bad", "quiet", "accent")
TEXT = [
    *[
        (text, ground)
        for text in ("text", "muted", "accent")
        for ground in ("page", "surface", "hover", "sunken")
    ],
    *[(name, f"{name}-wash") for name in WASHED],
    *[("text", f"{name}-wash") for name in WASHED],
    ("on-accent", "accent"),
    ("good", "sunken"),
    ("quiet", "sunken"),
    ("page", "text"),
]
MARKS = [(f"mark-{number}", "surface") for number in range(1, 6)] + [
    ("control-line", "surface"),
    ("control-line", "page"),
    ("accent", "page"),
]


def luminance(color: str) -> float:
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
        for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_the_formula_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("text, ground", TEXT)
def test_text_can_be_read(theme: str, text: str, ground: str) -> None:
    assert contrast(PALETTE[text][theme], PALETTE[ground][theme]) >= 4.5


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("mark, ground", MARKS)
def test_marks_and_controls_can_be_seen(theme: str, mark: str, ground: str) -> None:
    assert contrast(PALETTE[mark][theme], PALETTE[ground][theme]) >= 3


def test_no_other_file_has_colours_of_its_own() -> None:
    for path in STATIC.glob("*.css"):
        if path.name != "palette.css":
            assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!.*url)", path.read_text()), path.name


def test_every_colour_that_is_used_is_in_the_palette() -> None:
    for path in STATIC.glob("*.css"):
        used = set(re.findall(r"var\(--([a-z0-9-]+)\)", path.read_text()))
        assert used <= PALETTE.keys(), path.name
