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

from collections.abc import Sequence
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

    def margin(self, level: float, least: float = 0.0) -> np.ndarray:
        """Half the length of the two-sided intervals at `level`: float64 [K].

        `least` is a variance that isn't estimated, below which none can be; as a normal one it
        needs no longer interval for being known badly.
        """
        tail = (1 + level) / 2
        with np.errstate(invalid="ignore"):
            far = stats.t.ppf(tail, self.freedom) * self.deviation
        known = float(stats.norm.ppf(tail) * np.sqrt(least))
        return np.asarray(np.where(np.isfinite(self.variance), np.maximum(far, known), np.inf))

    @property
    def deviation(self) -> np.ndarray:
        """Standard errors, float64 [K]."""
        return np.asarray(np.sqrt(self.variance))


@dataclass(frozen=True, slots=True)
class FromRaters:
    """The raters' part of an estimate's error, known from more than this estimate.

    Three raters say little of how far raters differ about one difference between writers, but there
    are several differences, and raters differ about all of them.

    Attributes:
        variance: what raters add to the variance of the estimate.
        freedom: its degrees of freedom.
        share: of the estimate's variance, what this part stands for where there are several.
    """

    variance: float
    freedom: float
    share: float = 1.0

    @classmethod
    def pooled(
        cls, moves: np.ndarray, weights: np.ndarray, prompts: np.ndarray, raters: np.ndarray
    ) -> FromRaters | None:
        """The mean over K orthogonal contrasts of unit length; None where there is one rater.

        The arguments are those of `crossed`.
        """
        cells = _Cells.of(prompts, raters)
        found = [
            _Sums.of(cells.table(moves[:, k]), cells.table(weights[:, k]))
            for k in range(moves.shape[1])
        ]
        if not found or any(sums is None or min(sums.many) < SEVERAL for sums in found):
            return None
        known = [sums for sums in found if sums is not None]
        parts = np.mean([sums.parts(least=-np.inf) for sums in known], axis=0)
        left = float(sum(sums.many[1] - 1 for sums in known))
        return cls(max(float(parts[1]), 0.0), left)

    def times(self, square: float, share: float = 1.0) -> FromRaters:
        """Of a contrast whose squared length is `square`."""
        return FromRaters(self.variance * square, self.freedom, share)


def crossed(
    moves: np.ndarray,
    weights: np.ndarray,
    prompts: np.ndarray,
    raters: np.ndarray | None,
    from_raters: Sequence[FromRaters] = (),
) -> Spread:
    """The spread of K estimates of which rating m is responsible for moves[m, k].

    Args:
        moves: float64 [M, K], weight of a rating in the estimate times its residual; each column
            sums to 0.
        weights: float64 [M, K], how much of the estimate rests on a rating, 0 or more.
        prompts: int64 [M].
        raters: int64 [M]; None takes the raters for the only ones that matter. So does a single
            rater.
        from_raters: the raters' part of each estimate, where it is known from more than these.
    """
    cells = _Cells.of(prompts, raters)
    found = [
        _spread(cells.table(moves[:, k]), cells.table(weights[:, k]), from_raters)
        for k in range(moves.shape[1])
    ]
    return Spread(np.array([v for v, _ in found]), np.array([f for _, f in found]))


@dataclass(frozen=True, slots=True)
class _Cells:
    """Which cell a rating belongs to: int64 [M], and numbers of prompts and raters."""

    place: np.ndarray
    shape: tuple[int, int]

    @classmethod
    def of(cls, prompts: np.ndarray, raters: np.ndarray | None) -> _Cells:
        _, prompt = np.unique(prompts, return_inverse=True)
        rater = np.zeros_like(prompt)
        if raters is not None:
            _, rater = np.unique(raters, return_inverse=True)
        shape = (int(prompt.max()) + 1, int(rater.max()) + 1)
        return cls(prompt * shape[1] + rater, shape)

    def table(self, values: np.ndarray) -> np.ndarray:
        size = self.shape[0] * self.shape[1]
        return np.bincount(self.place, weights=values, minlength=size).reshape(self.shape)


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of squares of one estimate, and what is needed to take variances from them.

    Attributes:
        seen: over prompts, over raters, over cells: float64 [3].
        expected: what a unit of each part's variance (columns) adds to each: [3, 3].
        adds: what it adds to the variance of the estimate's error: [3].
        many: how many evenly weighted prompts and raters these are worth.
    """

    seen: np.ndarray
    expected: np.ndarray
    adds: np.ndarray
    many: tuple[float, float]

    @classmethod
    def of(cls, moves: np.ndarray, weights: np.ndarray) -> _Sums | None:
        """From tables [P, R]; None where nothing can be known."""
        total = float(weights.sum())
        if not total > 0:
            return None
        share = weights / total
        prompts, raters = share.sum(axis=1), share.sum(axis=0)
        many = 1 / float((prompts**2).sum()), 1 / float((raters**2).sum())
        if max(many) < SEVERAL:
            return None
        by_prompt, by_rater = moves.sum(axis=1), moves.sum(axis=0)
        return cls(
            np.array([(by_prompt**2).sum(), (by_rater**2).sum(), (moves**2).sum()]),
            _expected(share, prompts, raters),
            np.array([1 / many[0], 1 / many[1], (share**2).sum()]),
            many,
        )

    def parts(self, *, least: float = 0.0) -> np.ndarray:
        """What prompts, raters and cells add to the variance, none below `least`: [3].

        With one rater a prompt and its cell are the same, and so the other way round. Parts that
        would be less are 0, and the others those that fit best without them.
        """
        open_ = [0, 1, 2]
        if min(self.many) < SEVERAL:
            open_ = [0] if self.many[1] < SEVERAL else [1]
        found = np.zeros(3)
        while open_:
            rows = self.expected[np.ix_(open_, open_)]
            solved = np.linalg.lstsq(rows, self.seen[open_], rcond=1e-9)[0]
            if (solved >= least).all():
                found[open_] = solved
                break
            del open_[int(solved.argmin())]
        return np.asarray(found * self.adds)


def _spread(
    moves: np.ndarray, weights: np.ndarray, from_raters: Sequence[FromRaters]
) -> tuple[float, float]:
    """Variance and degrees of freedom from moves and weights by cell, both [P, R]."""
    sums = _Sums.of(moves, weights)
    if sums is None:
        return np.inf, LEAST_FREEDOM
    by_prompt, by_rater, own = (float(part) for part in sums.parts())
    prompts, raters = (max(many - 1, LEAST_FREEDOM) for many in sums.many)
    known = from_raters or [FromRaters(by_rater, raters)]
    variance = by_prompt + sum(part.variance for part in known) + own
    if not variance > 0:
        return 0.0, prompts
    # The mean squares that the variance is put together from, each with its own freedom; a part
    # is the difference of one as large as it and the cells' own.
    squares = [(by_prompt + own, prompts)]
    if sums.many[1] >= SEVERAL:
        squares += [(part.variance + own * part.share, part.freedom) for part in known]
        squares += [(own, prompts * raters)]
    unsure = sum(square**2 / free for square, free in squares)
    least = min(free for _, free in squares)
    return variance, max(variance**2 / unsure, least)


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
