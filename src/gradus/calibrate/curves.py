"""What a report draws: reliability by bin, and accuracy by the share of items answered.

Legend: N items.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np

BINS: Final = 15
POINTS: Final = 40


def reliability(sure: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Bins of equal mass by probability: mean probability, share right, Wilson's 95 %, items."""
    import numpy as np

    from gradus.stats.proportions import shown

    order = np.argsort(sure, kind="stable")
    found = []
    for rows in np.array_split(order, min(BINS, len(order))):
        hits = int(right[rows].sum())
        low, high = shown(hits, len(rows))
        found.append(
            {
                "probability": float(sure[rows].mean()),
                "right": hits / len(rows),
                "low": low,
                "high": high,
                "n": len(rows),
            }
        )
    return found


def answered(sure: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """[coverage, accuracy among the answered], the surest first, at about `POINTS` coverages.

    Among equally sure items the accuracy is that of all of them together.
    """
    import numpy as np

    order = np.argsort(-sure, kind="stable")
    ranked, hits = sure[order], np.cumsum(right[order])
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    wanted = np.linspace(len(sure) / POINTS, len(sure), POINTS)
    chosen = np.unique(np.minimum(np.searchsorted(ends + 1, wanted), len(ends) - 1))
    return [[float((e + 1) / len(sure)), float(hits[e] / (e + 1))] for e in ends[chosen]]
