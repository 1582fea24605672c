from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from gradus.errors import UsageError
from gradus.generation import Cut, Decoding, decoder
from gradus.generation.base import Generator
from gradus.scoring.seam import encode

from .conftest import TEXTS, make_generator, make_model

DIRECT = ("llama", "gpt2", "qwen", "qwen3")
PROMPTS = (
    "The river",
    "She counted the boats again. There were nine; one was",
    "“Where?” asked",
    "The river rose in the night, and the bridge was closed before the first",
    "The river rose in the night, and the bridge was closed before she",
)


def peer(model: Any, tokenizer: Any, prompt: str, tokens: int) -> str:
    """By transformers' own loop, at batch 1."""
    ids = torch.tensor(encode(tokenizer, [prompt]))
    made = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        pad_token_id=0,
    )
    text: str = tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True)
    return text


@pytest.mark.parametrize("family", DIRECT)
def test_greedy_text_is_that_of_transformers(family: str, tokenizer: Any) -> None:
    model = make_model(family, tokenizer)
    expected = [peer(model, tokenizer, prompt, 24) for prompt in PROMPTS]
    assert len(set(expected)) > 2  # a model that says one thing would agree with anything
    writer = make_generator(family, tokenizer)
    assert writer.generate_all(PROMPTS, settings=Decoding(max_tokens=24)) == expected


def test_greedy_text_is_the_same_by_the_models_own_loop(tokenizer: Any) -> None:
    ours, own = (make_generator("llama", tokenizer, plain=plain) for plain in (False, True))
    for settings in (Decoding(max_tokens=12), Decoding(max_tokens=12, temperature=0.9, top_k=8)):
        found = ours.generate_all(PROMPTS, settings=settings)
        assert found == own.generate_all(PROMPTS, settings=settings)
    assert ours.tokens_written == own.tokens_written


@pytest.mark.parametrize("family", ["qwen-window", "neox", "gemma2", "bloom"])
def test_a_family_without_a_decoder_has_none(family: str) -> None:
    assert decoder.of(make_model(family, None), torch.float32) is None


def test_a_model_that_computes_something_else_is_found_out(tokenizer: Any) -> None:
    model = make_model("llama", tokenizer)
    assert decoder.of(model, torch.float32) is not None
    model.model.layers[1].mlp.register_forward_hook(lambda _, __, out: out * 1.01)
    assert decoder.of(model, torch.float32) is None


SAMPLED = Decoding(max_tokens=16, temperature=1.0, top_p=0.95, seed=4)


