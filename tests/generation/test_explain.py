"""What a model expects at each place, against its own forward pass."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.scoring.causal import save_source

from gradus.errors import CheckpointError, UsageError
from gradus.generation import Decoding
from gradus.generation.explain import Explained, causal, explain, masked
from gradus.generation.explain.page import page, rank_class
from gradus.generation.explain.reading import _spelt_out
from gradus.generation.explain.records import Likely, Position
from gradus.generation.spelling import spelt, visible
from gradus.scoring.seam import encode

from .conftest import TEXTS, make_generator, make_model

PROMPT = "She counted the boats again."
MASKED_WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "river",
    "rose",
    "in",
    "night",
    "bridge",
    "was",
    "closed",
]


def softmax(row: torch.Tensor) -> np.ndarray:
    """In float64, with numpy."""
    values = row.double().numpy()
    shares = np.exp(values - values.max())
    found: np.ndarray = shares / shares.sum()
    return found


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_places_of_a_prompt_are_those_of_the_model(family: str, tokenizer: Any) -> None:
    model = make_model(family, tokenizer)
    found = causal.explained(model, tokenizer, PROMPT, None, top=4, name="tiny")
    (ids,) = encode(tokenizer, [PROMPT])
    with torch.inference_mode():
        rows = model(torch.tensor([ids])).logits[0]
    assert [place.id for place in found.positions] == [*ids, None]
    assert [place.kind for place in found.positions] == [
        "first",
        *["prompt"] * (len(ids) - 1),
        "next",
    ]
    assert found.vocabulary == rows.shape[1]
    assert "".join(place.token for place in found.positions) == PROMPT
    for place, row in zip(found.positions[1:], rows, strict=True):
        shares = softmax(row)
        best = np.argsort(-shares, kind="stable")[:4]
        assert [one.id for one in place.likely] == best.tolist()
        assert [one.share for one in place.likely] == pytest.approx(shares[best], rel=1e-4)
        bits = -(shares * np.log2(shares)).sum()
        assert place.entropy == pytest.approx(bits, rel=1e-4)
        if place.id is not None:
            assert place.share == pytest.approx(shares[place.id], rel=1e-4)
            assert place.rank == (shares > shares[place.id]).sum() + 1
        assert all(one.drawn is None for one in place.likely)


@pytest.mark.parametrize("family", ["qwen-window", "mamba", "bloom"])
def test_families_of_every_build_are_explained(family: str) -> None:
    model = make_model(family, None)
    ids = torch.randint(3, 60, (9,), generator=torch.Generator().manual_seed(1)).tolist()
    rows = causal._Rows(model)
    with torch.inference_mode():
        found = torch.stack([*rows.feed(ids[:5]), *rows.feed(ids[5:6]), *rows.feed(ids[6:])])
        expected = model(torch.tensor([ids])).logits[0]
    assert torch.allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize(
    "settings",
    [
        Decoding(max_tokens=12),
        Decoding(max_tokens=12, temperature=0.9, top_k=7, seed=5),
        Decoding(max_tokens=12, temperature=1.0, repetition_penalty=1.5, top_p=0.8),
    ],
    ids=lambda settings: settings.said,
)
def test_what_is_written_is_what_generation_writes(settings: Decoding, tokenizer: Any) -> None:
    model = make_model("llama", tokenizer)
    found = causal.explained(model, tokenizer, PROMPT, settings, top=200, name="tiny")
    written = [place for place in found.positions if place.kind == "written"]
    expected = make_generator("llama", tokenizer).continuations([PROMPT], settings=settings)[0]
    assert len(written) == expected.tokens
    ids = [place.id for place in written]
    assert tokenizer.decode(ids, skip_special_tokens=True) == expected.text
    assert found.decoding == settings.said
    assert found.ended is False
    for place in written:
        drawn = {one.id: one.drawn for one in place.likely}
        assert drawn[place.id] > 0
        left = [share for share in drawn.values() if share]
        assert sum(left) == pytest.approx(1.0)
        if settings.top_k:
            assert len(left) == settings.top_k
        if not settings.draws:
            assert left == [1.0]


def test_an_end_and_a_stop_string_end_it(tokenizer: Any) -> None:
    model = make_model("llama", tokenizer)
    text = make_generator("llama", tokenizer).generate(PROMPT, Decoding(max_tokens=10))
    settings = Decoding(max_tokens=10, stop=(text[4:6],))
    found = causal.explained(model, tokenizer, PROMPT, settings, top=2, name="tiny")
    assert found.ended
    plain = causal.explained(model, tokenizer, PROMPT, Decoding(max_tokens=10), top=2, name="tiny")
    model.generation_config.eos_token_id = plain.positions[-4].id
    found = causal.explained(model, tokenizer, PROMPT, Decoding(max_tokens=10), top=2, name="tiny")
    assert found.ended
    assert found.positions[-1].id == plain.positions[-4].id


@pytest.fixture(scope="module")
def bert() -> tuple[Any, Any]:
    """A tiny masked language model and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    vocabulary = {word: n for n, word in enumerate(MASKED_WORDS)}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        mask_token="[MASK]",
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    )
    torch.manual_seed(2)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    model = BertForMaskedLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.4 * torch.randn_like(parameter))
    return model, tokenizer


