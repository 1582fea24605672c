"""Texts that begin and end at different times are those that each prompt has alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.generation import Decoding
from gradus.generation.base import seed_of
from gradus.generation.cache import Cache
from gradus.generation.continuous import Continuous
from gradus.generation.flowing import Flowing
from gradus.generation.pieces import Asked, Piece
from gradus.generation.torch_backend import TorchGenerator

from .conftest import TEXTS, make_generator, make_model, make_tokenizer

PROMPTS = ("The river", "“Where?” asked", "She counted the boats again. There were nine;", "o")
HALF = "\ufffd"
WAYS = (
    Decoding(max_tokens=12),
    Decoding(max_tokens=30, temperature=1.0, top_p=0.9, seed=3),
    Decoding(max_tokens=9, temperature=0.7, top_k=5),
    Decoding(max_tokens=25, repetition_penalty=1.5, frequency_penalty=0.4),
)


@pytest.fixture(autouse=True, scope="module")
def memory_of_no_numbers() -> Iterator[None]:
    """Memory that is fresh may hold anything."""
    begin = Cache.begin

    def soiled(self: Cache, rows: int, slots: int) -> None:
        begin(self, rows, slots)
        self._held.fill_(math.nan)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cache, "begin", soiled)
        yield


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen3"])
def writer(request: pytest.FixtureRequest) -> TorchGenerator:
    found = make_generator(request.param, make_tokenizer(TEXTS))
    assert isinstance(found, TorchGenerator)
    return found


def asked(writer: Any, prompt: str, way: Decoding, top: int | None = None) -> Asked:
    ids = writer.tokenizer(prompt)["input_ids"]
    return Asked(tuple(ids), way, seed_of(prompt, 0, way), top)


def finish(batch: Continuous, pieces: dict[int, list[Piece]]) -> None:
    while batch.busy:
        for ticket, piece in batch.step():
            pieces.setdefault(ticket, []).append(piece)


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(PROMPTS), st.sampled_from(WAYS), st.integers(0, 9)),
        min_size=1,
        max_size=8,
    ),
    st.integers(1, 5),
)
def test_whenever_a_text_begins_it_is_that_of_its_prompt(
    writer: TorchGenerator, given: list[tuple[str, Decoding, int]], rows: int
) -> None:
    batch = writer.continuous(rows)
    pieces: dict[int, list[Piece]] = {}
    tickets = []
    for prompt, way, steps in given:
        tickets.append(batch.add(asked(writer, prompt, way)))
        for _ in range(steps):
            for ticket, piece in batch.step():
                pieces.setdefault(ticket, []).append(piece)
            assert batch.running <= rows
    finish(batch, pieces)
    for ticket, (prompt, way, _) in zip(tickets, given, strict=True):
        (expected,) = writer.continuations([prompt], settings=way)
        found = pieces[ticket]
        # A character that the end cuts in two is no text here.
        assert "".join(piece.text for piece in found).rstrip(HALF) == expected.text.rstrip(HALF)
        assert found[-1].tokens == expected.tokens
        assert found[-1].finish == ("stop" if expected.ended else "length")
        assert all(piece.finish is None for piece in found[:-1])


def test_a_text_that_is_cancelled_leaves_the_others_as_they_are(writer: TorchGenerator) -> None:
    way = Decoding(max_tokens=30)
    batch, pieces = writer.continuous(), {}
    tickets = [batch.add(asked(writer, prompt, way)) for prompt in PROMPTS]
    for _ in range(4):
        batch.step()
    batch.cancel(tickets[0])
    batch.cancel(tickets[2])
    assert batch.running == 2
    finish(batch, pieces)
    assert not {tickets[0], tickets[2]} & pieces.keys()
    late = batch.add(asked(writer, PROMPTS[0], way))
    batch.cancel(late)
    assert not batch.busy


def test_a_prompt_that_begins_like_another_is_read_from_where_it_differs(
    writer: TorchGenerator,
) -> None:
    start = "She counted the boats again. There were nine; one was missing"
    batch, pieces = writer.continuous(), {}
    way = Decoding(max_tokens=8)
    first = asked(writer, start + ", as he", way)
    batch.add(first)
    finish(batch, pieces)
    read = batch.tokens_read
    second = asked(writer, start + " and so on", way)
    ticket = batch.add(second)
    finish(batch, pieces)
    same = next(n for n, (a, b) in enumerate(zip(first.ids, second.ids, strict=False)) if a != b)
    assert batch.tokens_read - read == len(second.ids) - same
    expected = writer.generate(start + " and so on", way)
    assert "".join(piece.text for piece in pieces[ticket]) == expected.rstrip(HALF)


def test_the_slots_bound_how_many_are_written_at_a_time() -> None:
    writer: Any = make_generator("llama", make_tokenizer(TEXTS), slots=100)
    batch = writer.continuous(8)
    for _ in range(6):
        batch.add(asked(writer, "The river", Decoding(max_tokens=40)))
    most = 0
    while batch.busy:
        batch.step()
        most = max(most, batch.running)
    assert most == 2


def test_log_probabilities_are_the_models_own(writer: TorchGenerator) -> None:
    family = writer.digest
    tokenizer: Any = writer.tokenizer
    model = make_model(family, tokenizer)
    batch, pieces = writer.continuous(), {}
    way = Decoding(max_tokens=10, temperature=1.0, seed=4, repetition_penalty=1.3)
    one = asked(writer, "The river", way, top=3)
    ticket = batch.add(one)
    batch.add(asked(writer, PROMPTS[2], way))
    finish(batch, pieces)
    said = [each for piece in pieces[ticket] for each in piece.said]
    assert len(said) == 10
    ids = [*one.ids, *(each.id for each in said)]
    with torch.no_grad():
        nats = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    for place, each in enumerate(said, start=len(one.ids) - 1):
        assert math.isclose(each.nats, float(nats[place, each.id]), abs_tol=1e-4)
        best = nats[place].topk(3)
        assert [token for token, _ in each.top] == best.indices.tolist()
        assert each.start <= len("".join(piece.text for piece in pieces[ticket]))
    text = tokenizer.decode([each.id for each in said])
    assert text.rstrip(HALF) == "".join(piece.text for piece in pieces[ticket])


def test_stop_strings_across_tokens(writer: TorchGenerator) -> None:
    whole = writer.generate("The river", Decoding(max_tokens=24))
    for start in range(1, len(whole) - 5, 3):
        way = Decoding(max_tokens=24, stop=(whole[start : start + 5], "never in it"))
        batch, pieces = writer.continuous(), {}
        ticket = batch.add(asked(writer, "The river", way, top=0))
        finish(batch, pieces)
        found = pieces[ticket]
        (expected,) = writer.continuations(["The river"], settings=way)
        assert "".join(piece.text for piece in found) == expected.text
        assert found[-1].finish == "stop"
        assert all(one.start < len(expected.text) for piece in found for one in piece.said)


def test_no_half_character_is_told() -> None:
    tokenizer = make_tokenizer(TEXTS)
    ids = tokenizer("河")["input_ids"]
    assert len(ids) == 3
    text = Flowing(tokenizer, (1,), ())
    told = []
    for token in [*ids, *ids[:2]]:
        text.add(token)
        told.append(text.fresh())
    assert told == ["", "", "河", "", ""]
    assert text.fresh(last=True) == ""
    assert text.text == "河"
