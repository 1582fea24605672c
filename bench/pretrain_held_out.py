"""Held-out text for bench/pretrain.py: nats of every token, bits a byte, paired block bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WINDOWS = 16  # a forward pass
BLOCK_BYTES = 4096  # of text, what the bootstrap resamples: some hundred lines of verse
RESAMPLES = 10_000


@dataclass(frozen=True, kw_only=True)
class Bits:
    """A side's bits by stretch of text; stretches are the same on both sides.

    Attributes:
        bits: [S] of the tokens that begin in each stretch.
        size: [S] bytes of each stretch.
    """

    bits: np.ndarray
    size: np.ndarray

    @property
    def per_byte(self) -> float:
        """Bits a byte over all."""
        return float(self.bits.sum() / self.size.sum())


def nats(
    logits: Callable[[Any], Any], ids: np.ndarray, *, window: int, stride: int, dtype: str
) -> np.ndarray:
    """Negative log-likelihood [len(ids) - 1] of every token but the first.

    Windows of `window` tokens begin every `stride`; in all but the first only what is new counts,
    so that a token has at least ``window - stride`` tokens before it. `dtype` is autocast's.
    """
    import torch

    ids = np.asarray(ids, dtype=np.int64)
    found = np.full(len(ids) - 1, np.nan)
    starts = list(range(0, max(1, len(ids) - 1 - window + stride), stride))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, dtype == "bfloat16"):
        for group in (starts[i : i + WINDOWS] for i in range(0, len(starts), WINDOWS)):
            rows = [ids[s : s + window + 1] for s in group]
            fed = np.zeros((len(rows), max(map(len, rows)) - 1), dtype=np.int64)
            for row, one in zip(fed, rows, strict=True):
                row[: len(one) - 1] = one[:-1]
            scores = logits(torch.from_numpy(fed)).float().log_softmax(-1)
            for start, one, score in zip(group, rows, scores, strict=True):
                said = torch.from_numpy(one[1:])
                lost = -score[: len(said)].gather(1, said[:, None])[:, 0].numpy()
                first = window - stride if start else 0
                found[start + first : start + len(lost)] = lost[first:]
    assert not np.isnan(found).any()
    return found


def stretches(lost: np.ndarray, begins: np.ndarray, size: int) -> Bits:
    """Bits of tokens by the stretch of `BLOCK_BYTES` that they begin in.

    Args:
        lost: [T] nats.
        begins: [T] the byte at which each token begins.
        size: bytes of the text.
    """
    count = math.ceil(size / BLOCK_BYTES)
    bits = np.bincount(begins // BLOCK_BYTES, weights=lost / math.log(2), minlength=count)
    sizes = np.full(count, BLOCK_BYTES)
    sizes[-1] = size - BLOCK_BYTES * (count - 1)
    return Bits(bits=bits, size=sizes)


def joined(parts: Sequence[Bits]) -> Bits:
    """Several texts one after another; no stretch reaches over a text's end."""
    return Bits(
        bits=np.concatenate([p.bits for p in parts]), size=np.concatenate([p.size for p in parts])
    )


def paired(ours: Bits, theirs: Bits, seed: int, level: float = 0.95) -> dict[str, Any]:
    """Both sides' bits a byte and how much lower ours is (share of theirs), with intervals.

    Percentile intervals of a bootstrap that draws the same stretches for both sides.
    """
    assert np.array_equal(ours.size, theirs.size)
    rng = np.random.default_rng(seed)
    ends = [50 * (1 - level), 50 * (1 + level)]
    drawn = rng.integers(0, len(ours.size), (RESAMPLES, len(ours.size)))
    sizes = ours.size[drawn].sum(1)
    mine, other = (side.bits[drawn].sum(1) / sizes for side in (ours, theirs))
    values = {"ours": (ours.per_byte, mine), "theirs": (theirs.per_byte, other)}
    values["lower_by"] = (1 - ours.per_byte / theirs.per_byte, 1 - mine / other)
    return {
        name: {"value": value, "interval": [float(x) for x in np.percentile(draws, ends)]}
        for name, (value, draws) in values.items()
    } | {"stretches": len(ours.size), "level": level}
