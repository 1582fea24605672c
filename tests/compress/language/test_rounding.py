"""Weights as integers, against the definition in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradus.compress.language.rounding import GROUP, Rounded, rounded

WEIGHTS = arrays(
    np.float32,
    st.tuples(st.integers(1, 5), st.sampled_from([32, 40, 64])),
    elements=st.floats(-1e4, 1e4, width=32, allow_subnormal=False),
)


@given(WEIGHTS)
@settings(deadline=None, max_examples=60)
def test_eight_bits_are_within_half_a_step(weights: np.ndarray) -> None:
    found = rounded(torch.from_numpy(weights), 8)
    wide = np.abs(weights.astype(np.float64)).max(axis=1)
    # A scale is the next bfloat16 number from the exact one: at most one part in 128 above.
    step = wide / 127 * (1 + 1 / 128)
    away = np.abs(found.weights().double().numpy() - weights)
    assert found.values.abs().max() <= 127
    assert (away <= step[:, None] / 2 * (1 + 1e-5) + 1e-38).all()


@given(WEIGHTS)
@settings(deadline=None, max_examples=60)
def test_four_bits_lose_no_more_than_the_plain_scale(weights: np.ndarray) -> None:
    found = rounded(torch.from_numpy(weights), 4)
    parts = weights.astype(np.float64).reshape(len(weights), -1, found.group)
    at = np.abs(parts).argmax(axis=2)[:, :, None]
    plain = np.take_along_axis(parts, at, axis=2) / -8
    plain[plain == 0] = 1
    lost = (np.clip(np.round(parts / plain), -8, 7) * plain - parts) ** 2
    own = (found.weights().double().numpy().reshape(parts.shape) - parts) ** 2
    assert found.values.min() >= -8
    assert found.values.max() <= 7
    # The scales that are tried are bfloat16 numbers, so every weight may be off by a little more.
    # Lengths of vectors of errors add up at most (triangle inequality); their squares don't.
    worst = np.sqrt(parts.shape[2]) * np.abs(plain[:, :, 0]) * 8 / 128
    assert (np.sqrt(own.sum(2)) <= np.sqrt(lost.sum(2)) + worst + 1e-15).all()


def test_groups() -> None:
    assert rounded(torch.randn(3, 4 * GROUP), 4).scales.shape == (3, 4)
    assert rounded(torch.randn(3, GROUP + 1), 4).scales.shape == (3, 1)
    assert rounded(torch.randn(3, 4 * GROUP), 8).scales.shape == (3, 1)


@pytest.mark.parametrize("bits", [4, 8])
def test_scales_are_bfloat16_numbers(bits: int) -> None:
    scales = rounded(torch.randn(7, 64), bits).scales  # type: ignore[arg-type]  # 4 and 8
    assert torch.equal(scales.to(torch.bfloat16).float(), scales)


def test_zeros_stay_zeros() -> None:
    for bits in (4, 8):
        found = rounded(torch.zeros(2, 64), bits)  # type: ignore[arg-type]  # 4 and 8
        assert torch.equal(found.weights(), torch.zeros(2, 64))


def test_rows_and_stacks_are_those_of_the_whole() -> None:
    parts = [rounded(torch.randn(4, 64), 4), rounded(torch.randn(6, 64), 4)]
    whole = Rounded.stacked(parts)
    assert torch.equal(whole.weights(), torch.cat([part.weights() for part in parts]))
    ids = torch.tensor([9, 0, 0])
    assert torch.equal(whole.rows(ids, torch.float32), whole.weights()[ids])
