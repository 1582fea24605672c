"""The gap between the loss on train and on held-out texts, and whether it widens.

Legend: n texts of dev.select, m texts of train, followed from validation to validation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

# Texts of dev.select whose losses are kept from one validation to the next.
MOST = 4096
LEVEL = 0.05

GAP_TEST: Final = (
    "The gap is the mean loss of the texts of dev.select minus that of the first texts trained "
    "on, with Welch's interval (95 %). That it is wider than at its narrowest is tested on the "
    "same texts at both times: Welch's one-sided t test of the change of each held-out text "
    "against the change of each train text, times the number of validations before (Bonferroni); "
    "validation k warns below 0.05 / (k (k + 1)), so that all together warn falsely in at most 5 % "
    "of trainings."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The gap at a validation, in nats a term.

    Attributes:
        gap, low, high: with its 95 % interval.
        p: of the test that it is wider than at its narrowest; 1 where there is nothing before.
        warns: whether p is below this validation's share of the level.
        since: update of the narrowest gap before, and that gap; None at the first validation.
        risen: whether the loss on dev.select is above what it was then.
    """

    gap: float
    low: float
    high: float
    p: float
    warns: bool
    since: tuple[int, float] | None
    risen: bool

    def row(self) -> dict[str, float]:
        """As curve values."""
        return {
            "gap": self.gap,
            "gap_low": self.low,
            "gap_high": self.high,
            "gap_p": self.p,
            "gap_warned": int(self.warns),
        }

    def told(self, update: int) -> str:
        """The warning."""
        assert self.since is not None
        rest = "has risen since" if self.risen else "still falls"
        return (
            f"update {update}: the loss on dev.select is {self.gap:.3f} nats above that on train "
            f"[{self.low:.3f}, {self.high:.3f}], significantly more than the {self.since[1]:.3f} "
            f"of update {self.since[0]} (p = {self.p:.1g}): the model learns train by heart; the "
            f"loss on dev.select itself {rest}"
        )


def means(nats: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """float64, the mean loss of each text that has a term; at most `MOST` of them, evenly taken."""
    held = terms > 0
    found = nats[held] / terms[held]
    taken = np.linspace(0, len(found) - 1, min(MOST, len(found))).astype(np.int64)
    return np.asarray(found[taken])


def compare(
    select: np.ndarray, train: np.ndarray, narrowest: dict[str, Any] | None, validation: int
) -> Gap | None:
    """The gap of mean losses `select` [n] and `train` [m] at the `validation`-th (from 1).

    `narrowest` is what `kept` gave at the narrowest gap before. None for fewer than two texts.
    """
    from scipy.stats import ttest_ind

    if min(len(select), len(train)) < 2:
        return None
    gap = float(select.mean() - train.mean())
    interval = ttest_ind(select, train, equal_var=False).confidence_interval(1 - LEVEL)
    p, since, risen = 1.0, None, False
    if narrowest is not None:
        held = select - np.asarray(narrowest["select"])
        learned = train - np.asarray(narrowest["train"])
        test = ttest_ind(held, learned, equal_var=False, alternative="greater")
        # Texts that all changed alike have no spread to judge by.
        raw = 1.0 if math.isnan(test.pvalue) else float(test.pvalue)
        p = min(1.0, raw * max(1, validation - 1))
        since, risen = (int(narrowest["update"]), float(narrowest["gap"])), held.mean() > 0
    return Gap(
        gap=gap,
        low=float(interval.low),
        high=float(interval.high),
        p=p,
        warns=p < LEVEL / (validation * (validation + 1)),
        since=since,
        risen=bool(risen),
    )


def kept(select: np.ndarray, train: np.ndarray, gap: Gap, update: int) -> dict[str, Any]:
    """What a later validation is compared with, as JSON."""
    return {
        "update": update,
        "gap": gap.gap,
        "select": select.tolist(),
        "train": train.tolist(),
    }
