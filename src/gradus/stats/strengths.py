"""Strengths of writers from pairs: who is preferred to whom, how often, and how surely.

The model is Bradley and Terry's (1952): the odds that one writer is preferred to another are
exp(strength - strength'). Ties are Davidson's (1970), what is shown first may have an advantage
(Davidson and Beaver 1977). With f shown first and s second, the three answers have probabilities in
the ratio

    exp((d + g) / 2)  :  exp(-(d + g) / 2)  :  exp(t),    d = strength_f - strength_s

so that exp(t) is Davidson's nu. Strengths add up to 0: 0 is the mean writer.

A writer who was always preferred has no finite estimate. So every two writers who met are given a
further comparison's worth of even answers, 1 / W each way, which takes off the estimate's bias as
Firth (1993) does where there are two writers. `pseudo=0` gives the plain maximum.

The intervals take prompts and raters for samples (`gradus.stats.crossed`); they aren't shorter than
if all answers were independent.

Legend: M answers, W writers, K parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from gradus.errors import DataError
from gradus.stats.crossed import FromRaters, crossed
from gradus.stats.raters import Estimate, contrasts

STEPS = 100
ENOUGH = 1e-10


@dataclass(frozen=True, slots=True)
class Answers:
    """M answers to the question which of two texts is better.

    Attributes:
        first: int64 [M], the writer shown first, from 0.
        second: int64 [M], the other.
        outcomes: float64 [M, 3], weights of first better, second better, neither; each row sums
            to 1 (one of them is 1 where a person answered once).
        raters: int64 [M], from 0.
        prompts: int64 [M], from 0.
    """

    first: np.ndarray
    second: np.ndarray
    outcomes: np.ndarray
    raters: np.ndarray
    prompts: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def outcomes(values: np.ndarray) -> np.ndarray:
    """Float64 [M, 3] from values [M]: 1 first better, 2 second, 0 neither.

    A value between 1 and 2 is shared between first and second.
    """
    second = np.clip(values - 1, 0, 1)
    tied = values < 1
    return np.stack(
        [np.where(tied, 0.0, 1 - second), np.where(tied, 0.0, second), tied.astype(float)], axis=1
    )


class Strengths:
    """The fitted model.

    Attributes:
        values: float64 [W], logarithms of odds; they add up to 0.
        first: logarithm of the odds that position adds to what is shown first.
        tie: logarithm of Davidson's nu; None where nobody found two texts equal.
    """

    def __init__(
        self,
        answers: Answers,
        writers: int,
        *,
        level: float = 0.95,
        pseudo: float | None = None,
        position: bool = True,
    ) -> None:
        """Fit it; intervals are two-sided at `level`.

        Args:
            answers: what the raters said.
            writers: how many there are.
            level: of the intervals.
            pseudo: answers each way that every two writers who met are given; None: 1 / W.
            position: whether what is shown first may have an advantage.

        Raises:
            DataError: the answers link no chain between some writers.
        """
        _check_linked(answers, writers)
        self.answers, self.level, self.writers = answers, level, writers
        self._pseudo = 1 / writers if pseudo is None else pseudo
        ties = bool((answers.outcomes[:, 2] > 0).any())
        self._contrast = _contrast(writers)
        self._rows = self._designs(ties, position)
        free, information = self._fit()
        count = writers - 1
        self._scale = np.zeros((writers + 2, len(free)))
        self._scale[:writers, :count] = self._contrast
        self._scale[writers, count] = float(position)
        if ties:
            self._scale[writers + 1, -1] = 1.0
        all_ = self._scale @ free
        self.values = all_[:writers]
        self.first = float(all_[writers])
        self.tie = float(all_[writers + 1]) if ties else None
        self._inverse = np.linalg.pinv(information)
        probable = self._probabilities(free)
        scores = np.einsum("mo,mok->mk", answers.outcomes - probable, self._rows)
        self._moves = scores @ self._inverse
        self._each = _information(probable, self._rows)
        self._taste = self._pooled()

    def of(self, writer: int) -> Estimate:
        """A writer's strength: the logarithm of the odds against the mean writer."""
        return self._estimate(np.eye(self.writers + 2)[writer], float(self.values[writer]))

    def difference(self, one: int, other: int) -> Estimate:
        """Logarithm of the odds that `one` is preferred to `other`, ties apart."""
        wanted = np.zeros(self.writers + 2)
        wanted[one], wanted[other] = 1.0, -1.0
        return self._estimate(wanted, float(self.values[one] - self.values[other]))

    def advantage(self) -> Estimate:
        """Logarithm of the odds that being shown first adds: 0 without a bias of position."""
        wanted = np.eye(self.writers + 2)[self.writers]
        return self._estimate(wanted, self.first, pooled=False)

    def _designs(self, ties: bool, position: bool) -> np.ndarray:
        """What each answer's logit rests on: float64 [M, 3, K]."""
        answers = self.answers
        apart = (self._contrast[answers.first] - self._contrast[answers.second]) / 2
        half = np.full((len(answers), 1), 0.5 if position else 0.0)
        toward = np.hstack([apart, half, *([np.zeros_like(half)] if ties else [])])
        equal = np.zeros_like(toward)
        if ties:
            equal[:, -1] = 1.0
        return np.stack([toward, -toward, equal], axis=1)

    def _probabilities(self, free: np.ndarray) -> np.ndarray:
        logits = self._rows @ free
        if self.tieless:
            logits[:, 2] = -np.inf
        logits -= logits.max(axis=1, keepdims=True)
        odds = np.exp(logits)
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    @property
    def tieless(self) -> bool:
        """Whether nobody found two texts equal."""
        return not (self.answers.outcomes[:, 2] > 0).any()

    def _fit(self) -> tuple[np.ndarray, np.ndarray]:
        """Newton's method with halved steps: parameters [K] and information [K, K]."""
        free = np.zeros(self._rows.shape[2])
        value = self._objective(free)
        information = np.eye(len(free))
        for _ in range(STEPS):
            probable = self._probabilities(free)
            slope = np.einsum("mo,mok->k", self.answers.outcomes - probable, self._rows)
            information = _information(probable, self._rows).sum(axis=0)
            added = self._even(free)
            slope, information = slope + added[0], information + added[1]
            step = np.linalg.pinv(information) @ slope
            if float(slope @ step) < ENOUGH:
                break
            size = 1.0
            while size > ENOUGH and self._objective(free + size * step) < value:
                size /= 2
            free = free + size * step
            value = self._objective(free)
        return free, information

    def _objective(self, free: np.ndarray) -> float:
        outcomes, probable = self.answers.outcomes, self._probabilities(free)
        known = outcomes > 0
        with np.errstate(divide="ignore"):
            likely = float((outcomes[known] * np.log(probable[known])).sum())
        apart = self._met() @ free
        return likely - 2 * self._pseudo * float(np.logaddexp(apart, -apart).sum())

    def _met(self) -> np.ndarray:
        """One row for each two writers who met, which gives half their difference: [.., K]."""
        pairs = np.unique(np.sort(np.stack([self.answers.first, self.answers.second], 1)), axis=0)
        rows = np.zeros((len(pairs), self._rows.shape[2]))
        one, other = self._contrast[pairs[:, 0]], self._contrast[pairs[:, 1]]
        rows[:, : self.writers - 1] = (one - other) / 2
        return rows

    def _even(self, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Slope and information of the even answers, one each way for each two who met."""
        rows = self._met()
        leaning = np.tanh(rows @ free)
        bent = 2 * self._pseudo * (1 - leaning**2)
        return -2 * self._pseudo * leaning @ rows, (rows.T * bent) @ rows

    def _estimate(self, wanted: np.ndarray, value: float, *, pooled: bool = True) -> Estimate:
        if len(self.answers) < 2:
            return Estimate(value, -math.inf, math.inf)
        free = wanted @ self._scale
        square = float(wanted @ wanted - wanted.sum() ** 2 / self.writers)
        spread = crossed(
            *self._of(wanted[:, None]),
            self.answers.prompts,
            self.answers.raters,
            [self._taste.times(square)] if pooled and self._taste else [],
        )
        least = float(free @ self._inverse @ free)
        margin = float(spread.margin(self.level, least)[0])
        return Estimate(value, value - margin, value + margin)

    def _of(self, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Moves and weights [M, .] of combinations [W + 2, .] of what was fitted."""
        free = self._scale.T @ wanted
        moves, directions = self._moves @ free, self._inverse @ free
        weights = np.einsum("kn,mkl,ln->mn", directions, self._each, directions, optimize=True)
        return moves - moves.mean(axis=0), np.maximum(weights, 0)

    def _pooled(self) -> FromRaters | None:
        """Raters' tastes, from all differences between writers together."""
        turned = np.vstack([contrasts(self.writers), np.zeros((2, self.writers - 1))])
        return FromRaters.pooled(*self._of(turned), self.answers.prompts, self.answers.raters)


def win_shares(answers: Answers, writers: int, *, level: float = 0.95) -> list[Estimate]:
    """How often each writer is preferred to those whom it met, ties counted as half."""
    found = [_Won.of(answers, writer, None) for writer in range(writers)]
    met = [won for won in found if won is not None]
    moves = np.stack([won.moves for won in met], axis=1)
    weights = np.stack([won.weights for won in met], axis=1)
    taste = FromRaters.pooled(moves, weights, answers.prompts, answers.raters)
    # Shares add up to a constant, so that one fewer are free.
    free = 1 - 1 / len(met)
    parts = [] if taste is None else [FromRaters(taste.variance, taste.freedom * free)]
    return [won.estimate(answers, level, parts) if won else _UNDEFINED for won in found]


def win_share(answers: Answers, one: int, other: int, *, level: float = 0.95) -> Estimate:
    """How often `one` is preferred to `other`, ties counted as half; NaN where they never met."""
    won = _Won.of(answers, one, other)
    return won.estimate(answers, level) if won else _UNDEFINED


_UNDEFINED = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class _Won:
    """What a writer won, on the logistic scale, which has no ends.

    Attributes:
        share: of the answers, ties counted as half.
        number: of answers.
        moves: float64 [M], how far each answer moves the logit of the share.
        weights: float64 [M].
    """

    share: float
    number: int
    moves: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, answers: Answers, one: int, other: int | None) -> _Won | None:
        met = (answers.first == one) | (answers.second == one)
        if other is not None:
            met &= (answers.first == other) | (answers.second == other)
        number = int(met.sum())
        if not number:
            return None
        won = np.where(answers.first == one, answers.outcomes[:, 0], answers.outcomes[:, 1])
        won = won + answers.outcomes[:, 2] / 2
        share, weights = float(won[met].mean()), met / number
        inner = _inner(share, number)
        return cls(share, number, weights * (won - share) / (inner * (1 - inner)), weights)

    def estimate(
        self, answers: Answers, level: float, from_raters: Sequence[FromRaters] = ()
    ) -> Estimate:
        """The share with its interval, not shorter than if all answers were independent."""
        spread = crossed(
            self.moves[:, None],
            self.weights[:, None],
            answers.prompts,
            answers.raters,
            from_raters,
        )
        inner = _inner(self.share, self.number)
        least = 1 / (self.number * inner * (1 - inner))
        margin, middle = float(spread.margin(level, least)[0]), logit(inner)
        low, high = float(expit(middle - margin)), float(expit(middle + margin))
        return Estimate(self.share, min(low, self.share), max(high, self.share))


def _inner(share: float, number: int) -> float:
    """The share with half a win and half a loss added, so that it has a logit."""
    return (share * number + 0.5) / (number + 1)


def _contrast(writers: int) -> np.ndarray:
    """Strengths that add up to 0 from one fewer free numbers: float64 [W, W - 1]."""
    return np.vstack([np.eye(writers - 1), -np.ones((1, writers - 1))])


def _information(probable: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Each answer's: the covariance of `rows` [M, 3, K] under the probabilities: [M, K, K]."""
    mean = np.einsum("mo,mok->mk", probable, rows)
    whole = np.einsum("mo,mok,mol->mkl", probable, rows, rows)
    return np.asarray(whole - mean[:, :, None] * mean[:, None, :])


def _check_linked(answers: Answers, writers: int) -> None:
    """Every writer must be reached from every other by writers who met."""
    near = np.eye(writers, dtype=bool)
    near[answers.first, answers.second] = near[answers.second, answers.first] = True
    for _ in range(writers):
        near = near @ near
    if not near.all():
        raise DataError(
            "the pairs don't link all writers, so their strengths have no common scale: "
            "have more pairs rated"
        )
