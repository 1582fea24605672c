"""Populations whose truth is known, and how often an interval covers it.

A population is a large set of observations made by a model; its truth is the metric's value on all
of it, and a sample is drawn from it with replacement, so that the truth is exact. What a metric
`needs` decides which builder makes its population: `BUILDERS` has one for each need.

Legend: S items of the population, N of a sample, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradus.testing.writings import population

if TYPE_CHECKING:
    from gradus.metrics.base import Metric, Observed, Predictions
    from gradus.metrics.gaps import Gaps
    from gradus.metrics.labelsets import LabelSets
    from gradus.metrics.numbers import Numbers
    from gradus.metrics.options import Options
    from gradus.metrics.outcomes import Outcomes
    from gradus.metrics.replies import Replies
    from gradus.metrics.spansets import SpanSets
    from gradus.metrics.texts import Texts

SIZE = 200_000
TEXTS = 20_000
"""Texts with spans are kept one by one, so there are fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a population is like.

    Attributes:
        accuracy: share of items whose most probable label is right (for timings, unused).
        labels: how often each of the K labels is the true one; sums to 1.
        sharpness: what the logits of a calibrated model are multiplied by; above 1 is
            overconfident, 1 calibrated.
        size: items of the population.
    """

    accuracy: float = 0.9
    labels: tuple[float, ...] = (0.5, 0.5)
    sharpness: float = 1.0
    size: int = SIZE

    def __str__(self) -> str:
        shares = "/".join(f"{share:.2g}" for share in self.labels)
        return f"accuracy {self.accuracy:g}, labels {shares}, sharpness {self.sharpness:g}"


def classifier(world: World, rng: np.random.Generator) -> Predictions:
    """Predictions [S] of a Gaussian classifier: x ~ N(signal e_gold, 1), logits signal x + prior.

    At sharpness 1 its probabilities are the true ones; the signal is the one at which the share of
    right labels is the accuracy asked for. `parent_log_probs` are those of a model whose logits
    differ by noise, as an exact parent's from its quantised child's.
    """
    from gradus.metrics.base import Predictions

    k = len(world.labels)
    gold = rng.choice(k, size=world.size, p=world.labels)
    noise = rng.normal(size=(world.size, k))
    prior, rows = np.log(world.labels), np.arange(world.size)

    def logits(signal: float) -> np.ndarray:
        scores = signal * noise + prior
        scores[rows, gold] += signal * signal
        return scores

    low, high = 0.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        right = float(np.mean(logits(middle).argmax(axis=1) == gold))
        low, high = (middle, high) if right < world.accuracy else (low, middle)
    scores = world.sharpness * logits(high)
    parent = scores + rng.normal(scale=0.3, size=scores.shape)
    log_probs = _normalised(scores)
    names = tuple(str(label) for label in range(k))
    return Predictions(
        gold=gold,
        predicted=log_probs.argmax(axis=1),
        log_probs=log_probs,
        labels=names,
        parent_log_probs=_normalised(parent),
    )


def timings(world: World, rng: np.random.Generator) -> Observed:
    """Timings [S]: log-normal, one in twenty of them three times as long."""
    from gradus.metrics.base import Observed

    values = rng.lognormal(1.0, 0.2, world.size)
    values[rng.random(world.size) < 0.05] *= 3
    return Observed(latency_ms=values, throughput_texts_s=1000 / values)


def numbers(world: World, rng: np.random.Generator) -> Numbers:
    """Numbers [S] from a skewed distribution, predicted with `accuracy` as the correlation."""
    from gradus.metrics.numbers import Numbers

    gold = rng.gamma(4.0, 0.5, world.size)
    spread = np.sqrt(1 / world.accuracy**2 - 1)
    return Numbers(gold, gold + spread * rng.standard_t(8, world.size) / np.sqrt(8 / 6))


def label_sets(world: World, rng: np.random.Generator) -> LabelSets:
    """Sets of labels [S]: each label by itself, there as often as `labels` says.

    Each is decided as `classifier` decides between two, with the same sharpness, and wrong as often
    as the rarer answer times 1 - accuracy: at 0 only one answer would ever be given.
    """
    from gradus.metrics.labelsets import LabelSets

    columns = []
    for share in world.labels:
        pair = World(
            accuracy=1 - (1 - world.accuracy) * min(share, 1 - share),
            labels=(1 - share, share),
            sharpness=world.sharpness,
            size=world.size,
        )
        columns.append(classifier(pair, rng))
    return LabelSets(
        gold=np.stack([c.gold == 1 for c in columns], axis=1),
        predicted=np.stack([c.predicted == 1 for c in columns], axis=1),
        log_probs=np.stack([_second(c) for c in columns], axis=1),
        labels=tuple(str(label) for label in range(len(columns))),
    )


def _second(predictions: Predictions) -> np.ndarray:
    assert predictions.log_probs is not None
    return predictions.log_probs[:, 1]


def span_sets(world: World, rng: np.random.Generator) -> SpanSets:
    """Texts [S] with two spans on average, their types as often as `labels` says.

    `accuracy` is the share of true spans that are found. Texts differ in how hard they are, by a
    standard deviation of 1 in log-odds, so that the spans of one text are alike. A span that isn't
    found is missed, has another extent or another type, a third each; where one in ten is missed,
    two in a hundred more are invented.
    """
    from gradus.metrics.spansets import SpanSets
    from gradus.records import Span

    size, names = min(world.size, TEXTS), tuple(str(label) for label in range(len(world.labels)))
    hardness, low, high = rng.normal(size=size), -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        found = float(np.mean(1 / (1 + np.exp(-(middle + hardness)))))
        low, high = (middle, high) if found < world.accuracy else (low, middle)
    easy = 1 / (1 + np.exp(-(high + hardness)))
    counts, invented = rng.poisson(2, size), rng.poisson(0.4 * (1 - easy))
    gold: list[tuple[Span, ...]] = []
    predicted: list[tuple[Span, ...]] = []
    for text in range(size):
        types = rng.choice(len(names), counts[text] + invented[text], p=world.labels)
        fates = np.where(rng.random(len(types)) < easy[text], 3, rng.integers(0, 3, len(types)))
        true, said = [], []
        for at, (kind, fate) in enumerate(zip(types.tolist(), fates.tolist(), strict=True)):
            span = Span(10 * at, 10 * at + 5, names[kind])
            if at >= counts[text]:
                said.append(span)
                continue
            true.append(span)
            other = names[(kind + 1) % len(names)]
            if fate:
                end, label = span.end + (fate == 1), other if fate == 2 else span.label
                said.append(Span(span.start, end, label))
        gold.append(tuple(true))
        predicted.append(tuple(said))
    return SpanSets.of(gold, predicted, names)


def texts(world: World, rng: np.random.Generator) -> Texts:
    """Texts [S] of very different lengths, the long ones easier; `accuracy` of them greedy.

    Lengths are log-normal, a text's difficulty is gamma distributed, and the more there was to
    read before a token the likelier it is, as with windows over documents.
    """
    from gradus.metrics.texts import Texts

    size = world.size
    words = 1 + rng.poisson(rng.lognormal(2.0, 0.8, size))
    tokens = words + rng.poisson(0.3 * words)
    characters = words + rng.poisson(4.5 * words)
    rate = rng.gamma(20.0, 3.0 / 20.0, size) * (1 + 1 / np.sqrt(tokens))
    nats = -rng.gamma(tokens.astype(np.float64), rate)
    # Of each pair of texts the likelier one is more often greedy.
    rank = np.argsort(np.argsort(nats / tokens)) / max(size - 1, 1)
    greedy = rng.random(size) < np.clip(world.accuracy + 0.1 * (rank - 0.5), 0, 1)
    return Texts(nats, tokens, words, characters, characters + rng.poisson(0.02, size), greedy)


def gaps(world: World, rng: np.random.Generator) -> Gaps:
    """Texts [S] with gaps, `accuracy` of which are filled rightly; texts differ in difficulty."""
    from gradus.metrics.gaps import Gaps

    tokens = 1 + rng.poisson(rng.lognormal(3.0, 0.8, world.size))
    share = rng.beta(12 * world.accuracy, 12 * (1 - world.accuracy), world.size)
    rate = 0.5 + 4.0 * (1 - share)
    nats = -rng.gamma(tokens.astype(np.float64), rate)
    return Gaps(nats, tokens, rng.binomial(tokens, share))


def options(world: World, rng: np.random.Generator) -> Options:
    """Items [S] with as many options as `labels`, the right one chosen with `accuracy`."""
    from gradus.metrics.options import Options

    made = classifier(world, rng)
    assert made.log_probs is not None
    lengths = rng.integers(3, 30, made.log_probs.shape)
    # What all options of an item have in common changes no choice.
    return Options(made.gold, made.log_probs - rng.gamma(9.0, 1.0, (len(made), 1)), lengths)


def replies(world: World, rng: np.random.Generator) -> Replies:
    """Replies [S, 4,000 at most] that are their reference with `accuracy`, else lack some words."""
    from gradus.metrics.replies import Replies

    size = min(world.size, 4_000)
    written, wanted = [], []
    for length in rng.integers(2, 12, size):
        words = [f"word{i}" for i in rng.integers(0, 50, length)]
        kept = rng.random(length) < (1.0 if rng.random() < world.accuracy else 0.6)
        written.append(" ".join(np.array(words)[kept]))
        wanted.append((" ".join(words),))
    nats = -rng.gamma(2.0, 3.0, size)
    return Replies(tuple(written), tuple(wanted), nats=nats)


def outcomes(world: World, rng: np.random.Generator) -> Outcomes:
    """Scores [S, 20,000 at most] of a task's own: right with `accuracy`, and a count of errors."""
    from gradus.metrics.outcomes import MEAN, Outcomes

    size = min(world.size, TEXTS)
    right = rng.random(size) < world.accuracy
    errors = np.where(right, 0.0, 1.0 + rng.gamma(2.0, 1.5, size))
    return Outcomes(
        labels=("right", "errors"),
        aggregations=(MEAN, MEAN),
        lower=(False, True),
        values=np.column_stack([right.astype(np.float64), errors]),
        records=(("", ""),) * size,
        said=("",) * size,
        expected=("",) * size,
    )


