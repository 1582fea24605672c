"""From what a linear head gives to what a predictor says, the same for every checkpoint kind.

Legend: N texts, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np


def target_of(preprocessing: Mapping[str, Any]) -> Target:
    """What a checkpoint predicts, as its manifest's preprocessing says; one label if it doesn't."""
    return cast("Target", preprocessing.get("target", "label"))


def head_outputs(preprocessing: Mapping[str, Any], labels: int) -> int:
    """How many outputs the head of a checkpoint with so many labels has."""
    return 1 if target_of(preprocessing) == "number" else labels


def thresholds_of(preprocessing: Mapping[str, Any], labels: int) -> tuple[float, ...]:
    """The K probabilities from which on a label is said; one half each where none are kept."""
    return tuple(preprocessing.get("thresholds", (0.5,) * labels))


def log_probabilities(logits: np.ndarray, target: Target) -> np.ndarray:
    """float64 [N, K] from logits [N, K]: a softmax for one label, a sigmoid for each of several."""
    import numpy as np
    from scipy.special import log_expit, log_softmax

    rows = logits.astype(np.float64)
    found: np.ndarray = log_expit(rows) if target == "labels" else log_softmax(rows, axis=-1)
    return found


def in_units(outputs: np.ndarray, preprocessing: Mapping[str, Any]) -> np.ndarray:
    """float64 [N] from standardised outputs [N, 1]: times the deviation, plus the mean."""
    mean, deviation = (float(preprocessing[name]) for name in ("mean", "deviation"))
    return outputs[:, 0].astype("float64") * deviation + mean
