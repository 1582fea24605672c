"""Which library multiplies float32 matrices.

torch asks MKL, which on processors of other makers than its own leaves half of their width unused;
oneDNN, which torch carries too, doesn't. torch has no switch between them but the one that allows
oneDNN to round factors to bfloat16, which it does where the processor multiplies tiles of bfloat16
(AMX) and nowhere else. So the switch is tried: where factors stay whole, float32 is float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from gradus import hardware

# Largest error of a product of 576 random factors, in units of the plain float32 product's own.
TOLERANCE = 8.0


@contextmanager
def products(*, rounded: bool = False) -> Iterator[None]:
    """Take products of float32 matrices inside the block where they are fastest.

    With `rounded`, factors may be rounded to bfloat16; their sums are float32 either way.
    """
    backend = getattr(torch.backends.mkldnn, "matmul", None)
    if backend is None or not (rounded or exact()):
        yield
        return
    before = backend.fp32_precision
    backend.fp32_precision = "bf16"
    try:
        yield
    finally:
        backend.fp32_precision = before


@cache
def exact() -> bool:
    """Whether the switch gives products of whole float32 factors here, and MKL is out of place."""
    if "Intel" in hardware.processor()[0]:
        return False
    draw = torch.Generator().manual_seed(0)
    left, right = (torch.randn(256, 576, generator=draw) for _ in range(2))
    expected = left.double() @ right.double().T
    usual = (left @ right.T - expected).abs().max()
    with products(rounded=True):
        found = (left @ right.T - expected).abs().max()
    return bool(found <= TOLERANCE * usual)
