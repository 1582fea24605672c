"""How far machine measures and people's scores of the same writings go together.

Two questions, which have different answers:

- over **writings**: does a measure tell the better texts from the worse ones?
- over **writers**: does it put writers in the order in which people put them?

Spearman's rho and Kendall's tau-b, ties at their mean rank. What is drawn for intervals is the
prompt, with all that every writer wrote to it, since texts to one prompt are alike; the ends are
percentiles on Fisher's scale, drawn out as Student's t is. Over writers the interval is of these
writers: it says how far other prompts would move their order, not how other writers would fall out.
Where writers are nearer to one another than so many prompts can tell, chance mixes their order and
pulls value and interval towards 0, away from what endless prompts would give: the interval is then
wide, and holds that less often than it says (81 % and 51 % in simulations with six and five writers
a third of a standard error apart; 96 to 100 % where they are further apart).

Legend: N writings, P prompts, W writers, D draws.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from gradus.metrics.base import Metric
from gradus.metrics.correlation import correlation, ranks
from gradus.metrics.means import MeanMetric
from gradus.metrics.ratios import RatioMetric
from gradus.metrics.writings import WritingMetric, Writings
from gradus.records import Record
from gradus.stats.draws import CHUNK, chunks, draw_values, percentiles, resamples, student

Method = Literal["spearman", "kendall"]
Over = Literal["writings", "writers"]

METHODS: Final[tuple[Method, ...]] = ("spearman", "kendall")
FEWEST: Final = 3
"""Fewer writings or writers than this have no correlation worth the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation(Record):
    """How far one measure and one score go together.

    Attributes:
        measure: name of the machine measure.
        score: name of what people (or a judge) said, e.g. ``panel_fluency``.
        over: what is ranked, ``writings`` or ``writers``.
        method: ``spearman`` (rho) or ``kendall`` (tau-b).
        value: from -1 to 1; None where either side doesn't vary, or too few have both.
        ci_low, ci_high: two-sided interval; None where it bounds nothing.
        level: of the interval.
        n: number of writings, or of writers, that have both numbers.
        prompts: number of prompts that were drawn.
        direction: of the measure: where lower is better, a good measure's correlation is negative.
    """

    measure: str
    score: str
    over: Over
    method: Method
    value: float | None
    ci_low: float | None
    ci_high: float | None
    level: float
    n: int
    prompts: int
    direction: str = "higher"


