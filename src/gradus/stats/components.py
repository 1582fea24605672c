"""Where the spread of cross-validated values comes from: seeds, held-out items, training sets.

A value belongs to a cell, a fold of a repeat, and within it to a seed. By the nested analysis of
variance with the method of moments (Searle, Casella and McCulloch 1992, "Variance Components",
chapter 3; balanced, seeds within cells):

- **seeds**: the mean over cells of the variance over a cell's seeds. It holds what single seeds do
  with single items too.
- **folds**: the variance of the cells' means, less what the seeds leave in a mean: seeds / S. It is
  parted further into
  - **items**: which items happened to be held out: the variance that a bootstrap of a fold's items
    gives its value, averaged over cells, the seeds' values averaged as in the cell;
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
        raw_training: `training` before that.
        method: in words.
    """

    seeds: float
    folds: float
    items: float
    training: float
    raw_folds: float
    raw_training: float
    method: str = METHOD


def components(values: np.ndarray, items: np.ndarray | None = None) -> Components:
    """The components of values [C, S], and the items' variances [C] of the cells' means.

    With one seed, seeds can't be told from training sets: `seeds` is NaN and is part of `folds`.
    Cells with a value that is NaN are left out.
    """
    values = np.asarray(values, dtype=np.float64)
    kept = np.isfinite(values).all(axis=1)
    values = values[kept]
    cells, seeds_count = values.shape
    seeds = float(values.var(axis=1, ddof=1).mean()) if seeds_count > 1 and cells else math.nan
    if cells < 2:
        return Components(seeds, *(math.nan,) * 5)
    between = float(values.mean(axis=1).var(ddof=1))
    raw = between - (0.0 if math.isnan(seeds) else seeds / seeds_count)
    folds = max(raw, 0.0)
    of_items = math.nan if items is None else float(np.nanmean(np.asarray(items)[kept]))
    rest = raw - of_items
    training = rest if math.isnan(rest) else max(rest, 0.0)
    return Components(seeds, folds, of_items, training, raw, rest)


def item_variance(
    metric: Metric,
    runs: Sequence[Items],
    *,
    draws: int = 400,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> float:
    """The variance that drawing the items anew gives the mean over runs: a bootstrap's.

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
        parts.append(np.mean(rows, axis=0))
    values = np.concatenate(parts)
    values = values[np.isfinite(values)]
    return float(values.var(ddof=1)) if len(values) > 1 else math.nan
