"""Simulated panels whose truth is known, and how often intervals cover it.

Every text has a latent goodness: its writer's quality, what the prompt lends all writers, and what
is its own. A rater adds severity, a taste for the writer, and noise. A Likert score is the latent
sum, rounded and cut to 1 to 5; of two texts the one with the greater sum is preferred, and neither
where they are near. The truth is what raters and prompts of the whole population would give, for
which the latent normal distribution has a closed form.

Legend: W writers, P prompts, R raters, M ratings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from gradus.stats.raters import Estimate, Quality, Scores
from gradus.stats.strengths import Answers, Strengths, win_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelWorld:
    """What raters, prompts and writers are like; numbers are on the scale from 1 to 5.

    Attributes:
        qualities: of the W writers.
        raters: how many rate.
        prompts: how many prompts they see with all writers' texts.
        missing: share of the ratings that are missing at random.
        severity: standard deviation of the raters' severities.
        taste: of what a rater adds for a writer.
        prompt: of what a prompt adds for all writers.
        text: of what a text adds.
        noise: of what is a single rating's own.
        near: pairs whose difference is smaller are ties.
        first: what being shown first adds, in pairs.
    """

    qualities: tuple[float, ...] = (2.2, 2.8, 3.2, 4.1)
    raters: int = 3
    prompts: int = 10
    missing: float = 0.0
    severity: float = 0.3
    taste: float = 0.2
    prompt: float = 0.3
    text: float = 0.5
    noise: float = 0.7
    near: float = 0.25
    first: float = 0.1

    def __str__(self) -> str:
        missing = f", {self.missing:.0%} missing" if self.missing else ""
        return (
            f"{self.raters} raters, {self.prompts} prompts{missing}, severity {self.severity:g}, "
            f"taste {self.taste:g}"
        )

    def scores(self) -> np.ndarray:
        """The true mean scores, float64 [W]: over all raters, prompts and texts."""
        parts = (self.severity, self.taste, self.prompt, self.text, self.noise)
        spread = math.sqrt(sum(part**2 for part in parts))
        edges = np.array([1.5, 2.5, 3.5, 4.5])
        above = stats.norm.sf(edges[None, :], np.array(self.qualities)[:, None], spread)
        return np.asarray(1 + above.sum(axis=1))

    def chances(self) -> Answers:
        """What each ordered pair of writers gives in the whole population, as one answer each."""
        pairs = [(i, j) for i in range(len(self.qualities)) for j in range(len(self.qualities))]
        first, second = np.array([(i, j) for i, j in pairs if i != j]).T
        spread = math.sqrt(2 * (self.taste**2 + self.text**2 + self.noise**2))
        qualities = np.array(self.qualities)
        middle = qualities[first] - qualities[second] + self.first
        better = stats.norm.sf(self.near, middle, spread)
        worse = stats.norm.cdf(-self.near, middle, spread)
        zeros = np.zeros(len(first), np.int64)
        told = np.stack([better, worse, 1 - better - worse], axis=1)
        return Answers(first, second, told, zeros, zeros)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One panel's hidden numbers: texts [W, P], severities [R], tastes [R, W]."""

    texts: np.ndarray
    severities: np.ndarray
    tastes: np.ndarray

    @classmethod
    def of(cls, world: PanelWorld, rng: np.random.Generator) -> _Drawn:
        writers = len(world.qualities)
        own = world.text * rng.normal(size=(writers, world.prompts))
        shared = world.prompt * rng.normal(size=world.prompts)
        return cls(
            np.array(world.qualities)[:, None] + shared + own,
            world.severity * rng.normal(size=world.raters),
            world.taste * rng.normal(size=(world.raters, writers)),
        )