BUILDERS: dict[str, Callable[[World, np.random.Generator], Any]] = {
    "labels": classifier,
    "probabilities": classifier,
    "parent": classifier,
    "numbers": numbers,
    "labelsets": label_sets,
    "labelset probabilities": label_sets,
    "spans": span_sets,
    "texts": texts,
    "greedy": texts,
    "gaps": gaps,
    "options": options,
    "replies": replies,
    "outcomes": outcomes,
    "writings": population,
    "latency": timings,
    "throughput": timings,
}
"""By what a metric `needs`; amounts (size, memory) have no interval and no population."""


def sample(population: Any, n: int, rng: np.random.Generator) -> Any:
    """N observations drawn with replacement."""
    from gradus.metrics.base import Observed

    if isinstance(population, Observed):
        assert population.latency_ms is not None
        assert population.throughput_texts_s is not None
        rows = rng.integers(0, len(population.latency_ms), n)
        return Observed(
            latency_ms=population.latency_ms[rows],
            throughput_texts_s=population.throughput_texts_s[rows],
        )
    return population.take(rng.integers(0, len(population), n))


@dataclass(slots=True)
class Coverage:
    """How the intervals of one metric fared: counts of runs, and the mean length."""

    truth: float
    runs: int = 0
    covered: int = 0
    below: int = 0
    above: int = 0
    length: float = 0.0

    @property
    def share(self) -> float:
        """Share of the runs with a defined value whose interval holds the truth."""
        return self.covered / self.runs if self.runs else float("nan")


def coverage(
    metrics: Sequence[Metric],
    population: Any,
    n: int,
    *,
    runs: int = 1000,
    draws: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> list[Coverage]:
    """For each metric, how often the interval on N observations holds the population's value.

    `below` counts intervals that end below the truth, `above` those that begin above it. Runs in
    which the metric is undefined have no interval and count nowhere.
    """
    from gradus.stats.intervals import interval

    rng = np.random.default_rng(seed)
    # A sum over the sample is held against its share of the sum over the population.
    found = [
        Coverage(metric(population) * (n / len(population) if metric.additive else 1.0))
        for metric in metrics
    ]
    for run in range(runs):
        seen = sample(population, n, rng)
        for metric, into in zip(metrics, found, strict=True):
            got = interval(metric, seen, level=level, draws=draws, seed=seed + run)
            if np.isnan(got.low) or np.isnan(got.high):
                continue
            into.runs += 1
            into.below += got.high < into.truth - 1e-12
            into.above += got.low > into.truth + 1e-12
            into.covered += got.low - 1e-12 <= into.truth <= got.high + 1e-12
            into.length += (got.high - got.low - into.length) / into.runs
    return found


def _normalised(scores: np.ndarray) -> np.ndarray:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))
