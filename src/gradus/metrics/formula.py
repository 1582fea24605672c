"""The arithmetic of scores: numbers, metrics, ``+ - * /`` and parentheses, and nothing else.

::

    sum     = product {("+" | "-") product}
    product = signed {("*" | "/") signed}
    signed  = {"-"} atom
    atom    = NUMBER | NAME ["[" LABEL "]"] | "(" sum ")"

Legend: D weightings of the items.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradus.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

LONGEST: Final = 1000
DEEPEST: Final = 50

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9_]*(?:\[[^\[\]]+\])?)"
    r"|(?P<sign>[-+*/()]))"
)


class FormulaError(UsageError):
    """A formula can't be read; `column` (from 1) is where in its text."""

    def __init__(self, message: str, column: int, text: str) -> None:
        self.column, self.text, self.reason = column, text, message
        super().__init__(f"formula '{text}', column {column}: {message}")


@dataclass(frozen=True, slots=True)
class Node:
    """A number (`value`), a metric as written (`metric`), or `sign` between two nodes."""

    value: float | None = None
    metric: str | None = None
    sign: str = ""
    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula taken apart; `metrics` are those it names, as written, each once."""

    text: str
    root: Node
    metrics: tuple[str, ...]

    def __call__(self, values: Mapping[str, Any]) -> Any:
        """Its value where each metric has that of `values`, numbers or arrays [D] of them.

        NaN where something is divided by zero.
        """
        return _value(self.root, values)

    def affine(self) -> tuple[float, dict[str, float]] | None:
        """The constant and each metric's factor where the formula is a weighted sum, else None.

        >>> parse("2 * (a + 1) - b / 4").affine()
        (2.0, {'a': 2.0, 'b': -0.25})
        """
        return _affine(self.root)


def parse(text: str) -> Formula:
    """Read a formula.

    >>> parse("0.7 * f1_macro + 0.3 * recall[urgent]").metrics
    ('f1_macro', 'recall[urgent]')

    Raises:
        FormulaError: it can't be read, divides by a constant zero, or names no metric.
    """
    if len(text) > LONGEST:
        raise FormulaError(f"is longer than {LONGEST:,} characters", LONGEST, text[:40] + "...")
    reader = _Reader(text)
    root = reader.sum(0)
    reader.end()
    metrics = tuple(dict.fromkeys(_metrics(root)))
    if not metrics:
        raise FormulaError("names no metric, so it says nothing of a checkpoint", 1, text)
    return Formula(text.strip(), root, metrics)


class _Reader:
    """Recursive descent over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.tokens: list[tuple[str, str, int]] = []
        end, place = len(text.rstrip()), 0
        while place < end:
            match = _TOKEN.match(text, place)
            if match is None or match.lastgroup is None:
                column = place + len(text[place:]) - len(text[place:].lstrip()) + 1
                raise FormulaError(
                    f"'{text[column - 1]}' has no place here: write numbers, metrics, + - * / ( )",
                    column,
                    text,
                )
            kind = match.lastgroup
            self.tokens.append((kind, match[kind], match.start(kind) + 1))
            place = match.end()

    def peek(self) -> str:
        """The sign that comes next; empty where it is none."""
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "sign":
            return self.tokens[self.at][1]
        return ""

    def column(self) -> int:
        """Where the next token stands, or the end."""
        if self.at < len(self.tokens):
            return self.tokens[self.at][2]
        return len(self.text.rstrip()) + 1

    def fail(self, message: str) -> FormulaError:
        """An error at the next token."""
        return FormulaError(message, self.column(), self.text)

    def sum(self, depth: int) -> Node:
        """Products added and subtracted."""
        if depth > DEEPEST:
            raise self.fail(f"is nested more than {DEEPEST} deep")
        found = self.product(depth)
        while self.peek() in ("+", "-"):
            sign = self.peek()
            self.at += 1
            found = Node(sign=sign, parts=(found, self.product(depth)))
        return found

    def product(self, depth: int) -> Node:
        """Atoms multiplied and divided."""
        found = self.signed(depth)
        while self.peek() in ("*", "/"):
            sign = self.peek()
            self.at += 1
            column = self.column()
            other = self.signed(depth)
            if sign == "/" and _constant(other) == 0:
                raise FormulaError("divides by a constant zero", column, self.text)
            found = Node(sign=sign, parts=(found, other))
        return found

    def signed(self, depth: int) -> Node:
        """An atom after any number of minus signs."""
        less = False
        while self.peek() == "-":
            self.at += 1
            less = not less
        found = self.atom(depth)
        return Node(sign="-", parts=(Node(value=0.0), found)) if less else found

    def atom(self, depth: int) -> Node:
        """A number, a metric, or a sum in parentheses."""
        if self.at >= len(self.tokens):
            raise self.fail("something is missing here: a number, a metric or (")
        kind, token, _ = self.tokens[self.at]
        if kind == "number":
            value = float(token)
            if not math.isfinite(value):
                raise self.fail(f"{token} is too large a number")
            self.at += 1
            return Node(value=value)
        if kind == "name":
            self.at += 1
            return Node(metric=token)
        if token != "(":
            raise self.fail(f"'{token}' stands where a number, a metric or ( should")
        self.at += 1
        found = self.sum(depth + 1)
        if self.peek() != ")":
            raise self.fail("a ) is missing")
        self.at += 1
        return found

    def end(self) -> None:
        """Nothing may be left."""
        if self.at < len(self.tokens):
            token = self.tokens[self.at][1]
            why = "closes nothing" if token == ")" else "stands where + - * or / should"
            raise self.fail(f"'{token}' {why}")


def _metrics(node: Node) -> list[str]:
    own = [] if node.metric is None else [node.metric]
    return own + [name for part in node.parts for name in _metrics(part)]


def _constant(node: Node) -> float | None:
    """The number that a node always is; None where a metric decides."""
    found = _affine(node)
    return None if found is None or any(found[1].values()) else found[0]


def _value(node: Node, values: Mapping[str, Any]) -> Any:
    import numpy as np

    if node.value is not None:
        return node.value
    if node.metric is not None:
        return values[node.metric]
    left, right = (_value(part, values) for part in node.parts)
    if node.sign == "+":
        return left + right
    if node.sign == "-":
        return left - right
    if node.sign == "*":
        return left * right
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = np.where(np.asarray(right) == 0, np.nan, np.true_divide(left, right))
    return found


def _affine(node: Node) -> tuple[float, dict[str, float]] | None:
    if node.value is not None:
        return node.value, {}
    if node.metric is not None:
        return 0.0, {node.metric: 1.0}
    left, right = (_affine(part) for part in node.parts)
    if left is None or right is None:
        return None
    if node.sign in ("+", "-"):
        sign = 1.0 if node.sign == "+" else -1.0
        names = dict.fromkeys([*left[1], *right[1]])
        factors = {n: left[1].get(n, 0.0) + sign * right[1].get(n, 0.0) for n in names}
        return left[0] + sign * right[0], factors
    if node.sign == "/":
        if right[1] or right[0] == 0:
            return None
        return left[0] / right[0], {n: f / right[0] for n, f in left[1].items()}
    if left[1] and right[1]:
        return None
    (scale, _), (constant, factors) = (left, right) if not left[1] else (right, left)
    return scale * constant, {n: scale * f for n, f in factors.items()}
