"""How good writers are by the scores of a panel, and what the raters themselves are like.

A score is the writer's quality, plus the rater's leniency, plus what prompt, text, the rater's
taste and chance add. Qualities and leniencies are fitted together by least squares, so that a
writer doesn't profit from having met lenient raters; leniencies add up to 0, which makes a quality
the mean score that these raters would give. Its interval takes prompts and raters for samples
(`gradus.stats.crossed`): it is about raters like these reading other texts of the same writer.
Between two writers leniency cancels, so a difference is far surer than either quality.

Legend: M ratings, W writers, R raters, P prompts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import helmert

from gradus.stats.crossed import FromRaters, Spread, crossed

SMALLEST: Final = 1.0
"""Points. No estimate is surer than if one prompt might as well have been scored so differently:
scores that are all the same don't prove that no other would ever come."""


@dataclass(frozen=True, slots=True)
class Scores:
    """M scores, each of one text.

    Attributes:
        values: float64 [M].
        writers: int64 [M], from 0.
        raters: int64 [M], from 0.
        prompts: int64 [M], from 0.
        texts: int64 [M], from 0; raters who judged the same text agree on it.
    """

    values: np.ndarray
    writers: np.ndarray
    raters: np.ndarray
    prompts: np.ndarray
    texts: np.ndarray

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its two-sided interval; ends that nothing bounds are infinite."""

    value: float
    low: float
    high: float

    def within(self, least: float, most: float) -> Estimate:
        """With ends on a scale that no value leaves; unbounded ones stay so."""
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            return self
        low, high = max(self.low, least), min(self.high, most)
        return Estimate(self.value, min(low, self.value), max(high, self.value))


@dataclass(frozen=True, slots=True)
class Rater:
    """What one rater is like.

    Attributes:
        ratings: how many scores.
        leniency: by how much the rater scores higher (lenient) or lower (severe) than the panel's
            mean rater on the same writers, with interval.
        spread: standard deviation of the rater's scores; a rater who always says 3 has 0.
        consistency: correlation (Pearson) with the mean of the others on the same texts, their
            leniencies taken out; NaN with fewer than three such texts or no variance.
    """

    ratings: int
    leniency: Estimate
    spread: float
    consistency: float


class Quality:
    """Writers' qualities and raters' leniencies, from scores.

    Attributes:
        values: float64 [W], the mean score from the panel's mean rater; NaN for writers without a
            score.
        leniencies: float64 [R], relative to the mean rater's.
        linked: whether the design tells writers and raters apart; where each writer had raters of
            its own, it doesn't, and nothing is bounded.
    """

    def __init__(self, scores: Scores, writers: int, raters: int, *, level: float = 0.95) -> None:
        """Fit them; intervals are two-sided at `level`."""
        self.scores, self.level = scores, level
        seen = np.bincount(scores.writers, minlength=writers) > 0
        rated = np.bincount(scores.raters, minlength=raters) > 0
        design = _design(scores, seen, rated)
        inverse = np.linalg.pinv(design.T @ design, rcond=1e-10)
        self.linked = np.linalg.matrix_rank(design) == design.shape[1]
        solver = design @ inverse  # [M, columns]: how each score moves each coefficient
        fitted = solver.T @ scores.values
        count = int(seen.sum())
        self.values = np.full(writers, np.nan)
        self.values[seen] = fitted[:count]
        effects = _effects(rated)
        self.leniencies = np.full(raters, np.nan)
        self.leniencies[rated] = effects @ fitted[count:]
        self._weights = np.full((len(scores), writers), np.nan)
        self._weights[:, seen] = solver[:, :count]
        self._rater_weights = np.full((len(scores), raters), np.nan)
        self._rater_weights[:, rated] = solver[:, count:] @ effects.T
        self._parts = self._pooled(self._weights[:, seen]) if self.linked else None

    def of(self, writer: int) -> Estimate:
        """A writer's quality."""
        weights, value = self._weights[:, writer], float(self.values[writer])
        return self._estimate(weights, value, lambda: self._spread(weights, self._alone))

    def difference(self, one: int, other: int) -> Estimate:
        """How much better `one` is than `other`."""
        weights = self._weights[:, one] - self._weights[:, other]
        value = float(self.values[one] - self.values[other])
        return self._estimate(weights, value, lambda: self._spread(weights, self._between))

    def adjusted(self) -> np.ndarray:
        """The scores with the raters' leniencies taken out: float64 [M]."""
        return np.asarray(self.scores.values - self.leniencies[self.scores.raters])

    def rater(self, number: int) -> Rater:
        """What a rater is like."""
        mine = self.scores.raters == number
        weights = self._rater_weights[:, number]
        leniency = self._estimate(
            weights, float(self.leniencies[number]), lambda: self._spread_of_rater(weights)
        )
        own = self.scores.values[mine]
        return Rater(
            ratings=int(mine.sum()),
            leniency=leniency,
            spread=float(own.std(ddof=1)) if len(own) > 1 else math.nan,
            consistency=self._consistency(mine),
        )

    def _estimate(
        self, weights: np.ndarray, value: float, spread: Callable[[], Spread]
    ) -> Estimate:
        if not math.isfinite(value):
            return Estimate(math.nan, math.nan, math.nan)
        used = np.abs(weights) > 1e-9
        if not self.linked or not used.any():
            return Estimate(value, -math.inf, math.inf)
        found, least = spread(), SMALLEST / len(np.unique(self.scores.prompts[used]))
        margin = float(found.margin(self.level, least**2)[0])
        return Estimate(value, value - margin, value + margin)

    def _spread(self, weights: np.ndarray, from_raters: Sequence[FromRaters]) -> Spread:
        """Of an estimate of writers; what leniencies add is part of its error."""
        return crossed(
            (weights * self._left())[:, None],
            np.abs(weights)[:, None],
            self.scores.prompts,
            self.scores.raters,
            from_raters,
        )

    def _spread_of_rater(self, weights: np.ndarray) -> Spread:
        """Of this rater on these writers: only the prompts are a sample."""
        left = self._left() - self.leniencies[self.scores.raters]
        moves, sizes = (weights * left)[:, None], np.abs(weights)[:, None]
        return crossed(moves, sizes, self.scores.prompts, None)

    def _left(self) -> np.ndarray:
        return np.asarray(self.scores.values - self.values[self.scores.writers])

    def _pooled(self, weights: np.ndarray) -> tuple[FromRaters, FromRaters] | None:
        """What raters add to the mean writer's quality, and to a contrast of unit length."""
        count, left = weights.shape[1], self._left()[:, None]

        def of(turned: np.ndarray) -> FromRaters | None:
            moves, sizes = (weights @ turned) * left, np.abs(weights) @ np.abs(turned)
            return FromRaters.pooled(moves, sizes, self.scores.prompts, self.scores.raters)

        leniency, taste = of(np.full((count, 1), 1 / count)), of(contrasts(count))
        return None if leniency is None or taste is None else (leniency, taste)

    @property
    def _alone(self) -> list[FromRaters]:
        """What raters add to one quality: leniency, and taste for this writer."""
        if self._parts is None:
            return []
        leniency, taste = self._parts
        apart = 1 - 1 / int(np.isfinite(self.values).sum())
        return [leniency.times(1, 1 - apart), taste.times(apart, apart)]

    @property
    def _between(self) -> list[FromRaters]:
        """What raters add to the difference of two."""
        return [] if self._parts is None else [self._parts[1].times(2)]

    def _consistency(self, mine: np.ndarray) -> float:
        adjusted, texts = self.adjusted(), self.scores.texts
        number = int(texts.max()) + 1
        sums = np.bincount(texts[~mine], weights=adjusted[~mine], minlength=number)
        counts = np.bincount(texts[~mine], minlength=number)
        shared = np.flatnonzero(mine & (counts[texts] > 0))
        others = sums[texts[shared]] / counts[texts[shared]]
        own = self.scores.values[shared]
        if len(shared) < 3 or not (np.ptp(own) > 0 and np.ptp(others) > 0):
            return math.nan
        return float(np.corrcoef(own, others)[0, 1])


def contrasts(number: int) -> np.ndarray:
    """Orthogonal contrasts of unit length (Helmert's): float64 [W, W - 1]."""
    return np.asarray(helmert(number).T)


def _effects(rated: np.ndarray) -> np.ndarray:
    """Leniencies of the raters that there are, from one fewer free numbers: they add up to 0."""
    number = int(rated.sum())
    return np.vstack([np.eye(number - 1), -np.ones((1, number - 1))])


def _design(scores: Scores, seen: np.ndarray, rated: np.ndarray) -> np.ndarray:
    """One column a writer, and one fewer than raters: float64 [M, W + R - 1]."""
    writer = np.cumsum(seen) - 1
    rater = np.cumsum(rated) - 1
    writers = np.eye(int(seen.sum()))[writer[scores.writers]]
    return np.hstack([writers, _effects(rated)[rater[scores.raters]]])
