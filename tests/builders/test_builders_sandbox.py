"""The language of template texts: what it says, what it refuses, and its limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_tool.builders.sandbox import FILE_LIMIT, compiled
from registry_tool.builders.sandbox_environment import STRING_LIMIT
from registry_tool.builders.template_problem import TemplateFault

VALUES: dict[str, Any] = {
    "model": "minilm",
    "parameter_count": 22_000_000,
    "params": {
        "items": 3,
        "flag": True,
        "nothing": None,
        "names": ["a", "b"],
        "nested": {"keys": "k"},
        "lines": "a\nRUN evil",
        "quote": "it's",
    },
}
KNOWN = ("model", "parameter_count", "params", "version")


def render(text: str) -> str:
    made = compiled(text)
    made.check_names(KNOWN)
    return made.render(VALUES)


def fault(text: str) -> TemplateFault:
    with pytest.raises(TemplateFault) as caught:
        render(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain } { text", "plain } { text"),
        ("{{ model }}-{{ parameter_count }}", "minilm-22000000"),
        ("{{ params.items }} {{ params['items'] }} {{ params.nested.keys }}", "3 3 k"),
        ("{{ params.flag }} {{ 1.5 }}", "true 1.5"),
        ("{{ params.names | tojson }}", '["a", "b"]'),
        ("{{ params.lines | tojson }}", '"a\\nRUN evil"'),
        ("{{ params.quote | quote }}", "'it'\"'\"'s'"),
        ("{{ params.names | join('+') }} {{ params.names | length }}", "a+b 2"),
        ("{{ model ~ '/' ~ params.items }} {{ (model ~ 1) | upper }}", "minilm/3 MINILM1"),
        ("{{ model | replace('mini', 'maxi') }}", "maxilm"),
        ("{{ params.other | default('x') }} {{ params.nothing | default('y', true) }}", "x y"),
        ("{% for n in params.names %}{{ loop.index }}{{ n }}{% endfor %}", "1a2b"),
        ("{% if params.flag and params.items > 2 %}yes{% endif %}", "yes"),
        ("{% if params.other is defined %}a{% else %}b{% endif %}", "b"),
        ("{% set x = params.items + 1 %}{{ x * 2 }}", "8"),
        ("{{ range(3) | list | tojson }}", "[0, 1, 2]"),
        ("{# nothing #}{% raw %}{{ model }}{% endraw %}", "{{ model }}"),
        ("a\n{% if true %}\nb\n{% endif %}\nc\n", "a\nb\nc\n"),
        ("a\nb", "a\nb"),
    ],
)
def test_what_texts_can_say(text: str, result: str) -> None:
    assert render(text) == result


@pytest.mark.parametrize(
    ("text", "message", "help_text"),
    [
        ("{{ modle }}", 'unknown variable "modle"', 'did you mean "model"?'),
        ("{{ stage }}", 'unknown variable "stage"', "the variables are"),
        ("{{ version }}", '"version" has no value here', "default"),
        ("{{ params.itms }}", '"itms" has no value here', 'did you mean "items"?'),
        ("{{ params.names[7] }}", '"7" has no value here', None),
        ("{{", "line 1: unexpected", None),
        ("a\nb {% if %}", "line 2: ", None),
        ("{{ 1 / 0 }}", "division by zero", None),
        ("{% for i in 5 %}{% endfor %}", "not iterable", None),
        ("{{ '3' + 4 }}", '"+" works on numbers', "join texts with ~"),
    ],
)
def test_mistakes_are_explained(text: str, message: str, help_text: str | None) -> None:
    found = fault(text)
    assert found.code == "RT401"
    assert message in found.message
    if help_text:
        assert help_text in (found.help or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ params.lines }}", "line break or control character (U+000A)"),
        ("{{ 'a\tb' }}", "(U+0009)"),
        ("{{ 'a\u202eb' }}", "(U+202E)"),
        ("{{ params.names }}", "a list has no text"),
        ("{{ params }}", "a dict has no text"),
        ("{{ params.nothing }}", "null has no text"),
        ("{{ 'x' ~ params.nothing }}", "null has no text"),
    ],
)
def test_values_that_are_no_single_line_of_text(text: str, message: str) -> None:
    found = fault(text)
    assert found.code == "RT406"
    assert message in found.message


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ params.__class__ }}",
        "{{ params['__class__'] }}",
        "{{ model.upper() }}",
        "{{ model.upper }}",
        "{{ params.items() }}",
        "{{ range.__init__ }}",
        "{{ self }}",
        "{{ self._TemplateReference__context }}",
        "{{ lipsum }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ model | attr('__class__') }}",
        "{{ params | map(attribute='__class__') | list }}",
        "{{ _loop_budget }}",
        "{{ [] | _counted }}",
        "{{ loop }}",
        "{% for i in [1] %}{{ loop.__class__ }}{% endfor %}",
        "{% for i in [1] %}{{ loop.cycle(1) }}{% endfor %}",
        "{% include 'x' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% macro x() %}{% endmacro %}",
        "{% set x %}a{% endset %}",
        "{% set model.x = 1 %}",
        "{% filter upper %}a{% endfilter %}",
        "{% call x() %}{% endcall %}",
        "{% do model %}",
        "{{ model | e }}",
        "{{ model is callable }}",
        "{{ 'a' % 3 }}",
        "{{ 2 ** 3 }}",
    ],
)
def test_the_language_ends_here(text: str) -> None:
    assert fault(text).code in {"RT401", "RT406"}


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(200) %}{% for b in range(200) %}{% endfor %}{% endfor %}",
        "{% for a in range(20000) %}{% endfor %}",
        "{{ range(1000000000) | list | length }}",
        "{{ 'a' * 1000000000 }}",
        "{{ 10 * 9999999999 * 9999999999 * 9999999999 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a' | indent(1000000000) }}",
        "{{ (" * 2000,
        "{% set a = 'aaaaaaaaaaaaaaaa' %}" + "{% set a = a ~ a %}" * 40,
        "{% set a = 'aaaaaaaaaaaaaaaa' %}" + "{% set a = a + a %}" * 40,
        "{% set a = 'aaaaaaaa' %}" + "{% set a = a | replace('', a) %}" * 9,
        "{% set a = ['aaaaaaaa'] %}{% for i in range(9999) %}{{ a | join }}{% endfor %}",
    ],
)
def test_bombs_are_defused(text: str) -> None:
    assert fault(text).code == "RT401"


def test_the_limit_of_a_file_is_larger_than_that_of_a_string() -> None:
    long = "{% for i in range(100) %}" + "x" * 1000 + "{% endfor %}"
    with pytest.raises(TemplateFault, match="longer than 64 KiB"):
        compiled(long).render({})
    assert len(compiled(long).render({}, FILE_LIMIT)) == 100_000 > STRING_LIMIT


def test_a_text_is_rendered_anew_when_a_value_changes() -> None:
    text = compiled("{{ model }}{{ params.x }}")
    assert text.render({"model": "a", "params": {"x": 1}}) == "a1"
    assert text.render({"model": "a", "params": {"x": 2}}) == "a2"
    assert text.render({"model": "a", "params": {"x": True}}) == "atrue"
    assert text.render({"model": "a", "params": {"x": 1}}) == "a1"


def outcome(text: str, values: dict[str, Any]) -> tuple[str, str]:
    """The fault's code and message, or an empty code and the text."""
    try:
        made = compiled(text)
        made.check_names(KNOWN)
        return "", made.render(values)
    except TemplateFault as found:
        return found.code, found.message


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("{}%#|~ amodel.params()[]'\"\n1+*-"), max_size=40))
def test_any_text_renders_or_has_a_fault(text: str) -> None:
    code, message = outcome(text, VALUES)
    assert code in {"", "RT401", "RT406"}
    assert message or not code


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=50))
def test_a_value_stays_on_its_line(value: str) -> None:
    code, line = outcome("LABEL a={{ model }}", {"model": value})
    assert (code, len(line.splitlines())) in {("", 1), ("RT406", 1)}
    assert code or line == "LABEL a=" + value
