"""Taking a prompt's own leaning out of its answers.

Legend: N texts, M inputs that the leaning is measured on, K labels.

A prompt leans towards some labels whatever the text. The leaning is the mean probability of each
label over M inputs: content-free ones such as "N/A" (contextual calibration, Zhao et al. 2021) or
a sample of unlabelled texts (batch calibration, Zhou et al. 2023). Each label's probability is
divided by it, and the K of them made to sum to 1 again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def offsets(scores: np.ndarray) -> np.ndarray:
    """float64 [K], logarithm of the mean probability of each label.

    `scores` is float64 [M, K], the log-likelihoods of the labels' words after M inputs, M >= 1.
    """
    import numpy as np
    from scipy.special import log_softmax, logsumexp

    found: np.ndarray = logsumexp(log_softmax(scores, axis=1), axis=0) - np.log(len(scores))
    return found


def calibrated(scores: np.ndarray, offsets: np.ndarray | None) -> np.ndarray:
    """float64 [N, K] log-probabilities from log-likelihoods [N, K]; None leaves the leaning in."""
    from scipy.special import log_softmax

    leaning = 0.0 if offsets is None else offsets
    rows: np.ndarray = log_softmax(scores - leaning, axis=1)
    return rows
