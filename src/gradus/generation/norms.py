"""Root mean square layer norms (Zhang and Sennrich 2019), also for one row at a time.

Legend: N rows, d hidden size.
"""

from __future__ import annotations

import torch
from torch.nn.functional import layer_norm, rms_norm


class RmsNorm:
    """x / sqrt(mean(x²) + eps) * weight, for the rows of x [N, d].

    torch has no kernel of its own for it on processors: it takes seven calls, which for one row
    cost more than the arithmetic. Beside its negative a row has the mean 0 and the variance
    mean(x²), and layer norm is one call: 5 µs instead of 10 for d = 576 in bfloat16.
    """

    def __init__(self, weight: torch.Tensor, eps: float) -> None:
        """`weight` is [d]."""
        self._weight, self._eps = weight, eps
        self._wide = (len(weight),)
        self._both = torch.cat([weight, weight]) if weight.device.type == "cpu" else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[N, d] of x [N, d]."""
        if len(x) > 1 or self._both is None:
            return rms_norm(x, self._wide, self._weight, self._eps)
        width = self._wide[0]
        both = torch.cat([x, -x], dim=-1)
        return layer_norm(both, (2 * width,), self._both, None, self._eps)[:, :width]