def test_each_token_is_hidden_in_turn(bert: tuple[Any, Any], monkeypatch: Any) -> None:
    model, tokenizer = bert
    monkeypatch.setattr(masked, "BATCH_TOKENS", 20)
    text = "the river rose in the night"
    found = masked.explained(model, tokenizer, text, top=3, name="bert")
    assert found.sees == "both sides"
    assert found.vocabulary == len(MASKED_WORDS)
    ids = tokenizer(text)["input_ids"]
    assert [place.id for place in found.positions] == ids[1:-1]
    assert "".join(place.token for place in found.positions) == f" {text}"
    for place in found.positions:
        row = list(ids)
        row[place.number] = tokenizer.mask_token_id
        with torch.inference_mode():
            shares = softmax(model(torch.tensor([row])).logits[0, place.number])
        assert place.share == pytest.approx(shares[place.id], rel=1e-4)
        assert place.rank == (shares > shares[place.id]).sum() + 1
        assert [one.id for one in place.likely] == np.argsort(-shares)[:3].tolist()


def test_gaps_alone_are_filled_where_there_are_some(bert: tuple[Any, Any]) -> None:
    model, tokenizer = bert
    found = masked.explained(model, tokenizer, "the [MASK] rose in [MASK] night", top=2, name="b")
    with torch.inference_mode():
        ids = tokenizer("the [MASK] rose in [MASK] night")["input_ids"]
        rows = model(torch.tensor([ids])).logits[0]
    gaps = [place for place in found.positions if place.kind == "gap"]
    assert [place.number for place in gaps] == [2, 5]
    for place in gaps:
        assert place.likely[0].share == pytest.approx(softmax(rows[place.number]).max(), rel=1e-4)
        assert (place.token, place.share) == ("", None)
    assert [place.likely for place in found.positions if place.kind == "token"] == [()] * 4


def test_what_cannot_be_explained_is_said(
    bert: tuple[Any, Any], tokenizer: Any, tmp_path: Path
) -> None:
    model, own = bert
    with pytest.raises(UsageError, match="24: shorten"):
        masked.explained(model, own, "the river " * 12, top=2, name="b")
    with pytest.raises(UsageError, match="the text is empty"):
        masked.explained(model, own, "", top=2, name="b")
    with pytest.raises(CheckpointError, match="no mask token"):
        masked.explained(model, tokenizer, "the", top=2, name="b")
    lm = make_model("llama", tokenizer)
    with pytest.raises(UsageError, match="positions for 256: shorten the text or lower"):
        causal.explained(lm, tokenizer, PROMPT, Decoding(max_tokens=255), top=2, name="t")
    model.save_pretrained(tmp_path / "bert")
    own.save_pretrained(tmp_path / "bert")
    assert explain(tmp_path / "bert", "the river", top=1).sees == "both sides"
    with pytest.raises(UsageError, match="fills in masked tokens"):
        explain(tmp_path / "bert", "the river", Decoding())
    ref = save_source(tmp_path / "lm", TEXTS)
    with pytest.raises(UsageError, match="leave beams out"):
        explain(ref, "The river", Decoding(beams=2))
    with pytest.raises(UsageError, match="at least one token"):
        explain(ref, "The river", top=0)
    assert explain(ref, "The river", Decoding(max_tokens=2)).positions[-1].kind == "written"


def test_the_page_escapes_all_it_shows_and_asks_for_nothing() -> None:
    evil = "<script>alert('x')</script>"
    place = Position(
        number=1,
        kind="written",
        token=evil,
        id=7,
        share=0.25,
        rank=3,
        entropy=1.5,
        likely=(Likely(f"&{evil}", 5, 0.5, 0.75), Likely(evil, 7, 0.25, 0.25)),
    )
    first = Position(number=0, kind="first", token='"><b>', id=2)
    found = Explained(
        model=evil, sees="before", vocabulary=90, decoding=evil, positions=(first, place)
    )
    html = page(found)
    assert "<script" not in html
    assert "<b>" not in html
    assert html.count("&lt;script&gt;") >= 5
    assert "default-src 'none'" in html
    assert not re.search(r"https?:|src=|@import|url\(", html)
    assert "prefers-color-scheme: dark" in html
    assert "75.0 %" in html
    json.dumps(found.to_json(), allow_nan=False)


def test_ranks_have_classes() -> None:
    assert [rank_class(rank) for rank in (1, 2, 10, 11, 100, 1000, 1001, None)] == [
        *("r0", "r1", "r1", "r2", "r2", "r3", "r4"),
        "none",
    ]


def test_half_a_character_is_shown_as_its_bytes(tokenizer: Any) -> None:
    """Not by the letters that byte-level vocabularies write bytes with."""
    found = causal.explained(
        make_model("gpt2", tokenizer), tokenizer, "a 春", None, top=300, name="t"
    )
    told = "".join(place.token for place in found.positions[:-1])
    assert told == "a \\xe6\\x98\\xa5"
    assert not any(letter in told for letter in "æĺ")
    assert _spelt_out("<0xE6>") == "<0xE6>"


def test_control_characters_are_spelt_out() -> None:
    assert visible("a\x1b[2J\r\nb\t春\u3000\u202e") == "a\\x1b[2J\\r\nb\t春\u3000\\u202e"
    assert spelt(" a\nb") == "␣a\\nb"
