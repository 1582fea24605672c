"""Loss spikes: updates whose loss or gradient lies far above what is usual.

What is usual are the mean and the standard deviation of the last updates; six deviations above
the mean is a spike, as in OLMo 2 (OLMo team 2024, section 3.2 and its trainer's skipped steps).
Going back and leaving out the batches in between follows PaLM (Chowdhery et al. 2022, section 5.1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradus.training.pretraining import PretrainStage
from gradus.training.state import Watched

# Updates before anything is called usual, as a share of the window.
LEAST = 0.25
# Spikes in a row, as a share of the window, after which they are the new level.
LASTING = 0.25
# A deviation below this share of the mean is rounding, not noise.
STEADY = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Spike:
    """A loss (nats a term) or gradient norm far above the usual mean."""

    loss: float
    usual: float
    norm: float
    usual_norm: float


class Spikes:
    """Watches a stage's updates; what it remembers is in the stage's state."""

    def __init__(self, stage: PretrainStage, watched: Watched) -> None:
        self._stage, self._watched = stage, watched

    def judge(self, loss: float, norm: float) -> Spike | None:
        """The spike that an update would be; None where it is usual or nothing is known yet.

        A usual update is remembered; so is a spike where it is only warned of. Spikes that last
        are the new level: the memory is then begun anew.
        """
        watched, window = self._watched, self._stage.spike_window
        usual, most = bound(watched.losses, self._stage.spike_sigma, window)
        usual_norm, most_norm = bound(watched.norms, self._stage.spike_sigma, window)
        if loss <= most and norm <= most_norm:
            watched.above = 0
            self._remember(loss, norm)
            return None
        watched.above += 1
        if watched.above > LASTING * window:
            watched.above, watched.losses, watched.norms = 0, [], []
        elif self._stage.on_spike == "warn":
            self._remember(loss, norm)
        return Spike(loss=loss, usual=usual, norm=norm, usual_norm=usual_norm)

    def _remember(self, loss: float, norm: float) -> None:
        window = self._stage.spike_window
        self._watched.losses = [*self._watched.losses, loss][-window:]
        self._watched.norms = [*self._watched.norms, norm][-window:]


def bound(values: Sequence[float], sigma: float, window: int) -> tuple[float, float]:
    """Mean of `values` and what is a spike above it; infinite while they are too few."""
    n = len(values)
    if n < max(2, LEAST * window):
        return math.nan, math.inf
    mean = math.fsum(values) / n
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    return mean, mean + sigma * max(deviation, STEADY * abs(mean))


def told(row: dict[str, Any]) -> str:
    """A sentence for a spike as the state keeps it."""
    what = {
        "warned": "went on",
        "skipped": "the update was left out",
        "rolled back": f"back to the weights of update {row.get('to_step')}",
    }[row["what"]]
    return (
        f"loss spike at update {row['step']}: {row['loss']:.3f} nats where {row['usual']:.3f} is "
        f"usual, gradient norm {row['norm']:.2f} where {row['usual_norm']:.2f} is usual; {what}"
    )