def likert(world: PanelWorld, rng: np.random.Generator) -> Scores:
    """A panel's scores: every rater sees all texts but those that are missing."""
    hidden, writers = _Drawn.of(world, rng), len(world.qualities)
    grid = np.indices((world.raters, writers, world.prompts)).reshape(3, -1)
    rater, writer, prompt = grid[:, rng.random(grid.shape[1]) >= world.missing]
    latent = (
        hidden.texts[writer, prompt]
        + hidden.severities[rater]
        + hidden.tastes[rater, writer]
        + world.noise * rng.normal(size=len(rater))
    )
    values = np.clip(np.floor(latent + 0.5), 1, 5)
    return Scores(values, writer, rater, prompt, writer * world.prompts + prompt)


def pairs(world: PanelWorld, rng: np.random.Generator) -> Answers:
    """A panel's answers: every rater sees all pairs of writers on every prompt, either way."""
    hidden = _Drawn.of(world, rng)
    two = np.array(list(combinations(range(len(world.qualities)), 2)))
    grid = np.indices((world.raters, len(two), world.prompts)).reshape(3, -1)
    rater, pair, prompt = grid[:, rng.random(grid.shape[1]) >= world.missing]
    turned = rng.random(len(rater)) < 0.5
    first = np.where(turned, two[pair, 1], two[pair, 0])
    second = np.where(turned, two[pair, 0], two[pair, 1])

    def liked(writer: np.ndarray) -> np.ndarray:
        own = world.noise * rng.normal(size=len(rater))
        return np.asarray(hidden.texts[writer, prompt] + hidden.tastes[rater, writer] + own)

    apart = liked(first) - liked(second) + world.first
    told = np.stack([apart > world.near, apart < -world.near, np.abs(apart) <= world.near], axis=1)
    return Answers(first, second, told.astype(np.float64), rater, prompt)


@dataclass(slots=True)
class Coverage:
    """How often intervals held the truth.

    Attributes:
        name: what was estimated.
        held: intervals that held it.
        below: intervals that lay above it.
        above: intervals that lay below it.
        length: sum of the lengths.
        errors: sum of estimate less truth.
    """

    name: str
    held: int = 0
    below: int = 0
    above: int = 0
    length: float = 0.0
    errors: float = 0.0

    @property
    def number(self) -> int:
        """Intervals that were looked at."""
        return self.held + self.below + self.above

    @property
    def share(self) -> float:
        """Share of the intervals that held the truth."""
        return self.held / max(self.number, 1)

    def look(self, found: Estimate, truth: float) -> None:
        """Take one more interval into account."""
        self.below += truth < found.low
        self.above += truth > found.high
        self.held += found.low <= truth <= found.high
        self.length += found.high - found.low
        self.errors += found.value - truth


def coverage(world: PanelWorld, panels: int, seed: int = 0) -> list[Coverage]:
    """Coverage of what a panel's results print, over so many simulated panels.

    Every writer's estimate, and every difference of two writers, is looked at in each panel.
    """
    rng = np.random.default_rng(seed)
    writers = len(world.qualities)
    scores, chances = world.scores(), world.chances()
    truth = Strengths(chances, writers, pseudo=0.0).values
    wins = [told.value for told in win_shares(chances, writers)]
    found = {name: Coverage(name) for name in ("quality", "difference", "strength", "odds", "wins")}
    for _ in range(panels):
        quality = Quality(likert(world, rng), writers, world.raters)
        answers = pairs(world, rng)
        strengths, shares = Strengths(answers, writers), win_shares(answers, writers)
        for i in range(writers):
            found["quality"].look(quality.of(i), float(scores[i]))
            found["strength"].look(strengths.of(i), float(truth[i]))
            found["wins"].look(shares[i], wins[i])
        _look(found["difference"], quality.difference, scores)
        _look(found["odds"], strengths.difference, truth)
    return list(found.values())


def _look(into: Coverage, between: Callable[[int, int], Estimate], truth: np.ndarray) -> None:
    for one, other in _twos(len(truth)):
        into.look(between(one, other), float(truth[one] - truth[other]))


def _twos(number: int) -> Iterator[tuple[int, int]]:
    return iter(combinations(range(number), 2))
