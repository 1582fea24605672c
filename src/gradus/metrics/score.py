"""The scores that a plan defines beside the catalog's metrics, and finding either by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gradus import benchmarks, registry
from gradus.errors import UnknownName, UsageError, unknown
from gradus.metrics import lookup
from gradus.metrics.combined import Combined, Part, combined
from gradus.metrics.formula import Formula, parse
from gradus.metrics.priced import Priced, priced

if TYPE_CHECKING:
    from gradus.metrics.base import Metric

Score = type[Combined] | type[Priced]


@dataclass(frozen=True, slots=True)
class Scores:
    """The catalog's metrics and a plan's own scores under one roof.

    Attributes:
        own: the plan's scores by name, in its order.
        bases: for each of them the metrics of the catalog that it rests on.
    """

    own: Mapping[str, Score] = field(default_factory=dict)
    bases: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: Mapping[str, Mapping[str, Any]]) -> Scores:
        """Those of a plan's ``scores:`` section, checked before.

        Raises:
            UsageError: one of them can't be made.
        """
        return build(raw)

    def kind(self, name: str) -> type[Metric]:
        """The metric of that plain name, the plan's or the catalog's.

        Raises:
            UnknownName: there is none.
        """
        if name in self.own:
            return self.own[name]
        found: type[Metric] = registry.load("metrics", name)
        return found

    def get(self, text: str, labels: tuple[str, ...] = ()) -> Metric:
        """As `gradus.metrics.get`, a plan's scores included.

        Raises:
            UnknownName: there is no such metric or no such label.
            UsageError: a label is given that the metric doesn't take, or the other way round.
        """
        from gradus import metrics

        name, label = lookup(text)
        if name not in self.own:
            return metrics.get(text, labels)
        if label is not None:
            raise UsageError(f"{name} is not asked of a single label: write {name}")
        return self.own[name]()

    def on(self, target: str, labels: tuple[str, ...]) -> dict[str, Score]:
        """The plan's scores that can be taken on data with this target and these labels."""
        known = set(benchmarks.of(target).metrics)
        return {
            name: kind
            for name, kind in self.own.items()
            if self.bases[name] <= known
            and not kind.lacking(labels)
            # Prices are of cells of a confusion matrix, which options and targets have none of.
            and (target == "label" or not issubclass(kind, Priced))
        }

    def check(self, data: Sequence[tuple[str, tuple[str, ...]]]) -> None:
        """Refuse scores that can't be taken on any of the data, told by target and labels.

        Raises:
            UsageError: there is one; the message names the score and, where that is why, the
                label and a near one.
        """
        for name, kind in self.own.items():
            fitting = [
                labels
                for target, labels in data
                if self.bases[name] <= set(benchmarks.of(target).metrics)
            ]
            lacking = [(kind.lacking(labels), labels) for labels in fitting]
            if not fitting:
                raise UsageError(
                    f"scores.{name}: no data set of the plan is measured by "
                    f"{', '.join(sorted(self.bases[name]))}"
                )
            if all(missing for missing, _ in lacking):
                missing, labels = min(lacking, key=lambda row: len(row[0]))
                raise UsageError(f"scores.{name}: {unknown('label', missing[0], labels)}")

    def facts(self, name: str) -> str:
        """What a score of the plan is, in one line."""
        kind = self.own[name]
        if issubclass(kind, Combined):
            return kind.formula.text
        cells = [
            f"{gold} as {predicted} {price:g}"
            for gold, row in kind.prices.items()
            for predicted, price in row.items()
        ]
        return ", ".join([*cells, f"else right {kind.right:g}", f"wrong {kind.wrong:g}"])


NONE = Scores()
"""The catalog's metrics alone."""


def build(raw: Mapping[str, Mapping[str, Any]]) -> Scores:
    """Scores from their settings: ``combine`` or ``prices`` with the keys that go with it.

    Raises:
        UsageError: a formula can't be read, scores name one another in a circle, or see `make`.
        UnknownName: a formula names no metric that there is.
    """
    own: dict[str, Score] = {}
    bases: dict[str, frozenset[str]] = {}
    formulas = {n: parse(str(s["combine"])) for n, s in raw.items() if s.get("combine") is not None}
    uses = used(formulas, raw)
    for name in raw:
        chain = circle(name, uses)
        if chain:
            raise UsageError(f"cyclic score: {' -> '.join([name, *chain])}")
    for name in ordered(uses):
        own[name], bases[name] = make(name, raw[name], formulas.get(name), own, bases)
    return Scores({n: own[n] for n in raw}, {n: bases[n] for n in raw})


