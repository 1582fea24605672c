"""The grammar of gates: one line of text to one `GateSpec`.

::

    gate      = ["surely"] metric op threshold
    metric    = [PREFIX "."] NAME ["[" LABEL "]"] ["{" SLICING "=" VALUE "}"]
    op        = ">=" | ">" | "<=" | "<"
    threshold = NUMBER | ref | ref "+" NUMBER | ref "-" NUMBER | NUMBER "*" ref
    ref       = (STEP | MODEL | "parent" | STEP "." EXTRA) ["." NAME]

A space stands around every operator, so that ids may contain hyphens.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final

from gradus import registry
from gradus.errors import UsageError, unknown

OPERATORS: Final = (">=", "<=", ">", "<")

_TOKEN = re.compile(r"(?:[^\s\[\]{}]|\[[^\[\]]*\]|\{[^{}]*\})+|[\[\]{}]")
_NUMBER = re.compile(r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$")
_ID = r"[^\W][\w-]*"
_REF = re.compile(rf"^{_ID}(?:\.[^\W\d][\w-]*){{0,2}}$")
_METRIC = re.compile(
    rf"^(?:(?P<prefix>{_ID}(?:\.{_ID})*)\.)?(?P<name>[A-Za-z][A-Za-z0-9_]*)"
    r"(?:\[(?P<label>[^\[\]]+)\])?"
    r"(?:\{(?P<by>[^{}=\s]+)=(?P<value>[^{}]+)\})?$"
)
_GLUED = re.compile(r">=|<=|==|!=|=|>|<")


class GateSyntaxError(UsageError):
    """A gate can't be read; `column` (from 1) is where in its text."""

    def __init__(self, message: str, column: int, text: str) -> None:
        self.column, self.text, self.reason = column, text, message
        super().__init__(f"gate '{text}', column {column}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """A gate taken apart.

    Attributes:
        text: as it was written.
        metric: plain name, e.g. ``f1``; `label` is what it is asked of, e.g. ``sport``.
        slice: the slicing and the value of it that the metric is taken on alone, e.g.
            ``("language", "Han")``.
        prefix: data set, split or benchmark that the metric is taken on; None for the step's own.
        op: one of `OPERATORS`.
        surely: whether the confidence bound is asked instead of the point value.
        constant: the threshold, or None where `reference` is given.
        reference: a step's id, a model's name, ``step.extra`` or ``parent``.
        against: the reference's metric where that is another one (``tuned.aurc_margin``), which
            only a metric has that is the same quantity (`Metric.within`).
        margin: signed, added to the reference; 0 where none is written.
        factor: what the reference is multiplied by; None where none is written.
    """

    text: str = field(compare=False)
    metric: str
    op: str
    label: str | None = None
    slice: tuple[str, str] | None = None
    prefix: str | None = None
    surely: bool = False
    constant: float | None = None
    reference: str | None = None
    against: str | None = None
    margin: float = 0.0
    factor: float | None = None

    @property
    def asked(self) -> str:
        """The metric itself: ``f1[sport]``, ``accuracy``."""
        return self.metric if self.label is None else f"{self.metric}[{self.label}]"

    @property
    def measured(self) -> str:
        """The metric as a measurement names it: ``f1[sport]``, ``accuracy{language=Han}``."""
        return self.asked if self.slice is None else sliced(self.asked, *self.slice)

    @property
    def theirs(self) -> GateSpec:
        """The gate as it is asked of the reference."""
        return self if self.against is None else replace(self, metric=self.against, against=None)

    @property
    def upward(self) -> bool:
        """Whether the gate asks for more (``>=``, ``>``) rather than for less."""
        return self.op in (">", ">=")

    def holds(self, value: float, threshold: float) -> bool:
        """Whether ``value op threshold``; never for NaN."""
        return {
            ">=": value >= threshold,
            ">": value > threshold,
            "<=": value <= threshold,
            "<": value < threshold,
        }[self.op]

    def __str__(self) -> str:
        head = "surely " if self.surely else ""
        prefix = f"{self.prefix}." if self.prefix else ""
        other = f"{self.reference}.{self.against}" if self.against else str(self.reference)
        if self.constant is not None:
            right = _write(self.constant)
        elif self.factor is not None:
            right = f"{_write(self.factor)} * {other}"
        elif self.margin:
            right = f"{other} {'+' if self.margin > 0 else '-'} {_write(abs(self.margin))}"
        else:
            right = other
        return f"{head}{prefix}{self.measured} {self.op} {right}"


def sliced(metric: str, by: str, value: str) -> str:
    """What a metric on one slice is called.

    >>> sliced("accuracy", "language", "Han")
    'accuracy{language=Han}'
    """
    return f"{metric}{{{by}={value}}}"


def parse(
    text: str, *, metrics: Collection[str] | None = None, scores: Collection[str] = ()
) -> GateSpec:
    """Read a gate.

    Args:
        text: e.g. ``accuracy >= tuned - 0.01``.
        metrics: plain names that may stand as the metric; None means the catalog's.
        scores: names of the plan's own scores, which may stand there too.

    Raises:
        GateSyntaxError: with the column at fault and what to write instead.

    >>> spec = parse("accuracy >= tuned - 0.01")
    >>> spec.reference, spec.margin
    ('tuned', -0.01)
    >>> str(parse("surely  f1[sport]  >  0.90"))
    'surely f1[sport] > 0.9'
    """
    tokens = [(m.group(), m.start() + 1) for m in _TOKEN.finditer(text)]
    surely = bool(tokens) and tokens[0][0] == "surely"
    body = tokens[1:] if surely else tokens
    end = len(text.rstrip()) + 1
    if not body:
        raise GateSyntaxError(
            "nothing to ask: write METRIC OP VALUE, as in accuracy >= 0.95", end, text
        )
    _check_operator(body, end, text)
    prefix, name, label, part = _metric(*body[0], text, metrics, scores)
    parts = _threshold(body[2:], end, text)
    reference, against = _against(parts.get("reference"), name, body[2:], text)
    if surely and parts.get("constant") is None:
        raise GateSyntaxError(
            f"surely is for constants; a comparison with '{parts['reference']}' is asked of the "
            "confidence bound anyway: leave surely out",
            tokens[0][1],
            text,
        )
    return GateSpec(
        text=text.strip(),
        metric=name,
        op=body[1][0],
        label=label,
        slice=part,
        prefix=prefix,
        surely=surely,
        constant=parts.get("constant"),  # type: ignore[arg-type]  # a float or absent, see _threshold
        reference=reference,
        against=against,
        margin=parts.get("margin", 0.0),  # type: ignore[arg-type]  # a float
        factor=parts.get("factor"),  # type: ignore[arg-type]  # a float or absent
    )


def forms() -> list[tuple[str, str]]:
    """Every form of a gate and what it means, for `gradus ls gates`."""
    return [
        ("accuracy >= 0.95", "the point value decides"),
        ("surely accuracy >= 0.95", "the one-sided confidence bound decides"),
        ("accuracy > zero-shot", "a significant gain over another checkpoint, on the same items"),
        ("accuracy >= tuned - 0.01", "non-inferiority: at most 0.01 lost, on the confidence bound"),
        ("accuracy >= tuned", "non-inferiority at margin 0: needs the evidence of a gain"),
        ("accuracy > tuned + 0.01", "a significant gain of more than 0.01"),
        ("log_loss <= tuned + 0.01", "the same where less is better"),
        ("latency_p50_ms <= 0.6 * tuned", "ratio of medians of timings taken in turns"),
        (
            "size_mb <= 0.3 * parent",
            "amounts are compared as they stand; parent is what the step began with",
        ),
        ("f1[sport] >= 0.9", "of one label"),
        ("accuracy{language=Han} >= 0.9", "on one slice of the items, see measure.slices"),
        ("news.accuracy >= 0.9", "on a data set or benchmark by name"),
        ("accuracy > floor.majority", "against a step's further checkpoint"),
        ("aurc < tuned.aurc_margin", "against the same quantity under another way of ranking"),
    ]


def _write(number: float) -> str:
    short = repr(float(number))
    return short[:-2] if short.endswith(".0") else short


def _check_operator(body: list[tuple[str, int]], end: int, text: str) -> None:
    first, column = body[0]
    for token, at in body[:2]:
        glued = _GLUED.search(re.sub(r"\[[^\]]*\]|\{[^}]*\}", lambda m: "_" * len(m[0]), token))
        if glued and token not in OPERATORS:
            if token in ("=", "==", "!="):
                raise GateSyntaxError(
                    f"'{token}' is not a gate's operator: write >=, >, <= or <", at, text
                )
            raise GateSyntaxError(f"write spaces around {glued.group()}", at + glued.start(), text)
    if first in OPERATORS:
        raise GateSyntaxError(f"write a metric before {first}", column, text)
    if len(body) == 1:
        raise GateSyntaxError("an operator is missing: write >=, >, <= or < and a value", end, text)
    if body[1][0] not in OPERATORS:
        raise GateSyntaxError(
            f"'{body[1][0]}' stands where an operator should: write >=, >, <= or <",
            body[1][1],
            text,
        )


def _metric(
    token: str,
    column: int,
    text: str,
    metrics: Collection[str] | None,
    scores: Collection[str],
) -> tuple[str | None, str, str | None, tuple[str, str] | None]:
    match = _METRIC.match(token)
    if match is None:
        raise GateSyntaxError(
            f"'{token}' is not a metric: write NAME, NAME[LABEL], NAME{{SLICING=VALUE}} or "
            "DATA.NAME",
            column,
            text,
        )
    name, label = match["name"], match["label"]
    catalog = {registry.plain(v) for v in registry.names("metrics")}
    known = {*(catalog if metrics is None else metrics), *scores}
    if label is not None and name in scores:
        message = f"{name} is not asked of a single label: leave out [{label}]"
        raise GateSyntaxError(message, column + match.start("label") - 1, text)
    if name not in known:
        raise GateSyntaxError(unknown("metric", name, known), column + match.start("name"), text)
    if name in catalog:
        kind = registry.load("metrics", name)
        if kind.per_label and not kind.overall and label is None:
            near = [k for k in sorted(known) if k.startswith(f"{name}_")]
            other = f", or {', '.join(near)} for all" if near else ""
            message = f"{name} is asked of one label: write {name}[LABEL]{other}"
            raise GateSyntaxError(message, column, text)
        if label is not None and not kind.per_label:
            message = f"{name} is not asked of a single label: leave out [{label}]"
            raise GateSyntaxError(message, column + match.start("label") - 1, text)
    part = None if match["by"] is None else (match["by"], match["value"])
    return match["prefix"], name, label, part


def _threshold(tokens: list[tuple[str, int]], end: int, text: str) -> dict[str, float | str]:
    if not tokens:
        raise GateSyntaxError("a value is missing: write a number, or a step's id", end, text)
    (first, column), rest = tokens[0], tokens[1:]
    if len(rest) == 1:
        other, at = rest[0]
        if other == "%" and _NUMBER.match(first):
            raise GateSyntaxError(_not_number(f"{first}%"), column, text)
        sign = other[0] if other[0] in "+-*" else ""
        if sign and len(other) > 1:
            raise GateSyntaxError(f"write spaces around {sign}", at, text)
        if sign:
            raise GateSyntaxError(f"something is missing after {sign}", end, text)
        raise GateSyntaxError(f"'{other}' is one word too many", at, text)
    if len(rest) > 2:
        raise GateSyntaxError(
            f"'{rest[2][0]}' is too much: a gate ends after one number and one reference",
            rest[2][1],
            text,
        )
    if not rest:
        if _NUMBER.match(first):
            return {"constant": _number(first, column, text)}
        return {"reference": _reference(first, column, text)}
    (sign, at), (second, place) = rest
    if sign == "*":
        if not _NUMBER.match(first):
            if _NUMBER.match(second):
                raise GateSyntaxError(f"write {second} * {first}", column, text)
            raise GateSyntaxError(_not_number(first), column, text)
        factor = _number(first, column, text)
        if factor <= 0:
            raise GateSyntaxError("a factor is greater than 0", column, text)
        return {"factor": factor, "reference": _reference(second, place, text)}
    if sign not in ("+", "-"):
        raise GateSyntaxError(f"'{sign}' stands where +, - or * should", at, text)
    if _NUMBER.match(first):
        raise GateSyntaxError(
            "write the reference first: REF + MARGIN or REF - MARGIN", column, text
        )
    reference = _reference(first, column, text)
    margin = _number(second, place, text)
    if margin < 0 or second[0] in "+-":
        raise GateSyntaxError("a margin has no sign of its own: turn the + or - round", place, text)
    return {"reference": reference, "margin": margin if sign == "+" else -margin}


def _against(
    reference: float | str | None, metric: str, tokens: list[tuple[str, int]], text: str
) -> tuple[str | None, str | None]:
    """The reference and the metric that is asked of it where it names another one."""
    if not isinstance(reference, str):
        return None, None
    head, dot, tail = reference.rpartition(".")
    if not dot or tail not in {registry.plain(v) for v in registry.names("metrics")}:
        return reference, None
    if registry.load("metrics", tail).within != metric:
        column = next(at for token, at in tokens if token == reference) + len(head) + 1
        raise GateSyntaxError(
            f"{metric} can't be compared with {tail}, which is another quantity: "
            f"write {head} alone",
            column,
            text,
        )
    return head, tail


def _number(token: str, column: int, text: str) -> float:
    if not _NUMBER.match(token):
        raise GateSyntaxError(_not_number(token), column, text)
    value = float(token)
    if value in (float("inf"), float("-inf")):
        raise GateSyntaxError(f"{token} is too large a number", column, text)
    return value


def _not_number(token: str) -> str:
    if token.endswith("%") and _NUMBER.match(token[:-1]):
        return f"no percentages: write {float(token[:-1]) / 100:.6g} for {token}"
    return f"'{token}' is not a number: write it as 0.95 or 1e-3"


def _reference(token: str, column: int, text: str) -> str:
    if _REF.match(token):
        return token
    if token.endswith("%"):
        raise GateSyntaxError(_not_number(token), column, text)
    glued = re.search(r"[+*]|-(?=\.?[0-9.]+$)", token)
    if glued:
        raise GateSyntaxError(f"write spaces around {glued.group()}", column + glued.start(), text)
    if _NUMBER.match(token[:1]):
        raise GateSyntaxError(_not_number(token), column, text)
    near = get_close_matches(token.lower(), ["parent"], n=1)
    hint = ": did you mean 'parent'?" if near else ": write a number, or a step's id"
    raise GateSyntaxError(f"'{token}' is neither a number nor a reference{hint}", column, text)
