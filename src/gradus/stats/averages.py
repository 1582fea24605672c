"""Interval of a mean over labels of a share by label: macro precision, recall, F1.

With few items a label a resample of the items says too little: a label with one item, that one
right, is right in every draw. So the labels' shares are taken as alike but not the same: those of a
label are hits and misses of one share, and the shares come from a beta distribution whose mean and
concentration the data tell (the beta-binomial model; for accuracies Brodersen et al. 2012,
"Bayesian mixed-effects inference on classification performance in hierarchical data sets"). A label
that wasn't seen has any share that the others suggest. Draws are from the posterior, over a grid of
mean and concentration with Jeffreys' prior for the mean and, for the concentration s, s / (1 + s)
uniform (Christiansen and Morris 1997).

F1 of a label rises with a share, that of the hits among the items that have the label or are said
to. An error stands in two labels, so their shares aren't independent; the counts are divided by how
much more, or less, the mean varies for it (a design effect, Kish 1965).

Legend: N items, K labels, D draws, S concentrations, J means.
"""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from gradus.metrics.base import Metric, Predictions
from gradus.metrics.counts import CountMetric, Counts
from gradus.metrics.labelsets import LabelSets
from gradus.metrics.setcounts import SetCountMetric
from gradus.stats.draws import CHUNK, percentiles, student

CONCENTRATIONS = 0.25 * 2.0 ** np.arange(11)
MEANS = 41
"""Points of the grid."""

FEW, SEVERAL = 10.0, 5
"""Where resampling falls short: that many labels have fewer items than that."""

UNSHARED = 3.0
"""Errors that speak for a design effect of 1 before any was seen."""


def average_interval(
    metric: Metric,
    predictions: Predictions | LabelSets,
    level: float,
    draws: int,
    rng: np.random.Generator,
) -> tuple[float, float] | None:
    """Two-sided interval of a mean over labels, several of which have few items; None otherwise.

    Labels being what the posterior is made of, it is drawn out as Student's t is with K of them.
    """
    if not isinstance(metric, CountMetric | SetCountMetric):
        return None
    whole = _whole(predictions)
    trials = metric.trials(whole)
    if trials is None or np.count_nonzero(trials < FEW) < SEVERAL:
        return None
    effect = _design(metric, predictions, whole.hits, trials)
    hits, misses = whole.hits / effect, (trials - whole.hits) / effect
    rare = trials <= np.median(trials)
    halves = [half for half in (rare, ~rare) if half.any()]
    found = [
        np.asarray(metric.of_share(shares(hits[half], misses[half], draws, rng))).sum(axis=1)  # type: ignore[arg-type]  # of arrays as of numbers
        for half in halves
    ]
    values = np.asarray(sum(found) / len(trials))
    middle, wider = float(np.median(values)), student(len(trials), level)
    low, high = percentiles(values, level)
    return middle - wider * (middle - low), middle + wider * (high - middle)


def shares(
    hits: np.ndarray, misses: np.ndarray, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Draws [D, K] of the labels' shares, given hits and misses [K] (which needn't be whole)."""
    mean, concentration, chance = _grid(hits, misses)
    chosen = rng.choice(len(chance), draws, p=chance)
    mean, concentration = mean[chosen, None], concentration[chosen, None]
    found: np.ndarray = rng.beta(hits + concentration * mean, misses + concentration * (1 - mean))
    return found


def _grid(hits: np.ndarray, misses: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, concentrations and their posterior probabilities, each [S J].

    At each concentration the means stand at quantiles of the beta distribution that a binomial
    sample of as much information would give; a mean's probability is weighed by how likely it is
    there (importance sampling).
    """
    s = CONCENTRATIONS[:, None]
    known = (s + 1) / (s + hits + misses)
    a, b = (known * hits).sum(axis=1) + 0.5, (known * misses).sum(axis=1) + 0.5
    at = (np.arange(MEANS) + 0.5) / MEANS
    mean = np.clip(stats.beta.ppf(at, a[:, None], b[:, None]), 1e-9, 1 - 1e-9)
    right, wrong = (s * mean)[..., None], (s * (1 - mean))[..., None]
    likely = (special.betaln(hits + right, misses + wrong) - special.betaln(right, wrong)).sum(-1)
    likely -= (a[:, None] - 0.5) * np.log(mean) + (b[:, None] - 0.5) * np.log1p(-mean)
    likely += special.betaln(a, b)[:, None]
    chance = np.exp(likely - likely.max())
    return mean.ravel(), np.broadcast_to(s, mean.shape).ravel(), (chance / chance.sum()).ravel()


def _whole(predictions: Predictions | LabelSets) -> Counts:
    """Counts of all items by label, [K]."""
    if isinstance(predictions, Predictions):
        return Counts.of(predictions)
    gold, said = predictions.gold, predictions.predicted
    return Counts(*(part.sum(axis=0) for part in (gold & said, gold, said)))


def _counts(predictions: Predictions | LabelSets, rows: slice) -> Counts:
    """Counts of each of the items by itself, float64 [N, K]."""
    if isinstance(predictions, LabelSets):
        gold, said = predictions.gold[rows].astype(float), predictions.predicted[rows].astype(float)
    else:
        labels = np.arange(len(predictions.labels))
        gold = (predictions.gold[rows, None] == labels).astype(float)
        said = (predictions.predicted[rows, None] == labels).astype(float)
    return Counts(gold * said, gold, said)


def _design(
    metric: CountMetric | SetCountMetric,
    predictions: Predictions | LabelSets,
    hits: np.ndarray,
    trials: np.ndarray,
) -> float:
    """Variance of the mean, linearised, over what it were with independent binomial shares."""
    seen = trials > 0
    share = np.where(seen, hits / np.where(seen, trials, 1), 0.0)
    tiny = 1e-6
    slope = (
        np.array([metric.of_share(s + tiny) - metric.of_share(s - tiny) for s in share]) / 2 / tiny
    )
    each = np.where(seen, slope / np.where(seen, trials, 1), 0.0)
    alone = float((share * (1 - share) * trials * each**2).sum())
    if alone <= 0:
        return 1.0
    together, step = 0.0, max(1, CHUNK // len(hits))
    for start in range(0, len(predictions), step):
        counts = _counts(predictions, slice(start, start + step))
        own = metric.trials(counts)
        assert own is not None
        together += float((((counts.hits - share * own) @ each) ** 2).sum())
    errors = float((trials - hits).sum())
    return float(np.clip((errors * together / alone + UNSHARED) / (errors + UNSHARED), 0.5, 2.0))


def over_labels(metric: Metric) -> bool:
    """Whether the metric is a mean over labels of a share by label."""
    none = np.zeros(1)
    return (
        isinstance(metric, CountMetric | SetCountMetric)
        and metric.trials(Counts(none, none, none)) is not None
    )
