"""Settling the scales of activations on texts of train.

Legend: T tokens, k inner size of a product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from gradus.compress.integers import STEPS, inputs_of_products
from gradus.errors import CheckpointError

BINS: Final = 2048
# The least share of the greatest magnitude that a scale may clip to, and how many are tried.
_LEAST_CLIP: Final = 0.2
_CLIPS: Final = 81


def activation_scales(
    model: Any, ids: Sequence[Sequence[int]], *, threads: int = 1
) -> dict[str, float]:
    """The scale of every tensor that enters a product with constant weights.

    Args:
        model: a float32 onnx.ModelProto with the input ``input_ids``; it stays as it is.
        ids: token ids of the texts to settle on.
        threads: to compute with.

    Returns:
        Scales by the tensor's name; its integers are ``round(x / scale)`` in -128 .. 127.

    Raises:
        CheckpointError: there are no texts, or an activation isn't finite.
    """
    if not ids:
        raise CheckpointError("no texts to settle the scales of activations on: name data")
    names = inputs_of_products(model)
    greatest = dict.fromkeys(names, 0.0)
    for values in _activations(model, names, ids, threads):
        for name, rows in values.items():
            greatest[name] = float(np.maximum(greatest[name], np.abs(rows).max()))
    for name, value in greatest.items():
        if not np.isfinite(value):
            raise CheckpointError(f"the activation {name} isn't finite on the calibration texts")
    counts = {name: np.zeros(BINS, dtype=np.int64) for name in names}
    for values in _activations(model, names, ids, threads):
        for name, rows in values.items():
            counts[name] += histogram(rows, greatest[name])
    return {name: least_error_clip(counts[name], greatest[name]) / STEPS for name in names}


def histogram(rows: np.ndarray, greatest: float) -> np.ndarray:
    """int64 [BINS], how many magnitudes lie in each of equal stretches of 0 .. `greatest`."""
    found, _ = np.histogram(np.abs(rows), bins=BINS, range=(0.0, max(greatest, 1e-12)))
    return found.astype(np.int64)


def least_error_clip(counts: np.ndarray, greatest: float) -> float:
    """Where to clip magnitudes so that rounding to 127 steps has the least squared error.

    Values count as the middles of their stretches; the error of a value within a step is taken as
    uniform (step squared over 12, Widrow 1956), of a clipped one as its distance to the clip.

    >>> least_error_clip(np.ones(BINS, dtype=np.int64), 4.0)  # nothing stands out, so no clipping
    4.0
    """
    if greatest <= 0:
        return 1.0
    middles = (np.arange(len(counts)) + 0.5) * (greatest / len(counts))
    clips = np.linspace(_LEAST_CLIP, 1.0, _CLIPS) * greatest
    over = np.maximum(middles[None, :] - clips[:, None], 0.0)
    within = np.where(over > 0, 0.0, ((clips / STEPS) ** 2 / 12.0)[:, None])
    errors = ((over**2 + within) * counts[None, :]).sum(axis=1)
    # Of clips with the same error, the widest.
    return float(clips[len(clips) - 1 - int(np.argmin(errors[::-1]))])


def _activations(
    model: Any, names: Sequence[str], ids: Sequence[Sequence[int]], threads: int
) -> Iterator[Mapping[str, np.ndarray]]:
    """What flows through the tensors, batch by batch."""
    import onnx

    from gradus.predict.graph import equal_length_batches
    from gradus.predict.onnx import open_session

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    del watched.graph.output[:]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = open_session(watched.SerializeToString(), threads)
    for rows in equal_length_batches(np.array([len(row) for row in ids])):
        given = np.array([ids[i] for i in rows], dtype=np.int64)
        yield dict(zip(names, session.run(list(names), {"input_ids": given}), strict=True))
