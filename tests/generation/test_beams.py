"""Beam search against transformers' own, and against all texts there are."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from gradus.generation import Decoding
from gradus.generation.beams import Search
from gradus.scoring.seam import encode

from .conftest import make_generator, make_model

PROMPTS = (
    "The river",
    "She counted the boats again. There were nine; one was",
    "The river rose in the night, and the bridge was closed before the first",
)
SETTINGS = (
    Decoding(max_tokens=10, beams=2),
    Decoding(max_tokens=10, beams=5),
    Decoding(max_tokens=10, beams=4, length_penalty=0.0),
    Decoding(max_tokens=10, beams=4, length_penalty=2.0),
    Decoding(max_tokens=10, beams=3, repetition_penalty=1.3),
)


def peer(model: Any, tokenizer: Any, prompt: str, settings: Decoding, ends: list[int]) -> Any:
    """The text, whether it ended by itself, and its score by transformers' beam search."""
    ids = torch.tensor(encode(tokenizer, [prompt]))
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=settings.max_tokens,
        do_sample=False,
        num_beams=settings.beams,
        length_penalty=settings.length_penalty,
        repetition_penalty=settings.repetition_penalty,
        eos_token_id=ends or None,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
    )
    new = made.sequences[0, ids.shape[1] :].tolist()
    size = next((n for n, token in enumerate(new) if token in ends), len(new))
    return tokenizer.decode(new[:size]), size < len(new), float(made.sequences_scores[0])


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.said)
@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("ends", [[], list(range(40, 90))], ids=["no end", "many ends"])
def test_texts_are_those_of_transformers(
    family: str, settings: Decoding, ends: list[int], tokenizer: Any, monkeypatch: Any
) -> None:
    model = make_model(family, tokenizer)
    writer = make_generator(family, tokenizer, ends=frozenset(ends))
    scores: list[float] = []
    best = Search.best.fget  # type: ignore[attr-defined]  # the property's own function

    def noted(search: Search) -> Any:
        found = best(search)
        scores.append(found.score(settings))
        return found

    monkeypatch.setattr(Search, "best", property(noted))
    found = writer.continuations(PROMPTS, settings=settings)
    for prompt, one, score in zip(PROMPTS, found, scores, strict=True):
        text, ended, expected = peer(model, tokenizer, prompt, settings, ends)
        assert (one.text, one.ended) == (text, ended)
        assert score == pytest.approx(expected, abs=1e-4)
    if not ends:
        assert {(one.tokens, one.ended) for one in found} == {(settings.max_tokens, False)}


def test_a_search_wide_enough_finds_the_best_text_there_is() -> None:
    size, most, end = 4, 3, 3
    settings = Decoding(max_tokens=most, beams=size**most, length_penalty=0.0)

    def row(ids: tuple[int, ...]) -> torch.Tensor:
        draw = torch.Generator().manual_seed(hash(ids) % 2**31)
        return 2 * torch.randn(size, generator=draw, dtype=torch.float64)

    def nats(ids: tuple[int, ...]) -> float:
        return sum(float(row(ids[:n]).log_softmax(dim=-1)[token]) for n, token in enumerate(ids))

    whole = [
        ids
        for length in range(1, most + 1)
        for ids in itertools.product(range(size), repeat=length)
        if end not in ids[:-1] and (ids[-1] == end or length == most)
    ]
    search = Search([0], settings, frozenset({end}), lambda ids: False)
    while not search.done:
        search.take(torch.stack([row(beam.ids) for beam in search.beams]))
    assert search.best.ids == max(whole, key=nats)
    assert search.best.nats == pytest.approx(nats(search.best.ids))


def test_one_beam_among_many_is_no_worse_than_greedy(tokenizer: Any) -> None:
    model = make_model("llama", tokenizer)
    writer = make_generator("llama", tokenizer)

    def nats(prompt: str, text: str) -> float:
        (before,), (whole,) = encode(tokenizer, [prompt]), encode(tokenizer, [prompt + text])
        with torch.inference_mode():
            rows = model(torch.tensor([whole])).logits[0].double().log_softmax(dim=-1)
        return sum(float(rows[n - 1, whole[n]]) for n in range(len(before), len(whole)))

    greedy = writer.generate(PROMPTS[0], Decoding(max_tokens=6))
    searched = writer.generate(PROMPTS[0], Decoding(max_tokens=6, beams=6))
    assert searched != greedy
    assert nats(PROMPTS[0], searched) > nats(PROMPTS[0], greedy)


@pytest.mark.parametrize("settings", SETTINGS[1:], ids=lambda settings: settings.said)
def test_a_family_without_a_decoder_searches_too(settings: Decoding, tokenizer: Any) -> None:
    ours, own = (make_generator("llama", tokenizer, plain=plain) for plain in (False, True))
    found = ours.continuations(PROMPTS, settings=settings)
    assert found == own.continuations(PROMPTS, settings=settings)


def test_stop_strings_end_a_beam(tokenizer: Any) -> None:
    ours, own = (make_generator("gpt2", tokenizer, plain=plain) for plain in (False, True))
    settings = Decoding(max_tokens=12, beams=3, length_penalty=0.0)
    stop = ours.generate(PROMPTS[0], settings)[2:4]
    settings = settings.model_copy(update={"stop": (stop, "never in it")})
    found = ours.continuations(PROMPTS, settings=settings)
    assert all(stop not in one.text for one in found)
    assert any(one.ended for one in found)
    assert own.continuations(PROMPTS, settings=settings) == found
