"""Learning-rate schedules as pure functions of the update's number.

Legend: t number of updates done before this one (from 0), T updates in the stage, w of them
warm-up. Every function returns the factor on the learning rate.

Sources: slanted triangular from Howard & Ruder 2018 (ULMFiT, section 3.2, cut_frac = 0.1,
ratio = 32); cosine without restarts from Loshchilov & Hutter 2017 (SGDR, equation 5).
"""

from __future__ import annotations

import math

STLR_CUT, STLR_RATIO = 0.1, 32.0


def warmup_updates(warmup: float, total: int) -> int:
    """Number of warm-up updates from a share of the stage (below 1) or a number of updates."""
    return min(total, math.ceil(warmup * total) if warmup < 1 else int(warmup))


def factor(schedule: str, t: int, total: int, warmup: float) -> float:
    """The factor on the learning rate of update `t` of `total`.

    The warm-up rises evenly and reaches 1 with its last update; then ``constant`` stays,
    ``linear`` and ``cosine`` fall and would be 0 at t = T. ``slanted-triangular`` takes the
    warm-up as its short side (a tenth where there is none).
    """
    w = warmup_updates(warmup, total)
    if schedule == "slanted-triangular":
        return slanted_triangular(t, total, w or max(1, math.floor(total * STLR_CUT)))
    if t < w:
        return (t + 1) / w
    progress = (t - w) / max(1, total - w)
    if schedule == "linear":
        return 1.0 - progress
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0


def slanted_triangular(t: int, total: int, cut: int) -> float:
    """Up to 1 in `cut` updates, then down to 1 / 32 at t = T (Howard & Ruder 2018, equation 3)."""
    p = t / cut if t < cut else 1.0 - (t - cut) / max(1, total - cut)
    return (1.0 + p * (STLR_RATIO - 1.0)) / STLR_RATIO
