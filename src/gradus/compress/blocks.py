"""Weights in four bits, a scale for every 32 of a column, as ONNX Runtime's MatMulNBits reads them.

Legend: k inner size, m outer size, b blocks of `BLOCK` in k (the last may be short).
"""

from __future__ import annotations

from typing import Final

import numpy as np

BLOCK: Final = 32
_ZERO: Final = 8
_LEAST_SCALE: Final = 1e-12
# Shares of a block's greatest magnitude that its scale is tried with.
_CLIPS: Final = np.linspace(0.7, 1.0, 7)


def quantise_blocks(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [m, b, BLOCK / 2] and float32 [m, b] scales of weights [k, m].

    An integer is 0 to 15 with zero at 8, two to a byte, the first in the lower half. A block's
    scale has either sign, so that its greatest magnitude can lie on the side that has one step
    more; of several clips the one with the least squared error is kept.
    """
    k, m = weights.shape
    padded = np.zeros((m, -(-k // BLOCK) * BLOCK), dtype=np.float32)
    padded[:, :k] = weights.T
    rows = padded.reshape(m, -1, BLOCK)
    places = np.abs(rows).argmax(axis=2)[..., None]
    greatest = np.take_along_axis(rows, places, axis=2)
    best = np.zeros_like(rows)
    scales = np.zeros_like(greatest)
    least = np.full(greatest.shape, np.inf, dtype=np.float32)
    for clip in _CLIPS:
        tried = greatest * np.float32(-clip / _ZERO)
        tried = np.where(np.abs(tried) < _LEAST_SCALE, _LEAST_SCALE, tried).astype(np.float32)
        integers = np.clip(np.rint(rows / tried), -_ZERO, _ZERO - 1)
        errors = ((integers * tried - rows) ** 2).sum(axis=2, keepdims=True)
        better = errors < least
        best, scales = np.where(better, integers, best), np.where(better, tried, scales)
        least = np.minimum(least, errors)
    unsigned = (best + _ZERO).astype(np.uint8)
    return unsigned[..., 0::2] | unsigned[..., 1::2] << 4, scales[..., 0].astype(np.float32)


def restore_blocks(packed: np.ndarray, scales: np.ndarray, k: int) -> np.ndarray:
    """float32 [k, m], what `quantise_blocks` kept of its weights."""
    unsigned = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:2], BLOCK)
    values = (unsigned.astype(np.float32) - _ZERO) * scales[..., None]
    restored: np.ndarray = values.reshape(len(packed), -1)[:, :k].T
    return restored
