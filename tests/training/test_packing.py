from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradus.training import packing
from gradus.training.packing import (
    Layout,
    Tokens,
    epoch_batches,
    inference_batches,
    laid_out,
    packed_attention,
)

LENGTHS = st.lists(st.integers(1, 30), min_size=1, max_size=60)


class Attention(torch.nn.Module):
    def __init__(self, is_causal: bool) -> None:
        super().__init__()
        self.is_causal = is_causal


def by_hand(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, window: int | None
) -> torch.Tensor:
    """Attention of one text in float64, head by head: [h, L, k]."""
    repeat = q.shape[0] // k.shape[0]
    q, k, v = (
        q.double(),
        k.double().repeat_interleave(repeat, 0),
        v.double().repeat_interleave(repeat, 0),
    )
    scores = q @ k.transpose(1, 2) / 3.0
    length = q.shape[1]
    for i in range(length):
        for j in range(length):
            hidden = (causal and j > i) or (window is not None and abs(i - j) >= window)
            if hidden:
                scores[:, i, j] = -torch.inf
    return scores.softmax(-1) @ v


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("kv_heads", [4, 2])
@pytest.mark.parametrize("short", [0, 5, 64])
def test_packed_attention_is_attention_text_by_text(
    causal: bool, window: int | None, kv_heads: int, short: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "SHORT", short)
    torch.manual_seed(0)
    lengths = [2, 2, 5, 7]
    query, key, value = (torch.randn(1, h, sum(lengths), 8) for h in (4, kv_heads, kv_heads))
    with laid_out(Layout.of(lengths)):
        got, _ = packed_attention(
            Attention(causal), query, key, value, None, scaling=1 / 3.0, sliding_window=window
        )
    start = 0
    for length in lengths:
        part = slice(start, start + length)
        expected = by_hand(query[0, :, part], key[0, :, part], value[0, :, part], causal, window)
        torch.testing.assert_close(
            got[0, part].transpose(0, 1).double(), expected, atol=1e-5, rtol=0
        )
        start += length


@given(LENGTHS)
def test_a_layout_says_where_every_token_is(lengths: list[int]) -> None:
    layout = Layout.of(lengths)
    assert layout.texts == len(lengths)
    assert layout.tokens == sum(lengths)
    assert layout.positions().tolist() == [p for n in lengths for p in range(n)]
    assert sum(part.stop - part.start for part, _, _ in layout.slices()) == layout.tokens


@given(LENGTHS, st.randoms())
def test_a_batch_holds_its_texts_ordered_by_length(lengths: list[int], random: object) -> None:
    texts = [[100 * i + j for j in range(n)] for i, n in enumerate(lengths)]
    tokens = Tokens(texts)
    rows = list(range(len(texts)))
    random.shuffle(rows)  # type: ignore[attr-defined]  # hypothesis hands a random.Random
    batch = tokens.batch(rows)
    assert batch.ids.tolist() == [i for row in batch.rows for i in texts[row]]
    assert sorted(batch.rows.tolist()) == list(range(len(texts)))
    assert [lengths[r] for r in batch.rows] == sorted(lengths)


@given(LENGTHS, st.integers(1, 64), st.integers(0, 5), st.booleans())
def test_an_epoch_sees_every_text_once(
    lengths: list[int], bound: int, epoch: int, by_tokens: bool
) -> None:
    sizes = np.array(lengths)
    size, tokens = (None, bound) if by_tokens else (bound, None)
    batches = epoch_batches(sizes, (3, 0, epoch), size=size, tokens=tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        if by_tokens:
            assert len(batch) == 1 or sizes[batch].sum() <= bound
        else:
            assert len(batch) <= bound


def test_epochs_differ_and_repeat() -> None:
    lengths = np.arange(1, 101)
    first, again, second = (
        np.concatenate(epoch_batches(lengths, (7, 1, epoch), size=8, tokens=None)).tolist()
        for epoch in (0, 0, 1)
    )
    assert first == again
    assert first != second


@given(LENGTHS, st.integers(1, 64))
def test_inference_batches_are_sorted_and_bounded(lengths: list[int], bound: int) -> None:
    sizes = np.array(lengths)
    batches = inference_batches(sizes, bound)
    order = np.concatenate(batches)
    assert sorted(order.tolist()) == list(range(len(lengths)))
    assert (np.diff(sizes[order]) >= 0).all()
    assert all(len(b) == 1 or sizes[b].sum() <= bound for b in batches)
