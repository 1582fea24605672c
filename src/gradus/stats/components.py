"""Where the spread of cross-validated values comes from: seeds, held-out items, training sets.

A value belongs to a cell, a fold of a repeat, and within it to a seed. By the nested analysis of
variance with the method of moments (Searle, Casella and McCulloch 1992, "Variance Components",
chapter 3; balanced, seeds within cells):

- **seeds**: the mean over cells of the variance over a cell's seeds. It holds what single seeds do
  with single items too.
- **folds**: the variance of the cells' means, less what the seeds leave in a mean: seeds / S. It is
  parted further into
  - **items**: which items happened to be held out: the variance that a bootstrap of a fold's items
    gives its value, averaged over cells. With several seeds it is the covariance of two of them
    under the same draws: what single seeds do with single items, the seeds have already;
  - **training sets**: the rest, what another training set does.

A component that comes out below zero is reported as zero, with the raw number beside it. Since
training sets of folds overlap, and the folds of one repeat part the items between them, the
components of folds tell of this cross-validation, not of fresh data: for that there is no unbiased
estimator (Bengio and Grandvalet 2004, "No Unbiased Estimator of the Variance of K-Fold
Cross-Validation"). Shares are for seeing what to spend on: more seeds, or more data.

Legend: C cells (repeats times folds), S seeds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradus.metrics.base import Items, Metric
from gradus.stats.draws import chunks, draw_values
from gradus.stats.several import units_of

METHOD: Final = "nested analysis of variance, method of moments; items by bootstrap"


@dataclass(frozen=True, slots=True)
class Components:
    """Variances, in the metric's unit squared; NaN where what they need isn't there.

    Attributes:
        seeds: NaN with one seed.
        folds: all that differs between cells but for seeds.
        items: of `folds`, what the held-out items do.
        training: of `folds`, the rest.
        raw_folds: `folds` before negative values were set to zero.
        raw_items: `items` before that.
        raw_training: `raw_folds` less `raw_items`.
        method: in words.
    """

    seeds: float
    folds: float
    items: float
    training: float
    raw_folds: float
    raw_items: float
    raw_training: float
    method: str = METHOD


def components(values: np.ndarray, items: np.ndarray | None = None) -> Components:
    """The components of values [C, S], and the items' variances [C] by `item_variance`.

    With one seed, seeds can't be told from training sets: `seeds` is NaN and is part of `folds`.
    Cells with a value that is NaN are left out.
    """
    values = np.asarray(values, dtype=np.float64)
    kept = np.isfinite(values).all(axis=1)
    values = values[kept]
    cells, seeds_count = values.shape
    seeds = float(values.var(axis=1, ddof=1).mean()) if seeds_count > 1 and cells else math.nan
    if cells < 2:
        return Components(seeds, *(math.nan,) * 6)
    between = float(values.mean(axis=1).var(ddof=1))
    raw = between - (0.0 if math.isnan(seeds) else seeds / seeds_count)
    folds = max(raw, 0.0)
    drawn = math.nan if items is None else float(np.nanmean(np.asarray(items)[kept]))
    rest = raw - drawn
    of_items, training = (x if math.isnan(x) else max(x, 0.0) for x in (drawn, rest))
    return Components(seeds, folds, of_items, training, raw, drawn, rest)


def item_variance(
    metric: Metric,
    runs: Sequence[Items],
    *,
    draws: int = 400,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> float:
    """The variance that drawing the items anew gives what the runs have in common: a bootstrap's.

    That of the mean over S runs holds an S-th of what single runs do with single items. That part
    is how far the runs stray from their mean under the same draws, and is taken off; what is left
    is the mean covariance of two runs. By chance it may be below zero.

    Args:
        metric: what is computed.
        runs: the same items, as S seeds predicted them.
        draws: resamples.
        seed: of the resamples.
        groups: int64 [N], items that are drawn together.
    """
    units, rng, parts = units_of(runs, groups), np.random.default_rng(seed), []
    for size in chunks(draws, max(map(len, runs))):
        drawn = units.resamples(size, rng)
        rows = [draw_values(metric, r, units.weights(drawn, side)) for side, r in enumerate(runs)]
        parts.append(np.stack(rows))
    values = np.concatenate(parts, axis=1)
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.shape[1] < 2:
        return math.nan
    mean = values.mean(axis=0)
    whole = float(mean.var(ddof=1))
    if len(runs) < 2:
        return whole
    apart = float((values - mean).var(axis=1, ddof=1).sum()) / (len(runs) - 1)
    return whole - apart / len(runs)
