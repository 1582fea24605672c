from __future__ import annotations

import copy
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from gradus.errors import UsageError
from gradus.generation import Cut, Decoding, settings_of
from gradus.generation.sampling import choose, draws


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 1.0, "top_k": 0}, "top_k"),
        ({"temperature": 1.0, "top_p": 0.0}, "top_p"),
        ({"temperature": 1.0, "top_p": 1.5}, "top_p"),
        ({"stop": [""]}, "stop"),
        ({"seed": -1}, "seed"),
        ({"topk": 3}, "topk"),
        ({"top_k": 3}, "temperature 0"),
        ({"top_p": 0.9}, "temperature 0"),
        ({"min_p": 0.1}, "temperature 0"),
        ({"typical_p": 0.9}, "temperature 0"),
        ({"temperature": 1.0, "min_p": 1.1}, "min_p"),
        ({"temperature": 1.0, "typical_p": 0.0}, "typical_p"),
        ({"beams": 0}, "beams"),
        ({"beams": 2, "temperature": 1.0}, "leave one of the two out"),
        ({"length_penalty": 2.0}, "compares beams"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"presence_penalty": float("inf")}, "presence_penalty"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        Decoding.model_validate(given)


def test_settings_are_said_in_words() -> None:
    assert Decoding().said == "greedy, at most 64 tokens"
    said = Decoding(temperature=0.5, top_k=2, top_p=0.9, stop=("\n",), seed=3, max_tokens=1).said
    expected = 'temperature 0.5, top-k 2, top-p 0.9, at most 1 token, stops at "\\n", seed 3'
    assert said == expected
    settings = Decoding(beams=3, repetition_penalty=1.2, presence_penalty=0.5)
    assert settings.said == (
        "3 beams, length penalty 1, repetition penalty 1.2, presence penalty 0.5, at most 64 tokens"
    )
    drawn = Decoding(temperature=1.0, min_p=0.05, typical_p=0.9)
    assert drawn.said == "temperature 1, min-p 0.05, typical-p 0.9, at most 64 tokens, seed 0"


def test_settings_are_one_error_in_the_words_of_who_gave_them() -> None:
    with pytest.raises(UsageError, match=r"top_p: .*less than or equal to 1; seed: "):
        settings_of({"temperature": 1.0, "top_p": 2.0, "seed": -1})
    with pytest.raises(UsageError, match=r"^--min-p: "):
        settings_of({"temperature": 1.0, "min_p": 2.0}, flags=True)
    with pytest.raises(UsageError, match="did you mean 'temperature'"):
        settings_of({"temprature": 1.0})
    with pytest.raises(UsageError, match=r"^top_k limits what is drawn from"):
        settings_of({"top_k": 2})
    assert settings_of({"beams": 2}) == Decoding(beams=2)


def test_a_cut_is_the_string_of_both() -> None:
    prompt = Cut("body", " end")
    assert prompt == "body end"
    for again in (copy.copy(prompt), pickle.loads(pickle.dumps(prompt))):  # noqa: S301
        assert (again.body, again.ending) == ("body", " end")


def probabilities(logits: np.ndarray, settings: Decoding) -> np.ndarray:
    """By the definitions, token by token, in float64."""
    scaled = logits.astype(np.float64) / settings.temperature
    if settings.top_k is not None:
        kept = np.argsort(-scaled, kind="stable")[: settings.top_k]
        scaled = np.where(np.isin(np.arange(len(scaled)), kept), scaled, -np.inf)
    shares = np.exp(scaled - scaled.max())
    shares /= shares.sum()
    if settings.top_p is not None:
        total = 0.0
        for token in np.argsort(-shares, kind="stable"):
            if total >= settings.top_p:
                shares[token] = 0.0
            total += shares[token]
    found: np.ndarray = shares / shares.sum()
    return found


@pytest.mark.parametrize(
    "settings",
    [
        Decoding(temperature=1.0),
        Decoding(temperature=0.4),
        Decoding(temperature=1.5, top_k=3),
        Decoding(temperature=1.0, top_p=0.6),
        Decoding(temperature=0.9, top_k=5, top_p=0.7),
    ],
    ids=lambda settings: settings.said,
)
def test_tokens_are_drawn_as_often_as_they_should_be(settings: Decoding) -> None:
    logits = torch.randn(12, generator=torch.Generator().manual_seed(1)) * 2
    expected = probabilities(logits.numpy(), settings)
    n = 20_000
    uniform = torch.from_numpy(draws(7).random(n))
    counts = Counter(choose(logits.expand(n, -1), settings, uniform).tolist())
    found = np.array([counts[token] for token in range(12)]) / n
    assert (found[expected == 0] == 0).all()
    assert np.abs(found - expected).max() < 4 * np.sqrt(0.25 / n)


def test_a_row_is_drawn_by_its_own_number() -> None:
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(2))
    uniform = torch.rand(6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    for settings in (Decoding(temperature=1.0), Decoding(temperature=1.0, top_p=0.8)):
        together = choose(logits, settings, uniform)
        alone = [choose(logits[i : i + 1], settings, uniform[i : i + 1])[0] for i in range(6)]
        assert together.tolist() == [int(token) for token in alone]


def test_the_greatest_number_still_gives_a_token_that_may_be_drawn() -> None:
    logits = torch.tensor([[0.0, 5.0, float("-inf"), float("-inf")]])
    nearly_one = torch.tensor([np.nextafter(1.0, 0.0)], dtype=torch.float64)
    assert choose(logits, Decoding(temperature=1.0), nearly_one).tolist() == [1]
    assert choose(logits, Decoding(), nearly_one).tolist() == [1]
    first = choose(logits, Decoding(temperature=1.0, top_k=1), torch.zeros(1, dtype=torch.float64))
    assert first.tolist() == [1]
