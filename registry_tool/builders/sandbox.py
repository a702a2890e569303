"""Jinja2, closed: texts of build templates see the documented variables and nothing else.

Templates arrive by pull request and are rendered before anyone has merged them, so a text must be
unable to reach Python, to run for long, or to grow without bound. Jinja2's own sandbox guards the
first; the rest comes from a small language: only the syntax tree nodes, filters and tests listed
here exist, attributes are looked up in mappings only, loops share a budget and joined text is
measured before it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, meta, nodes
from jinja2.visitor import NodeVisitor

from registry_tool.builders.sandbox_environment import (
    BUDGET,
    COUNTED,
    STRING_LIMIT,
    TESTS,
    Budget,
    environment,
    filters,
)
from registry_tool.builders.template_problem import TemplateFault
from registry_tool.domain.names import did_you_mean

FILE_LIMIT = 1024 * 1024
"""Characters that one rendered file may have."""

_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.If, nodes.For, nodes.Assign, nodes.CondExpr,
    nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos,
    nodes.Concat, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Call,
)  # fmt: skip


def _forbidden(node: nodes.Node, what: str) -> TemplateFault:
    return TemplateFault(
        "RT401",
        f"line {node.lineno}: {what} cannot be used in build templates",
        "use variables, filters, if, for and set only",
    )


def _closed(node: nodes.Node) -> None:
    """Refuse what is outside the language, and route loops and joins through their limits."""
    if not isinstance(node, _NODES):
        raise _forbidden(node, type(node).__name__.lower())
    if isinstance(node, nodes.Name) and node.name == "self":
        raise _forbidden(node, '"self"')
    if isinstance(node, nodes.Call) and not (
        isinstance(node.node, nodes.Name) and node.node.name == "range"
    ):
        raise _forbidden(node, "a call")
    if isinstance(node, nodes.Filter) and node.name not in filters():
        raise _forbidden(node, f'the filter "{node.name}"')
    if isinstance(node, nodes.Test) and node.name not in TESTS:
        raise _forbidden(node, f'the test "{node.name}"')
    for child in node.iter_child_nodes():
        _closed(child)
    if isinstance(node, nodes.For):
        if node.recursive:
            raise _forbidden(node, "a recursive loop")
        node.iter = nodes.Filter(node.iter, COUNTED, [], [], None, None, lineno=node.lineno)


class _Concatenation(NodeVisitor):
    """Replaces ``a ~ b`` by a join that is measured."""

    def generic_visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> None:
        for field, value in node.iter_fields():
            if isinstance(value, nodes.Concat):
                setattr(node, field, _as_join(value))
            elif isinstance(value, list):
                value[:] = [_as_join(v) if isinstance(v, nodes.Concat) else v for v in value]
        super().generic_visit(node, *args, **kwargs)


def _needed(node: nodes.Node) -> set[str]:
    """Names that are used anywhere but directly before the filter `default`."""
    if isinstance(node, nodes.Name):
        return {node.name}
    optional = (
        node.node if isinstance(node, nodes.Filter) and node.name in {"default", "d"} else None
    )
    children = (
        child
        for child in node.iter_child_nodes()
        if child is not optional or not isinstance(child, nodes.Name)
    )
    return set().union(*map(_needed, children))


def _as_join(node: nodes.Concat) -> nodes.Filter:
    items = nodes.List(node.nodes, lineno=node.lineno)
    return nodes.Filter(items, "join", [], [], None, None, lineno=node.lineno)


class Text:
    """One compiled text.

    `names` are the variables that it uses, `needed` those of them for which it names no default.
    """

    def __init__(self, source: str) -> None:
        self._template: Template | None = None
        self._constant = source
        self.names: tuple[str, ...] = ()
        self.needed: frozenset[str] = frozenset()
        self._last: tuple[list[Any], int, str] | None = None
        if not any(mark in source for mark in ("{{", "{%", "{#")):
            return
        try:
            tree = environment().parse(source)
            _closed(tree)
            _Concatenation().visit(tree)
            self.names = tuple(sorted(meta.find_undeclared_variables(tree) - {"range"}))
            self.needed = frozenset(_needed(tree)).intersection(self.names)
            code = environment().compile(tree)
        except TemplateError as problem:
            line = getattr(problem, "lineno", None)
            where = f"line {line}: " if line else ""
            raise TemplateFault("RT401", f"{where}{problem.message}") from problem
        except (RecursionError, MemoryError, SyntaxError) as problem:
            raise TemplateFault("RT401", "the text is nested too deeply") from problem
        self._template = Template.from_code(environment(), code, environment().globals)

    def check_names(self, known: Sequence[str]) -> None:
        """Refuse names outside the closed set; raises TemplateFault."""
        for name in sorted(set(self.names).difference(known)):
            raise TemplateFault(
                "RT401",
                f'unknown variable "{name}"',
                did_you_mean(name, known) or f"the variables are {', '.join(known)}",
            )

    def render(self, values: Mapping[str, Any], limit: int = STRING_LIMIT) -> str:
        """The text with its variables filled in; raises TemplateFault."""
        if self._template is None:
            return self._constant
        # Neighbouring releases mostly have the same values for what a text uses.
        used = [values.get(name) for name in self.names]
        last = self._last
        if last is not None and last[1] == limit and all(map(_same, last[0], used)):
            return last[2]
        text = self._rendered(self._template, values, limit)
        self._last = (used, limit, text)
        return text

    def _rendered(self, template: Template, values: Mapping[str, Any], limit: int) -> str:
        parts: list[str] = []
        size = 0
        try:
            for part in template.generate({**values, BUDGET: Budget()}):
                size += len(part)
                if size > limit:
                    raise TemplateFault(
                        "RT401", f"the rendered text is longer than {limit // 1024} KiB"
                    )
                parts.append(part)
        except TemplateError as problem:
            raise TemplateFault("RT401", problem.message or type(problem).__name__) from problem
        except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as problem:
            raise TemplateFault("RT401", f"the text does not render: {problem}") from problem
        return "".join(parts)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are sure to be written alike: true and 1 are equal, and are not."""
    return one is other or (isinstance(one, str) and isinstance(other, str) and one == other)


@lru_cache(maxsize=4096)
def compiled(source: str) -> Text:
    """The compiled form of a text; raises TemplateFault."""
    return Text(source)
