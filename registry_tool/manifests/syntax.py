"""The YAML parser's complaints in words that say what to do."""

from __future__ import annotations

from yaml import MarkedYAMLError

from registry_tool.manifests.document import Problem, Region

_HELP = {
    "mapping values are not allowed in this context": (
        "a colon and a space inside a value need quotes; otherwise look at the indentation of this line"
    ),
    "could not find expected ':'": "write KEY: VALUE",
    "did not find expected key": "keys of one mapping start in the same column",
    "did not find expected '-' indicator": "items of one list start with - in the same column",
    "found unexpected end of stream": "add the closing quote",
    "found unknown escape character": r"write \\ for a backslash, or use single quotes",
    "did not find expected comment or line break": "quote the value if it starts with | or >",
    "block sequence entries are not allowed in this context": "start the list on a line of its own",
    "did not find expected ',' or ']'": "add the closing bracket or a comma",
    "did not find expected ',' or '}'": "add the closing brace or a comma",
}
_MESSAGE = {
    "mapping values are not allowed in this context": "a colon is not expected here",
    "could not find expected ':'": "a key without a colon",
    "did not find expected key": "this does not line up with the keys above",
    "did not find expected '-' indicator": "this does not line up with the list above",
    "found unexpected end of stream": "the closing quote is missing",
    "found unknown escape character": "an unknown escape sequence in double quotes",
    "did not find expected comment or line break": "text is not expected after | or >",
    "block sequence entries are not allowed in this context": "a list is not expected here",
    "did not find expected ',' or ']'": "the list that starts with [ does not end",
    "did not find expected ',' or '}'": "the mapping that starts with { does not end",
    "did not find expected node content": "a value is expected here",
    "found incompatible YAML document": "this version of YAML is not known",
}
_SPECIAL_CONTEXT = {
    "while scanning an alias": (
        "RT006",
        "an alias is not allowed",
        "quote a string that starts with *",
    ),
    "while scanning an anchor": (
        "RT006",
        "an anchor is not allowed",
        "quote a string that starts with &",
    ),
    "while scanning a tag": ("RT007", "a tag is not allowed", "quote a string that starts with !"),
    "while parsing a tag": ("RT007", "a tag is not allowed", "quote a string that starts with !"),
}
_AT_CONTEXT = {
    "while scanning a simple key",
    "while scanning an alias",
    "while scanning an anchor",
    "while scanning a tag",
    "while parsing a tag",
}
_BRACKETS = {"while parsing a flow sequence", "while parsing a flow mapping"}


def explain_syntax_error(text: str, error: MarkedYAMLError) -> Problem:
    """A parser error as a problem, at the place that has to be changed."""
    context = (error.context or "").partition(",")[0]
    complaint = error.problem or "it is not YAML"
    mark = error.problem_mark or error.context_mark
    index = min(mark.index, len(text)) if mark is not None else 0
    if error.context_mark is not None and _blame_context(context, complaint, error):
        index = min(error.context_mark.index, len(text))
    region = _token(text, index)
    if "\t" in text[index : index + 1] or "tab character" in complaint:
        return _tab(text, index)
    if context in _SPECIAL_CONTEXT:
        code, message, help = _SPECIAL_CONTEXT[context]
        return Problem(code, message, region, help)
    if complaint == "found character that cannot start any token":
        character = text[index : index + 1]
        help = f"quote a string that starts with {character}"
        return Problem("RT004", f"a value cannot start with {character}", region, help)
    message = _MESSAGE.get(complaint, complaint)
    return Problem("RT004", message, region, _HELP.get(complaint), _opening(context, error, index))


def _blame_context(context: str, complaint: str, error: MarkedYAMLError) -> bool:
    if context in _AT_CONTEXT or complaint == "found unexpected end of stream":
        return True
    later = error.problem_mark is not None and error.problem_mark.line != error.context_mark.line  # type: ignore[union-attr]
    return context in _BRACKETS and later


def _opening(context: str, error: MarkedYAMLError, index: int) -> tuple[Region, str] | None:
    mark = error.context_mark
    if context not in _BRACKETS or mark is None or mark.index == index:
        return None
    return Region(mark.index, mark.index + 1), "opened here"


def _tab(text: str, index: int) -> Problem:
    line = text.rfind("\n", 0, index) + 1
    tab = text.find("\t", line)
    start = tab if 0 <= tab <= index else index
    end = start
    while text[end : end + 1] == "\t":
        end += 1
    if text[line:start].strip():
        message, help = "a tab is not expected here", "use spaces"
    else:
        message, help = "a tab indents this line", "indent with spaces"
    return Problem("RT009", message, Region(start, max(end, start + 1)), help)


def _token(text: str, index: int) -> Region:
    """The word at an index, for carets."""
    end = index
    while end < len(text) and not text[end].isspace():
        end += 1
    return Region(index, max(end, min(index + 1, len(text))))
