"""What the official client gets is what `gradus generate` and transformers write."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

from gradus.generation import Decoding
from gradus.generation.base import seed_of

from .conftest import CHINESE

PROMPTS = ("The river", "“Where?” asked", "河水在夜里", "She counted the boats again.")


def greedy(model: Any, tokenizer: Any, prompt: str, tokens: int) -> str:
    """By transformers alone."""
    ids = torch.tensor([tokenizer(prompt)["input_ids"]])
    made = model.generate(ids, max_new_tokens=tokens, do_sample=False, pad_token_id=0)
    text = str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
    # A character that the end cuts in two is no text.
    return text.rstrip("\ufffd")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_greedy_text_is_that_of_transformers(
    client: Any, model: Any, tokenizer: Any, prompt: str
) -> None:
    found = client.completions.create(model="tiny", prompt=prompt, max_tokens=24, temperature=0)
    (choice,) = found.choices
    assert choice.text == greedy(model, tokenizer, prompt, 24)
    assert choice.finish_reason == "length"
    assert found.usage.prompt_tokens == len(tokenizer(prompt)["input_ids"])
    assert found.usage.completion_tokens == 24
    assert found.usage.total_tokens == found.usage.prompt_tokens + 24
    assert found.object == "text_completion"
    assert found.model == "tiny"


@pytest.mark.parametrize("settings", [{"temperature": 0}, {"temperature": 1.1, "top_p": 0.9}])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_chunks_of_a_stream_are_the_text(
    client: Any, prompt: str, settings: dict[str, Any]
) -> None:
    asked = {"model": "tiny", "prompt": prompt, "max_tokens": 40, "seed": 5, **settings}
    whole = client.completions.create(**asked)
    chunks = list(
        client.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    )
    *pieces, last = chunks
    assert "".join(one.choices[0].text for one in pieces) == whole.choices[0].text
    assert [one.choices[0].finish_reason for one in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert pieces[-1].choices[0].finish_reason == "length"
    assert all(one.usage is None for one in pieces)
    assert last.choices == []
    assert last.usage == whole.usage
    assert len({one.id for one in chunks}) == 1


def test_no_chunk_ends_within_a_character(client: Any, tokenizer: Any, model: Any) -> None:
    """Every token is a byte of a character here; those that are whole come whole."""
    text = ""
    for seed in range(6):
        chunks = client.completions.create(
            model="tiny", prompt=CHINESE, max_tokens=60, seed=seed, temperature=1.2, stream=True
        )
        text += "".join(one.choices[0].text for one in chunks)
        whole = client.completions.create(
            model="tiny", prompt=CHINESE, max_tokens=60, seed=seed, temperature=1.2
        )
        assert text.endswith(whole.choices[0].text)
    assert any("\u4e00" <= char <= "\u9fff" for char in text)


def test_seeds_are_those_of_generate(client: Any, writer: Any) -> None:
    asked = {"model": "tiny", "prompt": "The river", "max_tokens": 20, "temperature": 1.0, "n": 3}
    one, again = (client.completions.create(**asked, seed=7) for _ in range(2))
    texts = [choice.text for choice in one.choices]
    assert texts == [choice.text for choice in again.choices]
    settings = Decoding(max_tokens=20, temperature=1.0, seed=7)
    expected = writer.generate_all(["The river"] * 3, settings=settings)
    assert texts == [text.rstrip("\ufffd") for text in expected]
    assert len(set(texts)) == 3
    other = client.completions.create(**asked, seed=8)
    assert texts != [choice.text for choice in other.choices]
    unseeded = [client.completions.create(**asked).choices[0].text for _ in range(3)]
    assert len(set(unseeded)) > 1
    assert seed_of("The river", 0, settings) != seed_of("The river", 1, settings)


def test_several_prompts_and_token_ids(client: Any, tokenizer: Any) -> None:
    asked = {"model": "tiny", "max_tokens": 9, "temperature": 0}
    found = client.completions.create(**asked, prompt=list(PROMPTS), n=2)
    assert [choice.index for choice in found.choices] == list(range(2 * len(PROMPTS)))
    alone = [client.completions.create(**asked, prompt=p).choices[0].text for p in PROMPTS]
    assert [choice.text for choice in found.choices] == [t for text in alone for t in (text, text)]
    ids = [tokenizer(prompt)["input_ids"] for prompt in PROMPTS]
    assert found.usage.prompt_tokens == sum(map(len, ids))
    coded = client.completions.create(**asked, prompt=ids)
    assert [choice.text for choice in coded.choices] == alone
    single = client.completions.create(**asked, prompt=ids[0])
    assert [choice.text for choice in single.choices] == alone[:1]


@pytest.mark.parametrize("stream", [False, True])
def test_stop_strings_across_tokens(client: Any, stream: bool) -> None:
    asked = {"model": "tiny", "prompt": "The river", "max_tokens": 30, "temperature": 1, "seed": 2}
    whole = client.completions.create(**asked).choices[0].text
    assert len(set(whole)) > 5
    for start in range(1, len(whole) - 4, 4):
        stop = whole[start : start + 4]
        found = client.completions.create(**asked, stop=[stop, "never in it"], stream=stream)
        chunks = list(found) if stream else [found]
        assert "".join(one.choices[0].text for one in chunks) == whole[: whole.find(stop)]
        assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_prompt_is_echoed(client: Any) -> None:
    asked = {"model": "tiny", "prompt": PROMPTS[2], "max_tokens": 5, "temperature": 0}
    plain = client.completions.create(**asked).choices[0].text
    assert client.completions.create(**asked, echo=True).choices[0].text == PROMPTS[2] + plain
    chunks = client.completions.create(**asked, echo=True, stream=True)
    assert "".join(one.choices[0].text for one in chunks) == PROMPTS[2] + plain


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_are_the_models_own(
    client: Any, model: Any, tokenizer: Any, stream: bool
) -> None:
    found = client.completions.create(
        model="tiny", prompt="The river", max_tokens=12, temperature=0, logprobs=3, stream=stream
    )
    chunks = list(found) if stream else [found]
    parts = [one.choices[0].logprobs for one in chunks if one.choices[0].logprobs]
    text = "".join(one.choices[0].text for one in chunks)
    nats = [value for part in parts for value in part.token_logprobs]
    assert len(nats) == 12
    before = tokenizer("The river")["input_ids"]
    ids = torch.tensor([before])
    made = model.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0)
    with torch.no_grad():
        expected = model(made).logits[0].log_softmax(-1)
    for place, value in enumerate(nats, start=len(before) - 1):
        assert math.isclose(value, float(expected[place].max()), abs_tol=1e-4)
    offsets = [offset for part in parts for offset in part.text_offset]
    assert offsets == sorted(offsets)
    assert offsets[0] == 0
    assert offsets[-1] <= len(text)
    for part in parts:
        for token, value, top in zip(
            part.tokens, part.token_logprobs, part.top_logprobs, strict=True
        ):
            assert 1 <= len(top) <= 3
            assert math.isclose(top[token], value, abs_tol=1e-6)


def test_many_at_a_time_are_what_each_is_alone(client: Any) -> None:
    asked = [
        {
            "model": "tiny",
            "prompt": PROMPTS[number % len(PROMPTS)],
            "max_tokens": 10 + 7 * number,
            "temperature": 0.0 if number % 2 else 0.9,
            "seed": number,
        }
        for number in range(12)
    ]
    alone = [client.completions.create(**one).choices[0].text for one in asked]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda one: client.completions.create(**one), asked))
    assert [one.choices[0].text for one in found] == alone
