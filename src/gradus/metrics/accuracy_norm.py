# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Accuracy among options, their length taken into account."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.means import ProportionMetric

if TYPE_CHECKING:
    import numpy as np

    from gradus.metrics.options import Options


class AccuracyNorm(ProportionMetric):
    """Share of items whose right option has the most nats a character; NaN without items.

    Log-likelihoods fall with every character, so that plain accuracy favours short options. The
    length is that of the option as written, without the space before it.
    """

    name = "accuracy_norm"
    direction = "higher"
    source = "lm-evaluation-harness, acc_norm; Brown et al. (2020), section 2.4"
    summary = "share of items whose right option is likeliest by the character"
    needs = "options"

    def successes(self, predictions: Options) -> np.ndarray:
        right: np.ndarray = predictions.chosen(normalised=True) == predictions.gold
        return right
