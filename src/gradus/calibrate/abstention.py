"""When to abstain: for a wanted accuracy of what is answered, or a wanted share of answers.

Legend: N items.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gradus.errors import TrainingError

if TYPE_CHECKING:
    import numpy as np

STARTS: Final = 4


@dataclass(frozen=True, slots=True)
class Abstention:
    """Below which probability to abstain, and what that gives on the items it was chosen on.

    Attributes:
        below: the probability.
        coverage: share of items that are answered.
        accuracy: share of right ones among them; None where none is answered.
        least: with the confidence that was asked for the accuracy is at least this; None where no
            accuracy was asked for.
    """

    below: float
    coverage: float
    accuracy: float | None
    least: float | None = None


def for_accuracy(
    sure: np.ndarray, right: np.ndarray, accuracy: float, confidence: float
) -> Abstention:
    """Answer as much as can be while the accuracy of answers is at least so great, surely.

    Learn then test (Angelopoulos et al. 2021): for each probability from which on to answer, the
    hypothesis that the accuracy is too low is tested by the exact binomial test, in a sequence
    fixed beforehand, so that all that are rejected before the first that isn't may be used. The
    sequences begin at `STARTS` numbers of answers, each at its share of the error, and go on to
    more. Over draws of the N items, the chance that the accuracy of the population is below
    `accuracy` at what is chosen is at most 1 - `confidence`.

    Raises:
        TrainingError: no threshold can be shown to keep it; says what could be.
    """
    import numpy as np
    from scipy import stats

    order = np.argsort(-sure, kind="stable")
    ranked, hits = sure[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    answers, hits = ends + 1, hits[ends]
    error = (1 - confidence) / STARTS
    passes = stats.binom.sf(hits - 1, answers, accuracy) <= error
    # With fewer answers not even a spotless record would do.
    fewest = math.ceil(math.log(error) / math.log(accuracy))
    wanted = np.linspace(fewest, max(fewest, len(sure)), STARTS, endpoint=False)
    best = -1
    for start in np.searchsorted(answers, np.ceil(wanted)).tolist():
        stop = start
        while stop < len(passes) and passes[stop]:
            stop += 1
        if stop > start:
            best = max(best, stop - 1)
    if best < 0:
        raise TrainingError(_refused(answers, hits, accuracy, confidence))
    below, said = float(ranked[ends[best]]), int(answers[best])
    found = at(sure, right, below)
    least = float(stats.beta.ppf(error, hits[best], said - hits[best] + 1))
    return Abstention(below, found.coverage, found.accuracy, least)


def _refused(answers: np.ndarray, hits: np.ndarray, accuracy: float, confidence: float) -> str:
    from scipy import stats

    bounds = stats.beta.ppf((1 - confidence) / STARTS, hits, answers - hits + 1)
    return (
        f"abstain: the {int(answers[-1]):,} items of dev.select can't show, with a confidence of "
        f"{confidence:g}, that answers are right in {accuracy:g} of cases, however few are given; "
        f"the greatest share they can show is {float(bounds.max()):.3f}: ask for less, or give dev "
        "more items"
    )


def for_coverage(sure: np.ndarray, right: np.ndarray, coverage: float) -> Abstention:
    """Answer at least this share of the items, the surest."""
    import numpy as np

    ranked = np.sort(sure)[::-1]
    return at(sure, right, float(ranked[max(math.ceil(coverage * len(ranked)) - 1, 0)]))


def at(sure: np.ndarray, right: np.ndarray, below: float) -> Abstention:
    """What abstaining below a probability gives."""
    said = sure >= below
    share = float(right[said].mean()) if said.any() else None
    return Abstention(below, float(said.mean()), share)
