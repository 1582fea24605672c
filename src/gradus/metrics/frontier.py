"""The divergence frontier of two distributions over cells, and the area under it.

Legend: K cells, L mixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np

SCALE: Final = 5.0
"""What divergences are multiplied with before they are turned into similarities; the paper's."""
MIXTURES: Final = 51
"""L. The area changes by less than 0.001 with more."""


def frontier_area(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The area under the divergence curve of distributions P and Q: float64 [...].

    For each mixture R = a P + (1 - a) Q the curve has the point (exp(-c KL(Q|R)), exp(-c KL(P|R)))
    with c = `SCALE`; (0, 1) and (1, 0) end it. The area (trapezoids between L mixtures) is 1 where
    P equals Q, and 1/252 where they share no cell. It is symmetric. Pillutla et al. (2021), MAUVE:
    measuring the gap between neural text and human text using divergence frontiers, section 2.

    Args:
        first: float64 [..., K], P; each row adds up to 1.
        second: float64 [..., K], Q; likewise. A row with a NaN gives NaN.
    """
    import numpy as np
    from scipy.special import xlogy

    share = np.linspace(0.0, 1.0, MIXTURES)[:, None]
    p, q = first[..., None, :], second[..., None, :]
    mixed = share * p + (1.0 - share) * q
    # KL(P|R) = sum P log P - sum P log R; where P has mass and R none it is infinite.
    of_p = (xlogy(p, p) - xlogy(p, mixed)).sum(axis=-1)
    of_q = (xlogy(q, q) - xlogy(q, mixed)).sum(axis=-1)
    y = _with_ends(np.exp(-SCALE * of_p), 0.0, 1.0)
    x = _with_ends(np.exp(-SCALE * of_q), 1.0, 0.0)
    # From (1, 0), where R is Q, to (0, 1), where it is P: x falls.
    heights = (y[..., 1:] + y[..., :-1]) / 2
    area: np.ndarray = (heights * (x[..., :-1] - x[..., 1:])).sum(axis=-1)
    return area


def _with_ends(values: np.ndarray, first: float, last: float) -> np.ndarray:
    import numpy as np

    before = np.full((*values.shape[:-1], 1), first)
    return np.concatenate([before, values, np.full_like(before, last)], axis=-1)
