"""What tokens are drawn from, against transformers' own processors and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gradus.generation import Decoding
from gradus.generation.sampling import choose, distribution, draws, penalised

SETTINGS = (
    Decoding(temperature=1.0),
    Decoding(temperature=0.7, top_k=9),
    Decoding(temperature=1.3, top_p=0.8),
    Decoding(temperature=1.0, min_p=0.1),
    Decoding(temperature=1.0, typical_p=0.6),
    Decoding(temperature=1.0, typical_p=0.2),
    Decoding(temperature=1.2, top_k=25, top_p=0.9, min_p=0.05, typical_p=0.8),
    Decoding(temperature=0.8, top_p=0.9, repetition_penalty=1.5),
    Decoding(temperature=0.8, top_k=20, typical_p=0.9, repetition_penalty=0.8),
)
VOCABULARY = 60


def logits_of(seed: int, rows: int = 1) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return 2.5 * torch.randn(rows, VOCABULARY, generator=draw, dtype=torch.float64)


def by_transformers(logits: torch.Tensor, settings: Decoding, ids: list[int]) -> torch.Tensor:
    """The distribution that transformers draws from."""
    import transformers as t

    steps: list[Any] = []
    if settings.repetition_penalty != 1:
        steps.append(t.RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
    steps.append(t.TemperatureLogitsWarper(settings.temperature))
    if settings.top_k is not None:
        steps.append(t.TopKLogitsWarper(settings.top_k))
    if settings.top_p is not None:
        steps.append(t.TopPLogitsWarper(settings.top_p))
    if settings.min_p is not None:
        steps.append(t.MinPLogitsWarper(settings.min_p))
    if settings.typical_p is not None:
        steps.append(t.TypicalLogitsWarper(settings.typical_p))
    found = logits.clone()
    for step in steps:
        found = step(torch.tensor([ids]), found)
    return found.softmax(dim=-1)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.said)
def test_the_distribution_is_that_of_transformers(settings: Decoding) -> None:
    kept = set()
    for seed in range(25):
        logits, ids = logits_of(seed), [seed, 3, 3, 59]
        left = penalised(logits, settings, [ids[:2]], [ids[2:]])
        found, expected = distribution(left, settings), by_transformers(logits, settings, ids)
        assert torch.allclose(found, expected, atol=1e-12)
        kept.add(int((found > 0).sum()))
    filtered = settings.top_p or settings.min_p or settings.typical_p
    assert len(kept) > 1 if filtered else max(kept) == (settings.top_k or VOCABULARY)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.said)
def test_draws_have_the_distribution(settings: Decoding) -> None:
    left = penalised(logits_of(4) / 2, settings, [[1, 2]], [[3]])
    expected = distribution(left, settings)[0].numpy()
    n = 20_000
    uniform = torch.from_numpy(draws(11).random(n))
    drawn = choose(left.expand(n, -1), settings, uniform).numpy()
    counts = np.bincount(drawn, minlength=VOCABULARY)
    assert (counts[expected == 0] == 0).all()
    # Tokens that are rarely drawn are pooled: the test wants at least five of each expected.
    common = expected * n >= 5
    seen = [*counts[common], counts[~common].sum()]
    wanted = [*(n * expected[common]), n * expected[~common].sum()]
    pairs = [(s, w) for s, w in zip(seen, wanted, strict=True) if w > 0]
    assert len(pairs) > 1
    observed, model = zip(*pairs, strict=True)
    assert stats.chisquare(observed, model).pvalue > 1e-3


@given(
    st.integers(0, 10_000),
    st.floats(0.2, 3),
    st.none() | st.integers(1, 70),
    st.none() | st.floats(0.01, 1),
    st.none() | st.floats(0.01, 1),
    st.none() | st.floats(0.01, 1),
    st.floats(0, 1, exclude_max=True),
)
def test_a_draw_is_of_what_was_kept(
    seed: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    typical_p: float | None,
    number: float,
) -> None:
    settings = Decoding(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p
    )
    logits = logits_of(seed, rows=2)
    found = distribution(logits, settings)
    assert torch.allclose(found.sum(dim=-1), torch.ones(2, dtype=torch.float64))
    tokens = choose(logits, settings, torch.full((2,), number, dtype=torch.float64))
    assert (found.gather(1, tokens[:, None]) > 0).all()
    # What is drawn from never has a token that is less likely than temperature alone makes it.
    plain = (logits / temperature).softmax(dim=-1)
    assert ((found == 0) | (found >= plain - 1e-12)).all()


def test_counts_of_what_was_written_are_taken_off() -> None:
    logits = logits_of(1, rows=2)
    settings = Decoding(frequency_penalty=0.5, presence_penalty=0.25)
    found = penalised(logits, settings, [[7, 7], []], [[3, 3, 5], []])
    expected = logits.clone()
    expected[0, 3] -= 2 * 0.5 + 0.25
    expected[0, 5] -= 0.5 + 0.25
    assert torch.equal(found, expected)  # the prompt's tokens aren't counted
    assert penalised(logits, Decoding(), [[1], [1]], [[2], [2]]) is logits


def test_tokens_that_the_model_has_no_word_for_are_passed_over() -> None:
    settings = Decoding(repetition_penalty=2.0)
    found = penalised(logits_of(2), settings, [[VOCABULARY + 3, 1]], [[]])
    assert (found != logits_of(2)).nonzero().tolist() == [[0, 1]]
