"""Learning-rate schedules as pure functions of the update's number.

Legend: t number of updates done before this one (from 0), T updates in the stage, w of them
warm-up. Every function returns the factor on the learning rate.

Sources: slanted triangular from Howard & Ruder 2018 (ULMFiT, section 3.2, cut_frac = 0.1,
ratio = 32); cosine without restarts from Loshchilov & Hutter 2017 (SGDR, equation 5); warm-up,
stable, decay from Hu et al. 2024 (MiniCPM, section 4), with the even fall and the fifth of the
updates that Hägele et al. 2024 find enough; range test from Smith 2017 (Cyclical learning rates,
section 3.3), with a rate that rises exponentially.
"""

from __future__ import annotations

import math

STLR_CUT, STLR_RATIO = 0.1, 32.0
WSD_DECAY = 0.2
RANGE = 1e-5


def warmup_updates(warmup: float, total: int) -> int:
    """Number of warm-up updates from a share of the stage (below 1) or a number of updates."""
    return min(total, math.ceil(warmup * total) if warmup < 1 else int(warmup))


def factor(
    schedule: str,
    t: int,
    total: int,
    warmup: float,
    decay: float = WSD_DECAY,
    floor: float = 0.0,
) -> float:
    """The factor on the learning rate of update `t` of `total`.

    The warm-up rises evenly and reaches 1 with its last update; then ``constant`` stays,
    ``linear`` and ``cosine`` fall and would be `floor` at t = T. ``wsd`` stays until the last
    `decay` (a share or a number, as the warm-up) and falls evenly over that. ``slanted-triangular``
    takes the warm-up as its short side (a tenth where there is none) and no floor. ``range-test``
    rises exponentially from `RANGE` to 1 and knows nothing else.
    """
    if schedule == "range-test":
        return float(RANGE ** (1.0 - t / max(1, total - 1)))
    w = warmup_updates(warmup, total)
    if schedule == "slanted-triangular":
        return slanted_triangular(t, total, w or max(1, math.floor(total * STLR_CUT)))
    if t < w:
        return (t + 1) / w
    if schedule == "wsd":
        falling = min(total - w, warmup_updates(decay, total))
        left = min(1.0, (total - t) / max(1, falling))
        return floor + (1.0 - floor) * left
    progress = (t - w) / max(1, total - w)
    if schedule == "linear":
        return floor + (1.0 - floor) * (1.0 - progress)
    if schedule == "cosine":
        return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0


def slanted_triangular(t: int, total: int, cut: int) -> float:
    """Up to 1 in `cut` updates, then down to 1 / 32 at t = T (Howard & Ruder 2018, equation 3)."""
    p = t / cut if t < cut else 1.0 - (t - cut) / max(1, total - cut)
    return (1.0 + p * (STLR_RATIO - 1.0)) / STLR_RATIO
