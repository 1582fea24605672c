"""Trimmed tokenizers cut train's texts as before, and spell what they never saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from gradus.compress.vocabulary import check_same, trim
from gradus.errors import CheckpointError

TRAIN = [
    "the card was lost",
    "a new card costs a fee",
    "cards, losses and fees",
    "top up my account",
]
OTHER = ["football scores rose again", "the weather is mild", "storms and rain over the hills"]


def made(kind: str) -> Tokenizer:
    """A tokenizer learned from more texts than train has."""
    special = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
    if kind == "WordPiece":
        found = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=150, special_tokens=special)
    elif kind == "BPE":
        found = Tokenizer(models.BPE(unk_token="[UNK]"))
        found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=special)
    elif kind == "Unigram":
        found = Tokenizer(models.Unigram())
        found.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="[UNK]")
    else:
        found = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        found.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(special_tokens=special)
    found.train_from_iterator([*TRAIN, *OTHER] * 3, trainer)
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return found


def trimmed(whole: Tokenizer, texts: list[str]) -> tuple[Any, Tokenizer]:
    seen = {i for coded in whole.encode_batch(texts) for i in coded.ids}
    result = trim(json.loads(whole.to_str()), seen)
    return result, Tokenizer.from_str(json.dumps(result.tokenizer))


KINDS = ("WordPiece", "BPE", "Unigram", "WordLevel")


@pytest.mark.parametrize("kind", KINDS)
def test_train_is_cut_as_before(kind: str) -> None:
    whole = made(kind)
    result, small = trimmed(whole, TRAIN)
    assert len(result.kept) == small.get_vocab_size() < whole.get_vocab_size()
    for text in TRAIN:
        one, two = whole.encode(text), small.encode(text)
        assert two.tokens == one.tokens
        assert [result.kept[i] for i in two.ids] == one.ids


@pytest.mark.parametrize("kind", ["WordPiece", "BPE", "Unigram"])
def test_what_was_never_seen_is_spelled(kind: str) -> None:
    _, small = trimmed(made(kind), TRAIN)
    tokens = small.encode("weather").tokens
    assert "[UNK]" not in tokens
    letters = "".join(t.strip("\u2581\u0120").removeprefix("##") for t in tokens[1:-1])
    assert letters == "weather"


def test_what_can_t_be_spelled_is_the_unknown_token() -> None:
    _, small = trimmed(made("WordLevel"), TRAIN)
    assert small.encode("the weather").tokens == ["[CLS]", "the", "[UNK]", "[SEP]"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([*TRAIN, *OTHER]), min_size=1, max_size=4), st.sampled_from(KINDS))
def test_whatever_train_is_its_tokens_stay(texts: list[str], kind: str) -> None:
    whole = made(kind)
    _, small = trimmed(whole, texts)
    assert [c.tokens for c in small.encode_batch(texts)] == [
        c.tokens for c in whole.encode_batch(texts)
    ]


def test_other_tokens_are_noticed(tmp_path: Path) -> None:
    whole = made("WordLevel")
    result, small = trimmed(whole, TRAIN)
    whole.save(str(tmp_path / "whole.json"))
    small.save(str(tmp_path / "small.json"))
    check_same(tmp_path / "whole.json", tmp_path / "small.json", result, TRAIN)
    with pytest.raises(CheckpointError, match="cuts 'the weather is mild' of train in another"):
        check_same(tmp_path / "whole.json", tmp_path / "small.json", result, OTHER[1:])


def test_unknown_algorithms_are_refused() -> None:
    with pytest.raises(CheckpointError, match="type Magic can't be trimmed"):
        trim({"model": {"type": "Magic", "vocab": {}}}, [])
