"""An analyst who asks a hold-out many questions about pure noise, and believes the answers.

As in the experiment of Dwork et al. 2015 (section 5): labels have nothing to do with the features,
so every classifier is right in half of all cases. The analyst asks about each feature alone, keeps
those that the free data and the answers agree on, and asks about the vote of the kept ones: once
with the hold-out read directly, once through Thresholdout.

Legend: n rows, F features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradus.stats.thresholdout import Settings, ask, begin, bound

TRUTH = 0.5


@dataclass(frozen=True, slots=True)
class Analysis:
    """What the analyst was told.

    Attributes:
        accuracy: the answer about the vote of the kept features.
        worst: the largest error of all answers.
        asked: how many questions were answered.
        refused: how many weren't, since the budget was spent.
        bound: what was stated of all errors.
    """

    accuracy: float
    worst: float
    asked: int
    refused: int
    bound: float


def analyse(
    seed: int, *, n: int, features: int, settings: Settings | None, beta: float = 0.05
) -> Analysis:
    """One analysis of fresh noise; the hold-out is read directly where there are no settings."""
    rng = np.random.default_rng(seed)
    free, held = (rng.normal(size=(n, features)).astype(np.float32) for _ in range(2))
    y_free, y_held = (rng.choice(np.array([-1.0, 1.0], np.float32), n) for _ in range(2))
    on_free = ((free * y_free[:, None]) > 0).mean(axis=0)
    on_held = ((held * y_held[:, None]) > 0).mean(axis=0)
    answers = Answers(settings, rng)
    told = np.array([answers(float(a), float(b)) for a, b in zip(on_free, on_held, strict=True)])
    far = 1 / np.sqrt(4 * n)
    agree = (np.abs(on_free - TRUTH) > far) & (np.abs(told - TRUTH) > far)
    agree &= np.sign(on_free - TRUTH) == np.sign(told - TRUTH)
    signs = np.where(agree, np.sign(on_free - TRUTH), 0).astype(np.float32)

    def right(x: np.ndarray, y: np.ndarray) -> float:
        return float(((x @ signs) * y > 0).mean()) if agree.any() else TRUTH

    last = answers(right(free, y_free), right(held, y_held))
    given = np.array(answers.given)
    return Analysis(
        accuracy=last,
        worst=float(np.abs(given - TRUTH).max()),
        asked=len(given),
        refused=answers.refused,
        bound=bound(settings or Settings(), len(given), n, beta=beta),
    )


class Answers:
    """Answers questions directly, or through Thresholdout."""

    def __init__(self, settings: Settings | None, rng: np.random.Generator) -> None:
        self.settings, self.rng = settings, rng
        self.state = None if settings is None else begin(settings, rng)
        self.given: list[float] = []
        self.refused = 0

    def __call__(self, free: float, held: float) -> float:
        """The answer to one question; one half where it is refused."""
        if self.settings is None or self.state is None:
            self.given.append(held)
            return held
        answer, self.state = ask(self.settings, self.state, free, held, self.rng)
        if answer.value is None:
            self.refused += 1
            return TRUTH
        self.given.append(answer.value)
        return answer.value
