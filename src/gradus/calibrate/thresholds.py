"""Thresholds by label that make a named metric greatest on dev.select, if they make it greater.

With hundreds of items and tens of labels there is much to fit: so a metric is taken on folds that
weren't tuned on, and thresholds that don't help there aren't kept.

Legend: N items, K labels, C cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gradus import registry
from gradus.errors import UsageError
from gradus.predict.base import decide
from gradus.predict.postprocess import NEUTRAL

if TYPE_CHECKING:
    import numpy as np

    from gradus.records import Target

FOLDS: Final = 5
SWEEPS: Final = 3
LEAST: Final = 0.01
MOST: Final = 0.99
SET_METRICS: Final = {"multilabel_f1_micro": "global", "multilabel_f1_macro": "per-label"}


@dataclass(frozen=True, slots=True)
class Tuned:
    """Thresholds, and what they are worth.

    Attributes:
        thresholds: K; None where they didn't help on items that they weren't tuned on.
        before: the metric without them, on all items.
        after: with them, on the items they were tuned on.
        held_out: with thresholds tuned on the other folds.
    """

    thresholds: tuple[float, ...] | None
    before: float
    after: float
    held_out: float


def check_metric(name: str, target: Target) -> None:
    """Refuse a metric that thresholds can't be tuned for.

    Raises:
        UsageError: says which can.
    """
    known = tunable(target)
    if name not in known:
        raise UsageError(
            f"thresholds: '{name}' isn't what they can be tuned for with target '{target}'; "
            f"known are {', '.join(known) or 'none'}"
        )


def tunable(target: Target) -> list[str]:
    """Plain names of the metrics that thresholds can be tuned for."""
    from gradus.metrics.counts import CountMetric

    if target == "labels":
        return list(SET_METRICS)
    if target != "label":
        return []
    names = [registry.plain(entry) for entry in registry.names("metrics")]
    kinds = {name: registry.load("metrics", name) for name in names}
    return [
        name
        for name, kind in kinds.items()
        if issubclass(kind, CountMetric)
        and kind.needs == "labels"
        and kind.direction == "higher"
        and not kind.per_label
    ]


def tune(
    rows: np.ndarray,
    gold: np.ndarray,
    labels: Sequence[str],
    given: Sequence[float],
    metric: str,
    target: Target,
) -> Tuned:
    """Thresholds for log-probabilities [N, K], where a metric is greater on items held out.

    Args:
        rows: in an order that says nothing of the items: folds are every fifth of them.
        gold: int64 [N], or bool [N, K] with target ``labels``.
        labels: the K labels.
        given: the K thresholds that there are without tuning.
        metric: see `tunable`.
        target: ``label`` or ``labels``.
    """
    import numpy as np

    check_metric(metric, target)
    fit = _fit_sets if target == "labels" else _fit_one
    said = _say_sets if target == "labels" else decide
    value = _value(metric, labels, target)
    fold = np.arange(len(rows)) % FOLDS
    before = said(rows, given)
    held = np.array(before)
    for part in range(FOLDS):
        inside, outside = fold == part, fold != part
        if inside.any() and outside.any():
            found = fit(rows[outside], gold[outside], given, metric)
            held[inside] = said(rows[inside], found)
    whole = fit(rows, gold, given, metric)
    start, held_out = value(gold, before), value(gold, held)
    after = value(gold, said(rows, whole))
    return Tuned(tuple(whole) if held_out > start else None, start, after, held_out)


def _say_sets(rows: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    import numpy as np

    return np.asarray(np.exp(rows) >= np.asarray(thresholds))


def _value(
    metric: str, labels: Sequence[str], target: Target
) -> Callable[[np.ndarray, np.ndarray], float]:
    from gradus.metrics.base import Predictions
    from gradus.metrics.labelsets import LabelSets

    measure: Any = registry.load("metrics", metric)()

    def value(gold: np.ndarray, predicted: np.ndarray) -> float:
        if target == "labels":
            return float(measure(LabelSets(gold, predicted, predicted * 1.0, tuple(labels))))
        return float(measure(Predictions(gold, predicted, None, tuple(labels))))

    return value


def _fit_sets(
    rows: np.ndarray, gold: np.ndarray, given: Sequence[float], metric: str
) -> list[float]:
    import numpy as np

    from gradus.objectives.thresholds import choose

    how: Any = SET_METRICS[metric]
    return [
        float(min(max(cut, LEAST), MOST))
        for cut in choose(how, np.exp(rows), np.asarray(gold, bool))
    ]


def _fit_one(
    rows: np.ndarray, gold: np.ndarray, given: Sequence[float], metric: str
) -> list[float]:
    """Label after label the best threshold with the others as they are, a few times over."""
    import numpy as np

    thresholds = np.array(given, dtype=np.float64)
    measure = registry.load("metrics", metric)()
    for _ in range(SWEEPS):
        before = thresholds.copy()
        for label in range(rows.shape[1]):
            thresholds[label] = _best_cut(rows, gold, thresholds, label, measure)
        if (thresholds == before).all():
            break
    return [float(cut) for cut in thresholds]


def _best_cut(
    rows: np.ndarray, gold: np.ndarray, thresholds: np.ndarray, label: int, measure: Any
) -> float:
    """The threshold of one label: what it is, unless another is better.

    At a threshold t the label is said of all items whose p / t is above the others' best multiple,
    so of those whose ratio r = p / best is above t: one cut between each two neighbouring ratios.
    """
    import numpy as np

    from gradus.metrics.counts import Counts

    k = len(thresholds)
    scaled = rows - np.log(thresholds)
    scaled[:, label] = -np.inf
    other = scaled.argmax(axis=1)
    ratio = rows[:, label] - scaled[np.arange(len(rows)), other]
    order = np.argsort(-ratio, kind="stable")
    ratio, other, gold = ratio[order], other[order], gold[order]
    # What one item more that gets the label takes from the counts of the others.
    eye = np.eye(k)
    taken, won = eye[other], (gold == label)[:, None] * eye[label]
    lost = eye[other] * (gold == other)[:, None]
    zero = np.zeros((1, k))
    predicted = taken.sum(axis=0) + np.concatenate([zero, np.cumsum(eye[label] - taken, axis=0)])
    hits = lost.sum(axis=0) + np.concatenate([zero, np.cumsum(won - lost, axis=0)])
    counts = Counts(hits, np.tile(np.bincount(gold, minlength=k), (len(hits), 1)), predicted)
    values = np.nan_to_num(measure.of_counts(counts), nan=-np.inf)
    edges = np.concatenate([[np.inf], ratio, [-np.inf]])
    cuts = np.clip((edges[:-1] + edges[1:]) / 2, np.log(LEAST), np.log(MOST))
    possible = (edges[:-1] > cuts) & (cuts >= edges[1:])  # equal ratios and ends can't be parted
    if not possible.any():
        return float(thresholds[label])
    own = np.log(thresholds[label])
    most = values[possible].max() - 1e-12
    if values[np.count_nonzero(ratio > own)] >= most:
        return float(thresholds[label])
    best = cuts[possible & (values >= most)]
    return float(np.exp(best[np.abs(best - own).argmin()]))


def named(labels: Sequence[str], tuned: Tuned, given: Sequence[float]) -> dict[str, float]:
    """The thresholds that differ from those given, by label; empty where none were kept."""
    if tuned.thresholds is None:
        return {}
    pairs = zip(labels, tuned.thresholds, given, strict=True)
    return {label: cut for label, cut, own in pairs if cut != own or own != NEUTRAL}
