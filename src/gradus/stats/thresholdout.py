"""Thresholdout: a hold-out that many questions may be asked of, one after the other.

Whoever looks at a hold-out, changes something and looks again fits the hold-out in the end. The
reusable hold-out (Dwork, Feldman, Hardt, Pitassi, Reingold and Roth 2015, Generalization in
adaptive data analysis and holdout reuse, figure 1; Science 349:636) shows itself only when it must:
while the data that one may look at freely (here dev.select) give about the value that the hold-out
(dev.gate) gives, the former is answered, and nothing is learnt of the hold-out but that. Only where
the two differ by more than a noisy threshold, the hold-out's own value is answered, with noise, and
that costs one of a budget.

What is added to the paper: answers from the hold-out are rounded to a grid. A transcript of m
questions is then one of few, so that a bound follows from counting them (the paper's description
length argument) which holds at any number of items; its own, from differential privacy, has
constants that are empty below some ten thousand items.

Questions are means over items of something in [0, 1].

Legend: m questions, B budget, n items of the hold-out, T threshold, sigma noise rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

GRID: Final = 0.01
"""Steps of the answers that come from the hold-out."""


@dataclass(frozen=True, slots=True)
class Settings:
    """T and sigma are shares of the range of a question, B counts answers from the hold-out."""

    threshold: float = 0.04
    sigma: float = 0.002
    budget: int = 20


@dataclass(frozen=True, slots=True)
class State:
    """How often was asked and how often the hold-out answered; the noise on T in force."""

    asked: int = 0
    spent: int = 0
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered, and whether it came from the hold-out; None once the budget is spent."""

    value: float | None
    held: bool


def begin(settings: Settings, rng: np.random.Generator) -> State:
    """The state before any question: only the threshold's noise is drawn."""
    return State(noise=float(rng.laplace(scale=2 * settings.sigma)))


def ask(
    settings: Settings, state: State, select: float, gate: float, rng: np.random.Generator
) -> tuple[Answer, State]:
    """Answer one question, whose value is `select` on the free data and `gate` on the hold-out.

    Once B answers have come from the hold-out, none is given any more: that two values agree would
    be told for ever.
    """
    if state.spent >= settings.budget:
        return Answer(None, False), state
    asked = state.asked + 1
    least = settings.threshold + state.noise + rng.laplace(scale=4 * settings.sigma)
    if abs(gate - select) <= least:
        return Answer(select, False), State(asked, state.spent, state.noise)
    noisy = gate + rng.laplace(scale=settings.sigma)
    value = min(1.0, max(0.0, round(noisy / GRID) * GRID))
    noise = float(rng.laplace(scale=2 * settings.sigma))
    return Answer(value, True), State(asked, state.spent + 1, noise)


def each(level: float) -> float:
    """The beta of one answer's bound, of which any two then hold together at `level`.

    A gate between two answers rests on both bounds. Each holds for its answer and all before it,
    but the two are stated at different times and so may fail apart: half for each (Bonferroni).

    >>> round(each(0.95), 6)
    0.025
    """
    return (1 - level) / 2


def bound(settings: Settings, asked: int, n: int, *, beta: float = 0.05) -> float:
    """How far any of the first `asked` answers may be from the truth, but with probability `beta`.

    The truth is the mean over the population that the n items were drawn from. Whatever the
    questions were, chosen by all answers before: of m questions at most B come from the hold-out,
    with one of 1 / `GRID` + 1 values, so there are sum_j C(m, j) (1 / GRID + 1)^j transcripts, each
    with m questions; all of them are near the truth by Hoeffding's inequality with a union bound
    (half of beta). The rest is what T lets pass, and noise and rounding (the other half).

    >>> bound(Settings(), 10, 10_000) < bound(Settings(), 100, 10_000) < bound(Settings(), 100, 999)
    True
    """
    m, most, part = max(asked, 1), min(settings.budget, max(asked, 1)), beta / 6
    terms = [_ln_choose(m, j) + j * math.log(1 / GRID + 1) for j in range(most + 1)]
    greatest = max(terms)
    transcripts = greatest + math.log(sum(math.exp(t - greatest) for t in terms))
    sampling = math.sqrt((math.log(2 * m / (beta / 2)) + transcripts) / (2 * n))
    passed = settings.threshold + settings.sigma * (
        2 * _above(0.5 * (settings.budget + 1) / part) + 4 * _above(0.5 * m / part)
    )
    answered = settings.sigma * _above(settings.budget / part) + GRID / 2
    return sampling + max(passed, answered)


def _ln_choose(m: int, j: int) -> float:
    return math.lgamma(m + 1) - math.lgamma(j + 1) - math.lgamma(m - j + 1)


def _above(value: float) -> float:
    return max(0.0, math.log(value))