def used(formulas: Mapping[str, Formula], names: Iterable[str]) -> dict[str, list[str]]:
    """For each score of `names`, which others of them its formula names."""
    known = list(names)
    return {
        name: [p for p in (lookup(t)[0] for t in formulas[name].metrics) if p in known]
        if name in formulas
        else []
        for name in known
    }


def circle(name: str, uses: Mapping[str, Sequence[str]]) -> list[str]:
    """The shortest chain of names from what `name` uses back to itself; empty if there is none."""
    chains = [[other] for other in uses[name]]
    seen = {chain[0] for chain in chains}
    for chain in chains:
        if chain[-1] == name:
            return chain
        for other in uses[chain[-1]]:
            if other not in seen:
                seen.add(other)
                chains.append([*chain, other])
    return []


def ordered(uses: Mapping[str, Sequence[str]]) -> list[str]:
    """The scores so that each comes after those it uses; there is no circle among them."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        for other in uses[name]:
            visit(other)
        done[name] = None

    for name in uses:
        visit(name)
    return list(done)


def shadows(name: str) -> bool:
    """Whether the catalog has a metric of that name."""
    return name in {registry.plain(entry) for entry in registry.names("metrics")}


def make(
    name: str,
    settings: Mapping[str, Any],
    formula: Formula | None,
    own: Mapping[str, Score],
    bases: Mapping[str, frozenset[str]],
) -> tuple[Score, frozenset[str]]:
    """One score, and the metrics of the catalog that it rests on.

    Raises:
        UsageError: it names an unknown metric, a cost, or metrics of different targets.
    """
    if shadows(name):
        raise UsageError(f"'{name}' is a metric of the catalog: choose another name")
    if formula is None:
        made = priced(
            name,
            prices=settings.get("prices") or {},
            right=float(settings.get("default_right", 1.0)),
            wrong=float(settings.get("default_wrong", 0.0)),
            unit=str(settings.get("unit") or "score"),
            direction=settings.get("direction", "higher"),
        )
        return made, frozenset({"accuracy"})
    parts: dict[str, Part] = {}
    rests: set[str] = set()
    for text in formula.metrics:
        parts[text], base = _part(text, own, bases)
        rests |= base
    _one_target(rests)
    made_of = combined(
        name,
        formula,
        parts,
        unit=str(settings.get("unit") or "score"),
        direction=settings.get("direction", "higher"),
    )
    return made_of, frozenset(rests)


def _part(
    text: str,
    own: Mapping[str, Score],
    bases: Mapping[str, frozenset[str]],
) -> tuple[Part, frozenset[str]]:
    name, label = lookup(text)
    if name in own:
        if label is not None:
            raise UsageError(f"{name} is not asked of a single label: write {name}")
        return Part(own[name]), bases[name]
    if not shadows(name):
        catalog = (registry.plain(entry) for entry in registry.names("metrics"))
        raise UnknownName("metric", name, {*catalog, *own})
    kind: type[Metric] = registry.load("metrics", name)
    if name not in benchmarks.quality_metrics():
        raise UsageError(f"{name} isn't taken on single items, so no score can combine it")
    if kind.per_label and not kind.overall and label is None:
        raise UsageError(f"{name} is asked of one label: write {name}[LABEL]")
    if label is not None and not kind.per_label:
        raise UsageError(f"{name} is not asked of a single label: write {name}")
    return Part(kind, label), frozenset({name})


def _one_target(names: set[str]) -> None:
    """Refuse metrics that are never taken on the same data."""
    known = [registry.load("benchmarks", name) for name in registry.names("benchmarks")]
    if not any(one.target and names <= set(one.metrics) for one in known):
        raise UsageError(f"no data set is measured by all of {', '.join(sorted(names))}")
