"""Markdown of strangers as HTML: raw HTML is text, links lead to http(s) only, nothing is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup

from registry_tool.web.text import visible

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token
    from markdown_it.utils import EnvType, OptionsDict

LIMIT = 64_000
"""Longer text is shown as it is: some Markdown takes time that grows with the square of its length."""
_FIRST_HEADING = 3
_LINK = re.compile(r"https?://", re.IGNORECASE)
_MARKS = re.compile(
    r"^\s*(?:#{1,6}|[-*+>]|\|[-|: ]+$)\s?|\*\*|__|`+|\|(?=\s|$)|\[([^]]*)\]\([^)]*\)"
)
"""What `notes_excerpt` leaves out; of a link its text stays."""


@lru_cache(maxsize=128)
def render_markdown(text: str) -> Markup:
    """HTML that is safe to put into a page."""
    shown = visible(text)
    if len(shown) > LIMIT:
        return Markup('<pre class="pre-wrap">{}</pre>').format(shown)
    parser = _parser()
    tokens = parser.parse(shown)
    _place_headings(tokens)
    html: str = parser.renderer.render(tokens, parser.options, {})
    return Markup(html)  # noqa: S704 - made by a parser that escapes all text


def excerpt(text: str, length: int = 160) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: length * 4].split())
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def notes_excerpt(text: str, length: int = 160) -> str:
    """The beginning of Markdown, on one line and without its marks."""
    lines = text[: length * 4].splitlines()
    return excerpt(" ".join(_MARKS.sub(r"\1", line) for line in lines), length)


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": 20})
    parser.enable(["table", "strikethrough"])
    # An image would be fetched from wherever the text says.
    parser.disable(["image", "html_block", "html_inline"])
    parser.validateLink = _is_web_link  # type: ignore[method-assign]
    parser.add_render_rule("link_open", _link_open)
    return parser


def _is_web_link(url: str) -> bool:
    return _LINK.match(url) is not None


def _link_open(
    renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    _env: EnvType,
) -> str:
    tokens[index].attrSet("rel", "nofollow noopener noreferrer")
    return renderer.renderToken(tokens, index, options, _env)


def _place_headings(tokens: Sequence[Token]) -> None:
    """Headings of a text begin below those of the page, and leave out no level."""
    headings = [token for token in tokens if token.type in {"heading_open", "heading_close"}]
    levels = sorted({token.tag for token in headings})
    for token in headings:
        token.tag = f"h{min(6, levels.index(token.tag) + _FIRST_HEADING)}"
