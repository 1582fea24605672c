"""Metrics and gates in Python, on predictions that are at hand.

Legend: N items, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradus.errors import UsageError
from gradus.records import Measurement, Verdict

if TYPE_CHECKING:
    from gradus.metrics.base import Metric, Predictions


def score(
    name: str,
    *,
    combine: str | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    default_right: float = 1.0,
    default_wrong: float = 0.0,
    unit: str = "score",
    direction: str = "higher",
) -> type[Metric]:
    """A metric of one's own, as a plan's ``scores:`` section defines them; `metric` takes it.

    Args:
        name: what it is called; no metric of the catalog may have that name.
        combine: arithmetic over metrics, as in ``"0.7 * f1_macro + 0.3 * recall[urgent]"``.
        prices: or else what an item of one label predicted as another is worth, as in
            ``{"urgent": {"spam": -50}}``.
        default_right: price of a right item that `prices` doesn't name.
        default_wrong: price of a wrong one.
        unit: of the value.
        direction: ``higher`` or ``lower``, which way is better.

    Raises:
        UsageError: the formula can't be read, or neither or both of `combine` and `prices`.
        UnknownName: the formula names no metric that there is.
    """
    from gradus.metrics.score import Scores

    if (combine is None) == (prices is None) or direction not in ("higher", "lower"):
        raise UsageError(
            f"score '{name}': give either combine or prices, and higher or lower as direction"
        )
    settings = {
        "combine": combine,
        "prices": prices,
        "default_right": default_right,
        "default_wrong": default_wrong,
        "unit": unit,
        "direction": direction,
    }
    return Scores.of({name: settings}).own[name]


def metric(
    name: str | type[Metric],
    gold: Sequence[str],
    predicted: Sequence[str],
    *,
    log_probs: Any = None,
    labels: Sequence[str] | None = None,
    level: float = 0.95,
) -> Measurement:
    """Measure a metric of the catalog on predictions that are at hand.

    Args:
        name: e.g. ``"accuracy"``, ``"f1[sport]"``, or a metric made by `score`.
        gold: N true labels.
        predicted: N predicted labels.
        log_probs: float [N, K] natural logarithms, for metrics that need probabilities.
        labels: the K labels in the order of the columns; sorted from the data when left out.
        level: of the interval.
    """
    import numpy as np

    from gradus import metrics
    from gradus.metrics.base import Predictions
    from gradus.stats.intervals import interval

    names = tuple(labels) if labels is not None else tuple(sorted({*gold, *predicted}))
    index = {label: i for i, label in enumerate(names)}
    seen = Predictions(
        gold=np.array([index[g] for g in gold], dtype=np.int64),
        predicted=np.array([index[p] for p in predicted], dtype=np.int64),
        log_probs=None if log_probs is None else np.asarray(log_probs, dtype=np.float64),
        labels=names,
    )
    made = metrics.get(name, names) if isinstance(name, str) else name()
    value = made(seen)
    bounds = interval(made, seen, level=level, draws=2000, seed=0)
    low, high = bounds.ends()
    return Measurement(
        metric=name if isinstance(name, str) else name.name,
        value=float(value),
        unit=made.unit,
        direction=made.direction,
        n=len(seen),
        ci_low=low,
        ci_high=high,
        ci_method=bounds.method,
        level=level,
    )


def gate(
    text: str,
    measurements: Sequence[Measurement],
    *,
    predictions: Predictions | None = None,
    name: str = "checkpoint",
) -> Verdict:
    """Judge a gate against a constant, e.g. ``gate("accuracy >= 0.9", [measurement])``.

    ``surely`` asks a one-sided bound of the items, so it needs `predictions` too. For a gate
    between checkpoints use `gradus.gates.judge` with the items of both.
    """
    from gradus.gates import Side, judge, parse

    parsed = parse(text)
    if parsed.reference is not None:
        raise UsageError(
            f"'{text}' compares two checkpoints: use gradus.gates.judge, which takes the "
            "items of both"
        )
    side = Side(name, tuple(measurements), predictions, None)
    return judge(parsed, side, None)