def correlations(
    writers: Mapping[str, Writings],
    measures: Sequence[Metric],
    scores: Sequence[Metric],
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[Correlation, ...]:
    """Every measure with every score, by both methods, over writings and over writers.

    Args:
        writers: what each wrote to the same prompts, with the columns of measures and scores.
        measures: metrics of writings.
        scores: metrics too, of what people or a judge said.
        level: of the intervals.
        draws: D.
        seed: of what is drawn; the same prompts are drawn for all.

    A writer without the columns of both is left out. Over writings, each needs both numbers; a
    measure that only a set of texts has (`divergence`, `distinct_2`) is given over writers alone,
    and only of those who wrote equally many texts to a prompt.
    """
    drawn = _Drawn(writers, level, draws, seed)
    found: list[Correlation] = []
    for score in scores:
        for measure in measures:
            kind = type(measure)
            both = [
                name
                for name, of in writers.items()
                if kind.asked_of(of) and type(score).asked_of(of)
            ]
            if _is_of_set(measure) or _is_of_set(score):
                both = _alike(writers, both)
            for method in METHODS:
                overs: dict[Over, _Found] = {}
                if _has_each(measure) and _has_each(score):
                    overs["writings"] = drawn.over_writings(measure, score, both, method)
                overs["writers"] = drawn.over_writers(measure, score, both, method)
                found += [
                    Correlation(
                        measure=measure.name,
                        score=score.name,
                        over=over,
                        method=method,
                        value=value,
                        ci_low=low,
                        ci_high=high,
                        level=level,
                        n=n,
                        prompts=drawn.count,
                        direction=measure.direction,
                    )
                    for over, (value, low, high, n) in overs.items()
                ]
    return tuple(found)


_Found = tuple[float | None, float | None, float | None, int]


class _Drawn:
    """Prompts as they are, and drawn D times: float64 [1 + D, P]."""

    def __init__(
        self, writers: Mapping[str, Writings], level: float, draws: int, seed: int
    ) -> None:
        self.writers, self.level = writers, level
        prompts = dict.fromkeys(prompt for of in writers.values() for prompt in of.prompt_ids())
        place = {prompt: i for i, prompt in enumerate(prompts)}
        self.count = len(place)
        self.prompt = {
            name: np.array([place[one] for one in of.prompt_ids()], dtype=np.int64)
            for name, of in writers.items()
        }
        rng = np.random.default_rng(seed)
        sizes = chunks(draws, max(self.count, 1)) if self.count else ()
        self.weights = np.concatenate(
            [np.ones((1, self.count)), *(resamples(self.count, size, rng) for size in sizes)]
        )
        self._values: dict[tuple[str, str], np.ndarray] = {}

    def over_writers(
        self, measure: Metric, score: Metric, names: Sequence[str], method: Method
    ) -> _Found:
        """Correlation of the writers' values, and how many writers have both."""
        sides = [(self._of_writer(measure, name), self._of_writer(score, name)) for name in names]
        known = [(one, two) for one, two in sides if np.isfinite(one[0]) and np.isfinite(two[0])]
        if len(known) < FEWEST:
            return None, None, None, len(known)
        one, two = (np.stack(side, axis=1) for side in zip(*known, strict=True))
        return *self._ends(rowwise(one, two, method), self.count), len(known)

    def _of_writer(self, metric: Metric, name: str) -> np.ndarray:
        """The metric's values [1 + D] of one writer."""
        if (metric.name, name) not in self._values:
            of, prompt = self.writers[name], self.prompt[name]
            size = max(1, CHUNK // max(len(of), 1))
            parts = [
                draw_values(metric, of, self.weights[start : start + size, prompt])
                for start in range(0, len(self.weights), size)
            ]
            self._values[metric.name, name] = np.concatenate(parts)
        return self._values[metric.name, name]

    def over_writings(
        self, measure: Metric, score: Metric, names: Sequence[str], method: Method
    ) -> _Found:
        """Correlation of the texts' numbers, and how many texts have both."""
        if not names:
            return None, None, None, 0
        one, two = (
            np.concatenate([_per_text(metric, self.writers[name]) for name in names])
            for metric in (measure, score)
        )
        prompt = np.concatenate([self.prompt[name] for name in names])
        known = np.isfinite(one) & np.isfinite(two)
        one, two, prompt = one[known], two[known], prompt[known]
        if len(one) < FEWEST:
            return None, None, None, len(one)
        size = max(1, CHUNK // len(one))
        parts = [
            rank_correlation(one, two, self.weights[start : start + size, prompt], method)
            for start in range(0, len(self.weights), size)
        ]
        return *self._ends(np.concatenate(parts), len(np.unique(prompt))), len(one)

    def _ends(
        self, values: np.ndarray, prompts: int
    ) -> tuple[float | None, float | None, float | None]:
        """Value and interval, on Fisher's scale, whose spread is nearly constant.

        A correlation of 1 or -1 is infinitely far there, so draws are kept a little inside.
        """
        value, drawn = float(values[0]), values[1:]
        if not math.isfinite(value):
            return None, None, None
        if prompts < 2 or not np.isfinite(drawn).any():
            return value, None, None
        inside = 1.0 - 1e-9
        low, high = percentiles(np.arctanh(np.clip(drawn, -inside, inside)), self.level)
        middle = math.atanh(min(max(value, -inside), inside))
        longer = student(prompts, self.level)
        low, high = middle - longer * (middle - low), middle + longer * (high - middle)
        return value, min(math.tanh(low), value), max(math.tanh(high), value)


def _has_each(metric: Metric) -> bool:
    """Whether every text has the number by itself, not only all of them together."""
    return isinstance(metric, RatioMetric | MeanMetric) and not _is_of_set(metric)


def _is_of_set(metric: Metric) -> bool:
    return isinstance(metric, WritingMetric) and metric.of_set


def _alike(writers: Mapping[str, Writings], names: Sequence[str]) -> list[str]:
    """The writers with as many texts to a prompt as most of them have; of a tie the first's."""
    each = Counter(writers[name].each for name in names)
    return [name for name in names if writers[name].each == max(each, key=each.__getitem__)]


def _per_text(metric: Metric, items: Writings) -> np.ndarray:
    """The metric of each text by itself, up to a rising function: float64 [N], NaN for none."""
    if isinstance(metric, RatioMetric):
        above, below = metric.parts(items)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(below > 0, above / below, np.nan)
    assert isinstance(metric, MeanMetric)
    return np.asarray(metric.per_item(items), np.float64)


def rank_correlation(
    one: np.ndarray, two: np.ndarray, weights: np.ndarray, method: Method
) -> np.ndarray:
    """Rank correlations [D] of numbers [N] under whole-number weights [D, N].

    A weight of 2 counts an item twice, as a bootstrap does. NaN where either side doesn't vary.
    """
    if method == "spearman":
        return correlation(ranks(one, weights), ranks(two, weights), weights)
    first, second = (np.sign(v[:, None] - v[None, :]) for v in (one, two))
    together, of_one, of_two = (
        np.einsum("di,di->d", weights @ signs, weights)
        for signs in (first * second, first**2, second**2)
    )
    return _tau(together, of_one, of_two)


def rowwise(one: np.ndarray, two: np.ndarray, method: Method) -> np.ndarray:
    """Rank correlations [D] of each row of numbers [D, W]; NaN where either side doesn't vary."""
    known = np.isfinite(one).all(axis=1) & np.isfinite(two).all(axis=1)
    first, second = (np.sign(v[:, :, None] - v[:, None, :]) for v in (one, two))
    if method == "kendall":
        pairs = (first * second, first**2, second**2)
        together, of_one, of_two = (signs.sum(axis=(1, 2)) for signs in pairs)
    else:
        # Half the sum of signs against all others is the mean rank less a constant.
        x, y = first.sum(axis=2), second.sum(axis=2)
        together, of_one, of_two = ((u * v).sum(axis=1) for u, v in ((x, y), (x, x), (y, y)))
    return np.where(known, _tau(together, of_one, of_two), np.nan)


def _tau(together: np.ndarray, of_one: np.ndarray, of_two: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        value = together / np.sqrt(of_one * of_two)
    return np.where((of_one > 0) & (of_two > 0), np.clip(value, -1.0, 1.0), np.nan)
