"""How sure an estimate is that rests on ratings of many texts by few raters.

Ratings are crossed: those of one prompt's texts have the prompt in common, those of one rater the
rater, and an estimate that shall hold for other prompts and other raters must take both for
samples. The error of an estimate is a weighted sum over cells (a prompt and a rater) of three
parts: the prompt's, the rater's and the cell's own. Their variances follow from three sums of
squares, over prompts, raters and cells, set equal to what they are on average (Henderson 1953;
what centring takes away is accounted for exactly, also where raters saw different texts). Degrees
of freedom are Satterthwaite's (1946), so that three raters have the long interval that three raters
deserve.

Legend: M ratings, K estimates, P prompts, R raters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

LEAST_FREEDOM: Final = 1.0
SEVERAL: Final = 1.5
"""As many evenly weighted prompts (raters) as there must be to speak of several."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How far K estimates stray.

    Attributes:
        variance: float64 [K], of each estimate's error; infinite where nothing bounds it.
        freedom: float64 [K], its degrees of freedom.
    """

    variance: np.ndarray
    freedom: np.ndarray

    def margin(self, level: float) -> np.ndarray:
        """Half the length of the two-sided intervals at `level`: float64 [K]."""
        with np.errstate(invalid="ignore"):
            far = stats.t.ppf((1 + level) / 2, self.freedom)
        return np.asarray(np.where(np.isfinite(self.variance), far * self.deviation, np.inf))

    @property
    def deviation(self) -> np.ndarray:
        """Standard errors, float64 [K]."""
        return np.asarray(np.sqrt(self.variance))


def crossed(
    moves: np.ndarray, weights: np.ndarray, prompts: np.ndarray, raters: np.ndarray | None
) -> Spread:
    """The spread of K estimates of which rating m is responsible for moves[m, k].

    Args:
        moves: float64 [M, K], weight of a rating in the estimate times its residual; each column
            sums to 0.
        weights: float64 [M, K], how much of the estimate rests on a rating, 0 or more.
        prompts: int64 [M].
        raters: int64 [M]; None takes the raters for the only ones that matter. So does a single
            rater.
    """
    _, prompt = np.unique(prompts, return_inverse=True)
    rater = np.zeros_like(prompt)
    if raters is not None:
        _, rater = np.unique(raters, return_inverse=True)
    shape = (int(prompt.max()) + 1, int(rater.max()) + 1)
    cell = prompt * shape[1] + rater
    found = [
        _spread(_table(moves[:, k], cell, shape), _table(weights[:, k], cell, shape))
        for k in range(moves.shape[1])
    ]
    return Spread(np.array([v for v, _ in found]), np.array([f for _, f in found]))


def _table(values: np.ndarray, cell: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(cell, weights=values, minlength=shape[0] * shape[1]).reshape(shape)


def _spread(moves: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Variance and degrees of freedom from moves and weights by cell, both [P, R]."""
    total = float(weights.sum())
    if not total > 0:
        return np.inf, LEAST_FREEDOM
    share = weights / total
    prompts, raters = share.sum(axis=1), share.sum(axis=0)
    many = 1 / float((prompts**2).sum()), 1 / float((raters**2).sum())
    if many[0] < SEVERAL and many[1] < SEVERAL:
        return np.inf, LEAST_FREEDOM
    sums = np.array(
        [
            (moves.sum(axis=1) ** 2).sum(),
            (moves.sum(axis=0) ** 2).sum(),
            (moves**2).sum(),
        ]
    )
    # What a unit of each part's variance adds to the error's.
    adds = np.array([(prompts**2).sum(), (raters**2).sum(), (share**2).sum()])
    parts = _parts(sums, _expected(share, prompts, raters), many)
    by_prompt, by_rater, own = parts * adds
    variance = float(by_prompt + by_rater + own)
    if not variance > 0:
        return 0.0, max(many[0] - 1, LEAST_FREEDOM)
    # The mean squares that the variance is put together from, each with its own freedom.
    left = (max(many[0] - 1, LEAST_FREEDOM), max(many[1] - 1, LEAST_FREEDOM))
    known = by_prompt + own, by_rater + own if many[1] >= SEVERAL else 0.0, own
    unsure = sum(
        part**2 / free for part, free in zip(known, (*left, left[0] * left[1]), strict=True)
    )
    return variance, max(float(variance**2 / unsure), LEAST_FREEDOM)


def _parts(sums: np.ndarray, expected: np.ndarray, many: tuple[float, float]) -> np.ndarray:
    """The variances of prompts, raters and cells, none below 0.

    With one rater a prompt and its cell are the same, and so the other way round. Parts that would
    be negative are 0, and the others those that fit best without them.
    """
    open_ = [0] if many[1] < SEVERAL else [1] if many[0] < SEVERAL else [0, 1, 2]
    parts = np.zeros(3)
    while open_:
        solved = np.linalg.lstsq(expected[np.ix_(open_, open_)], sums[open_], rcond=1e-9)[0]
        if (solved >= 0).all():
            parts[open_] = solved
            break
        del open_[int(solved.argmin())]
    return parts


def _expected(share: np.ndarray, prompts: np.ndarray, raters: np.ndarray) -> np.ndarray:
    """What a unit of each part's variance (columns) adds to each sum of squares (rows): [3, 3].

    The residuals are the parts less their weighted mean, which is what the estimate takes up.
    """
    square = share**2
    all_p, all_r, all_c = (prompts**2).sum(), (raters**2).sum(), square.sum()
    mixed = ((share - np.outer(prompts, raters)) ** 2).sum()

    def alone(of: np.ndarray, total: float) -> float:
        return float((of**2 - 2 * of**3).sum() + total**2)

    def of_cells(of: np.ndarray, own: np.ndarray) -> float:
        """Sums over prompts (or raters) of what the cells add."""
        return float(((1 - of) ** 2 * own + of**2 * (all_c - own)).sum())

    def in_cells(of: np.ndarray, total: float) -> float:
        """Sums over cells of what prompts (or raters, along the second axis) add."""
        return float((square * ((1 - of) ** 2 + total - of**2)).sum())

    return np.array(
        [
            [alone(prompts, all_p), mixed, of_cells(prompts, square.sum(axis=1))],
            [mixed, alone(raters, all_r), of_cells(raters, square.sum(axis=0))],
            [
                in_cells(prompts[:, None], all_p),
                in_cells(raters[None, :], all_r),
                float((square - 2 * share**3).sum() + all_c**2),
            ],
        ]
    )
