"""What may be said of configurations from their cells: values, spreads, tests.

Two tests stand side by side since they answer different questions:

- over folds (`gradus.stats.resampled`): is one way of training better than the other on data like
  these? It takes the correlation of folds for n2 / (n1 + n2).
- over items (`gradus.stats.compare`): are the predictions that were made better on items like
  these? It takes the models as given and the items as independent. What another training set would
  have done isn't in it, so it claims more, and more often.

Legend: C cells (repeats times folds), S seeds, J = C differences, N items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from gradus import registry
from gradus.crossval.cells import Cell, runs
from gradus.metrics.base import Metric
from gradus.stats import compare, several
from gradus.stats.components import components, item_variance
from gradus.stats.resampled import Resampled, corrected, naive

OVER_FOLDS: Final = (
    "of two ways of training, on data like these; assumes that two folds' values are correlated by "
    "the share of items held out"
)
OVER_ITEMS: Final = (
    "of the predictions that were made, on items like these; assumes that items are independent "
    "and takes the trained models as given"
)

OVER_GROUPS: Final = (
    "of the predictions that were made, on groups of items like these; assumes that groups are "
    "independent and takes the trained models as given"
)


def values_of(cells: Sequence[Cell], configuration: str, metric: Metric) -> np.ndarray:
    """float64 [C, S], the metric on the held-out items of every cell, folds in order."""
    own = [cell for cell in cells if cell.configuration == configuration]
    marks = sorted({(cell.fold.repeat, cell.fold.number) for cell in own})
    table = {
        mark: [metric(c.items) for c in own if (c.fold.repeat, c.fold.number) == mark]
        for mark in marks
    }
    return np.array([table[mark] for mark in marks], dtype=np.float64)


def sizes(cells: Sequence[Cell]) -> tuple[float, float]:
    """Mean numbers of items that a fold is trained on (with what it looks at) and tested on."""
    trained = [len(cell.fold.train) + len(cell.fold.select) for cell in cells]
    return float(np.mean(trained)), float(np.mean([len(cell.fold.held) for cell in cells]))


def described(
    cells: Sequence[Cell],
    configuration: str,
    metric: Metric,
    *,
    level: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> dict[str, Any]:
    """One configuration: value, interval, values by fold and seed, components of variance.

    `groups`, int64 [N], are drawn as wholes where items belong together.
    """
    table = values_of(cells, configuration, metric)
    trained, held = sizes(cells)
    means = table.mean(axis=1)
    found = corrected(means, trained=trained, held=held, level=level)
    own = [cell for cell in cells if cell.configuration == configuration]
    marks = sorted({(cell.fold.repeat, cell.fold.number) for cell in own})
    folds = {(cell.fold.repeat, cell.fold.number): cell.fold for cell in own}
    varied = [
        item_variance(
            metric,
            [c.items for c in own if (c.fold.repeat, c.fold.number) == mark],
            seed=seed,
            groups=None if groups is None else groups[folds[mark].held],
        )
        for mark in marks
    ]
    parts = components(table, np.array(varied))
    return {
        "name": configuration,
        "value": number(found.value),
        "low": number(found.low),
        "high": number(found.high),
        "values": [[number(value) for value in row] for row in table.tolist()],
        "seconds": sum(cell.seconds for cell in own),
        "components": {
            key: number(getattr(parts, key))
            for key in (
                *("seeds", "folds", "items", "training"),
                *("raw_folds", "raw_items", "raw_training"),
            )
        },
    }


def folds_tests(
    cells: Sequence[Cell], names: Sequence[str], metric: Metric, *, level: float
) -> list[dict[str, Any]]:
    """Every pair by the corrected test, Holm's correction over the pairs, the naive test beside."""
    trained, held = sizes(cells)
    table = {name: values_of(cells, name, metric).mean(axis=1) for name in names}
    pairs = list(combinations(names, 2))
    found: list[tuple[Resampled, Resampled]] = []
    for one, two in pairs:
        gaps = table[one] - table[two]
        found.append(
            (corrected(gaps, trained=trained, held=held, level=level), naive(gaps, level=level))
        )
    defined = [i for i, (test, _) in enumerate(found) if not math.isnan(test.p_value)]
    adjusted = dict(zip(defined, compare.holm([found[i][0].p_value for i in defined]), strict=True))
    return [
        {
            "first": one,
            "second": two,
            "difference": number(test.value),
            "low": number(test.low),
            "high": number(test.high),
            "p_value": number(test.p_value),
            "p_holm": adjusted.get(i),
            "significant": adjusted[i] <= 1 - level if i in adjusted else None,
            "count": test.count,
            "factor": test.factor,
            "naive": {
                "low": number(plain.low),
                "high": number(plain.high),
                "p_value": number(plain.p_value),
            },
        }
        for i, ((one, two), (test, plain)) in enumerate(zip(pairs, found, strict=True))
    ]


def items_tests(
    cells: Sequence[Cell],
    names: Sequence[str],
    ids: Sequence[str],
    metric: Metric,
    *,
    level: float,
    seed: int,
    groups: np.ndarray | None = None,
) -> list[dict[str, Any]]:
    """Every pair on the same N items: one run by the tests that any two models are compared by,
    several repeats or seeds by the mean over them, and groups drawn as wholes
    (`gradus.stats.several`)."""
    seen = {name: runs(cells, name, ids) for name in names}
    pairs = list(combinations(names, 2))
    found: Sequence[compare.Difference | None]
    if len(seen[names[0]]) > 1 or groups is not None:
        sides = [(one, two, seen[one], seen[two]) for one, two in pairs]
        found = several.compare(metric, sides, level=level, seed=seed, groups=groups)
    else:
        pairings = [compare.Pairing(one, two, seen[one][0], seen[two][0]) for one, two in pairs]
        found = compare.compare(metric, pairings, level=level, seed=seed)
    return [
        {
            "first": one.first,
            "second": one.second,
            "difference": number(one.difference),
            "low": number(one.low),
            "high": number(one.high),
            "test": one.test,
            "p_value": one.p_value,
            "p_holm": one.p_holm,
            "significant": one.significant,
            "n": one.n,
        }
        for one in found
        if one is not None
    ]


def winner(described: Sequence[Mapping[str, Any]], metric: Metric) -> str:
    """The configuration with the best mean over folds; the first of equals."""
    sign = 1 if metric.direction == "higher" else -1
    ranked = [(sign * one["value"] if one["value"] is not None else -math.inf) for one in described]
    best: str = described[int(np.argmax(ranked))]["name"]
    return best


def metric_of(name: str) -> Metric:
    """The metric of that plain name."""
    kind: type[Metric] = registry.load("metrics", name)
    return kind()


def number(value: float) -> float | None:
    """A number as JSON has it: NaN and infinities are None."""
    return float(value) if math.isfinite(value) else None
