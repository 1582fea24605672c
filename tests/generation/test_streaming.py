"""Texts while they are written, and what is known of them when they are done."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradus.generation import Decoding
from gradus.generation.base import Continuation
from gradus.generation.texts import certain, cut_at

from .conftest import make_generator, make_model

PROMPTS = ("The river", "“Where?” asked", "She counted the boats again.")
SETTINGS = (
    Decoding(max_tokens=20),
    Decoding(max_tokens=20, temperature=1.0, top_p=0.9, seed=3),
    Decoding(max_tokens=8, beams=3),
    Decoding(max_tokens=16, repetition_penalty=1.5, frequency_penalty=0.4),
)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.said)
@pytest.mark.parametrize("plain", [False, True], ids=["own", "transformers"])
def test_the_pieces_are_the_text(plain: bool, settings: Decoding, tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer, plain=plain)
    for prompt in PROMPTS:
        pieces: list[str] = []
        found = writer.stream(prompt, settings, told=pieces.append)
        assert "".join(pieces) == found.text == writer.generate(prompt, settings)
        assert len([piece for piece in pieces if piece]) > (settings.beams == 1)


@pytest.mark.parametrize("plain", [False, True], ids=["own", "transformers"])
def test_nothing_of_a_stop_string_is_told(plain: bool, tokenizer: Any) -> None:
    writer = make_generator("gpt2", tokenizer, plain=plain)
    whole = writer.generate("The river", Decoding(max_tokens=24))
    for start in range(1, len(whole) - 5, 4):
        settings = Decoding(max_tokens=24, stop=(whole[start : start + 5], "never in it"))
        pieces: list[str] = []
        found = writer.stream("The river", settings, told=pieces.append)
        assert "".join(pieces) == found.text == cut_at(whole, settings.stop)


def test_a_second_text_of_a_prompt_is_the_generators_second(tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer)
    settings = Decoding(max_tokens=12, temperature=1.0)
    expected = writer.continuations(["The river"] * 2, settings=settings)
    found = [writer.stream("The river", settings, told=len, time=time) for time in (0, 1)]
    assert found == expected
    assert found[0] != found[1]


@pytest.mark.parametrize("plain", [False, True], ids=["own", "transformers"])
def test_why_a_text_ended_and_how_long_it_is(plain: bool, tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer, plain=plain)
    (cut,) = writer.continuations(["The river"], settings=Decoding(max_tokens=9))
    assert cut == Continuation(cut.text, 9, False)
    settings = Decoding(max_tokens=9, stop=(cut.text[3:5],))
    (stopped,) = writer.continuations(["The river"], settings=settings)
    assert stopped.ended
    assert stopped.tokens < 9
    before = torch.tensor([tokenizer("The river")["input_ids"]])
    made: Any = make_model("llama", tokenizer).generate(
        before, max_new_tokens=9, do_sample=False, pad_token_id=0
    )
    ids = made[0, before.shape[1] :].tolist()
    end = ids[4]
    other = make_generator("llama", tokenizer, plain=plain, ends=frozenset({end}))
    (ended,) = other.continuations(["The river"], settings=Decoding(max_tokens=9))
    assert ended.ended
    assert ended.tokens == ids.index(end)


@pytest.mark.parametrize(
    "settings",
    [
        Decoding(max_tokens=16, repetition_penalty=1.4),
        Decoding(max_tokens=16, frequency_penalty=0.7, presence_penalty=0.2),
        Decoding(max_tokens=16, temperature=1.0, presence_penalty=2.0),
    ],
    ids=lambda settings: settings.said,
)
def test_penalties_are_the_same_in_a_batch_alone_and_by_transformers(
    settings: Decoding, tokenizer: Any
) -> None:
    ours, own = (make_generator("llama", tokenizer, plain=plain) for plain in (False, True))
    found = ours.generate_all(PROMPTS, settings=settings)
    assert found == [ours.generate(prompt, settings) for prompt in PROMPTS]
    assert found == own.generate_all(PROMPTS, settings=settings)
    plain = settings.model_copy(
        update={"repetition_penalty": 1.0, "frequency_penalty": 0.0, "presence_penalty": 0.0}
    )
    assert found != ours.generate_all(PROMPTS, settings=plain)


@given(st.text("ab\ufffd ", max_size=12), st.lists(st.text("ab ", min_size=1), max_size=3))
def test_what_is_certain_stays_whatever_follows(text: str, stop: list[str]) -> None:
    if any(one in text for one in stop):
        return
    sure = certain(text, stop)
    assert text.startswith(sure)
    for more in ("", "a", "b", "ab", "ba", "aab", "bab b"):
        whole = text.rstrip("\ufffd") + more
        assert cut_at(whole, stop).startswith(sure)