@pytest.mark.parametrize("settings", [Decoding(max_tokens=16), SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_text_does_not_depend_on_those_beside_it(
    family: str, settings: Decoding, tokenizer: Any
) -> None:
    writer = make_generator(family, tokenizer)
    together = writer.generate_all(PROMPTS, settings=settings)
    alone = [writer.generate(prompt, settings) for prompt in PROMPTS]
    assert together == alone
    turned = writer.generate_all(PROMPTS[::-1], settings=settings)
    assert turned[::-1] == together
    small = make_generator(family, tokenizer, slots=40)
    assert small.generate_all(PROMPTS, settings=settings) == together


def test_seeds_are_reproducible_and_differ(tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer)
    twice = writer.generate_all(["The river"] * 2, settings=SAMPLED)
    assert twice[0] != twice[1]
    assert make_generator("llama", tokenizer).generate_all(["The river"], settings=SAMPLED) == [
        twice[0]
    ]
    other = SAMPLED.model_copy(update={"seed": 5})
    assert writer.generate("The river", other) != twice[0]


def test_what_is_drawn_does_not_change_with_length_or_stops(tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer)
    long = writer.generate("The river", SAMPLED)
    short = writer.generate("The river", SAMPLED.model_copy(update={"max_tokens": 5}))
    assert short
    assert long.startswith(short)
    stop = long[6:8]
    cut = writer.generate("The river", SAMPLED.model_copy(update={"stop": (stop,)}))
    assert cut == long[: long.index(stop)]


@pytest.mark.parametrize("plain", [False, True])
def test_stop_strings_cut_exactly(plain: bool, tokenizer: Any) -> None:
    writer = make_generator("gpt2", tokenizer, plain=plain)
    whole = [writer.generate(prompt, Decoding(max_tokens=20)) for prompt in PROMPTS]
    before = writer.tokens_written
    for prompt, text in zip(PROMPTS, whole, strict=True):
        for start in range(1, len(text) - 2, 3):
            stops = (text[start : start + 2], "never in it")
            ends = [place for stop in stops if (place := text.find(stop)) >= 0]
            settings = Decoding(max_tokens=20, stop=stops)
            assert writer.generate(prompt, settings) == text[: min(ends)]
    runs = sum(len(range(1, len(text) - 2, 3)) for text in whole)
    assert writer.tokens_written - before < 20 * runs  # it did stop there


def test_an_end_token_ends_the_text(tokenizer: Any) -> None:
    model = make_model("llama", tokenizer)
    (first,) = encode(tokenizer, PROMPTS[:1])
    given = torch.tensor([first])
    made = model.generate(given, max_new_tokens=20, do_sample=False, pad_token_id=0)
    ids = made[0, len(first) :].tolist()
    end = ids[4]
    writer = make_generator("llama", tokenizer, ends=frozenset({end}))
    found = writer.generate_all(PROMPTS, settings=Decoding(max_tokens=20))
    assert found[0] == tokenizer.decode(ids[: ids.index(end)])


def test_prompts_that_begin_alike_are_fed_once(tokenizer: Any) -> None:
    head = " ".join(TEXTS)
    prompts = [f"{head} {word}" for word in ("The", "She counted", "boats", "nine")]
    lengths = [len(row) for row in encode(tokenizer, prompts)]
    writer = make_generator("llama", tokenizer)
    found = writer.generate_all(prompts, settings=Decoding(max_tokens=3))
    assert writer.tokens_seen < max(lengths) + 4 * 12
    alone = make_generator("llama", tokenizer)
    assert found == [alone.generate(prompt, Decoding(max_tokens=3)) for prompt in prompts]
    assert alone.tokens_seen == sum(lengths) + 4 * 2


def test_a_prompt_that_is_too_long_loses_its_beginning(tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer, limit=30)
    long = "".join(reversed(TEXTS[0]))
    (ids,) = encode(tokenizer, [long])
    assert len(ids) > 30
    kept = tokenizer.decode(ids[-20:])
    settings = Decoding(max_tokens=10)
    assert encode(tokenizer, [kept])[0] == ids[-20:]
    assert writer.generate(long, settings) == writer.generate(kept, settings)


def test_a_cut_that_is_too_long_loses_the_end_of_its_body(tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer, limit=30)
    fed: list[tuple[int, ...]] = []
    inner = writer._prompts  # type: ignore[attr-defined]  # what is fed is what is asked about
    writer._prompts = lambda rows, new: (fed.extend(rows), inner(rows, new))[1]  # type: ignore[attr-defined]  # as above
    body = "".join(reversed(TEXTS[0]))
    writer.generate(Cut(body, "\nIn short:"), Decoding(max_tokens=10))
    text = tokenizer.decode(fed[0])
    assert len(fed[0]) <= 20
    assert text.endswith("\nIn short:")
    assert body.startswith(text.removesuffix("\nIn short:"))
    assert len(fed[0]) > 15


def test_no_room_and_no_list_are_refused(tokenizer: Any) -> None:
    writer = make_generator("llama", tokenizer, limit=30)
    with pytest.raises(UsageError, match="leaves none for a prompt"):
        writer.generate("a", Decoding(max_tokens=30))
    with pytest.raises(UsageError, match="one string"):
        writer.generate_all("a prompt")
    assert writer.generate_all([], settings=Decoding(max_tokens=2)) == []
    assert writer.generate("", Decoding(max_tokens=2)) == writer.generate(
        "<s>", Decoding(max_tokens=2)
    )


class _Killed(Exception):
    pass


def _killed_after(count: int) -> Any:
    def progress(done: int) -> None:
        if done == count:
            raise _Killed

    return progress


def test_a_journal_goes_on_where_it_stopped(tokenizer: Any, tmp_path: Path) -> None:
    prompts: Sequence[str] = [*PROMPTS, PROMPTS[0]]
    expected = make_generator("llama", tokenizer).generate_all(prompts, settings=SAMPLED)
    journal = tmp_path / "replies.jsonl"
    first = make_generator("llama", tokenizer, slots=40)
    with pytest.raises(_Killed):
        first.generate_all(prompts, settings=SAMPLED, journal=journal, progress=_killed_after(3))
    lines = journal.read_text("utf-8").splitlines()
    assert len(lines) == 3
    assert {json.loads(line)["answer"][0] for line in lines} <= set(expected)
    with journal.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut sho')
    second: Generator = make_generator("llama", tokenizer, slots=40)
    seen: list[int] = []
    found = second.generate_all(prompts, settings=SAMPLED, journal=journal, progress=seen.append)
    assert found == expected
    assert seen == [3, 4, 5, 6]
    assert second.tokens_written == 3 * SAMPLED.max_tokens
    third = make_generator("llama", tokenizer)
    assert third.generate_all(prompts, settings=SAMPLED, journal=journal) == expected
    assert third.tokens_written == 0
    other = SAMPLED.model_copy(update={"seed": 9})
    assert third.generate_all(prompts, settings=other, journal=journal) != expected


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_bfloat16_writes_with_close_logits(family: str, tokenizer: Any) -> None:
    model = make_model(family, tokenizer)
    exact, half = (decoder.of(model, kind) for kind in (torch.float32, torch.bfloat16))
    assert exact is not None
    assert half is not None
    from gradus.generation.cache import Cache

    ids = torch.randint(0, 60, (3, 7), generator=torch.Generator().manual_seed(0))
    rows = []
    for one in (exact, half):
        cache = Cache(one.shape, one.dtype)
        cache.begin(3, 8)
        rows.append(one.logits(one.feed(ids, torch.arange(7).expand(3, 7), cache)))
        assert rows[-1].dtype == torch.float32
    assert 0 < (rows[0] - rows[1]).abs().max() < 0.1 * rows[0].abs().max()
