"""From which probability on a label is said, where each label is a decision of its own.

Legend: N texts, K labels, M decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

if TYPE_CHECKING:
    import numpy as np

Threshold = Annotated[float, Field(gt=0, lt=1)] | Literal["global", "per-label"]
NEUTRAL = 0.5


def choose(how: Threshold, probabilities: np.ndarray, gold: np.ndarray) -> list[float]:
    """K thresholds: the number given, or those with the greatest F1 on [N, K] decisions.

    ``global`` takes one for all decisions pooled (micro F1), ``per-label`` one for each label.
    Chosen on dev.select they are part of the training; without items there they are 0.5.
    """
    count = gold.shape[1]
    if isinstance(how, float):
        return [how] * count
    if how == "global":
        return [best_threshold(probabilities.ravel(), gold.ravel())] * count
    return [best_threshold(p, y) for p, y in zip(probabilities.T, gold.T, strict=True)]


def best_threshold(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """The threshold with the greatest F1 over decisions [M], gold bool [M].

    Half way between the two probabilities that it parts, so that neither lies upon it; of equally
    good ones the nearest to one half. 0.5 where nothing is true, as nothing can then be learnt.
    """
    import numpy as np

    if not gold.any():
        return NEUTRAL
    order = np.argsort(-probabilities, kind="stable")
    ranked, right = probabilities[order], np.cumsum(gold[order])
    f1 = 2 * right / (np.arange(1, len(ranked) + 1) + right[-1])
    ends = np.append(ranked[1:] < ranked[:-1], True)  # a cut can't part equal probabilities
    below = np.append(ranked[1:], 0.0)
    cuts, values = ((ranked + below) / 2)[ends], f1[ends]
    best = cuts[values >= values.max() - 1e-12]
    return float(best[np.abs(best - NEUTRAL).argmin()])
