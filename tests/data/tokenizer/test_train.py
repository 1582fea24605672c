"""Tokenizers: what they learn held to a trainer by hand, what comes back, the same every time."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.data.tokenizer.folder import read, write
from gradus.data.tokenizer.recipe import (
    BERT,
    BYTES,
    END,
    KINDS,
    Kind,
    Recipe,
    byte_letters,
    complete,
)
from gradus.data.tokenizer.train import batches, commonest, counted, settled, train
from gradus.errors import DataError

TEXTS = [
    "The cat sat on the mat; the other cats sat elsewhere.",
    "She sells sea shells: the shells she sells are sea shells, I'm sure.",
    "房间很好，服务也很好。the 房间 was good",
    "早餐很好，房间很大，很安静。\n\n  Rooms were large, 120 in all.",
] * 3


def made(kind: Kind, vocabulary: int = 400, texts: list[str] | None = None, **more: Any) -> Any:
    special = more.pop("special", None)
    recipe = Recipe(kind=kind, vocabulary=vocabulary, special=complete(kind, special), **more)
    return train(lambda: TEXTS if texts is None else texts, recipe)


def merges_by_hand(words: dict[str, int], count: int, alphabet: list[str]) -> list[list[str]]:
    """Byte-pair encoding as Sennrich et al. 2016 write it: merge the commonest pair, the one of
    the lowest numbers among equals, until `count` merges are made or no pair occurs twice."""
    numbers = {letter: number for number, letter in enumerate(alphabet)}
    split = {tuple(word): times for word, times in words.items()}
    found: list[list[str]] = []
    while len(found) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for pieces, times in split.items():
            for pair in itertools.pairwise(pieces):
                pairs[pair] += times
        if not pairs or max(pairs.values()) < 2:
            break
        best = min(pairs, key=lambda p: (-pairs[p], numbers[p[0]], numbers[p[1]]))
        found.append(list(best))
        numbers.setdefault("".join(best), len(numbers))
        merged: dict[tuple[str, ...], int] = {}
        for pieces, times in split.items():
            out: list[str] = []
            for piece in pieces:
                if out and (out[-1], piece) == best:
                    out[-1] += piece
                else:
                    out.append(piece)
            merged[tuple(out)] = merged.get(tuple(out), 0) + times
        split = merged
    return found


def test_merges_are_those_of_the_algorithm() -> None:
    text = "low low low low lower lower newest newest newest widest widest"
    tokenizer = made("byte-bpe", 1 + BYTES + 12, [text])
    words = Counter(f"Ġ{word}" if at else word for at, word in enumerate(text.split()))
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    assert merges == merges_by_hand(words, 12, sorted(byte_letters()))


def test_rare_pieces_are_not_made() -> None:
    assert made("byte-bpe", 500, ["abc abd"], min_count=2).get_vocab_size() == 1 + BYTES + 1
    assert made("byte-bpe", 500, ["abc abd"], min_count=3).get_vocab_size() == 1 + BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_bytes(kind: Kind) -> None:
    # The library's hash tables are ordered anew by each trainer, so chance would show here.
    texts = [f"{word} {word[::-1]}{at % 7} 好{word}" for at, word in enumerate(TEXTS * 4)]
    found = {made(kind, 600, texts).to_str() for _ in range(4)}
    assert len(found) == 1


@pytest.mark.parametrize("kind", ["byte-bpe", "unigram", "bytes"])
@settings(max_examples=60)
@given(text=st.text())
def test_nothing_is_lost(kind: Kind, text: str) -> None:
    text = text.replace("▁", "")
    ids = KEPT[kind].encode(text, add_special_tokens=False).ids
    assert KEPT[kind].decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("split", ["gpt-2", "gpt-4"])
@settings(max_examples=30)
@given(text=st.text())
def test_both_patterns_cover_every_text(split: Any, text: str) -> None:
    tokenizer = KEPT["byte-bpe"] if split == "gpt-2" else KEPT["gpt-4"]
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_gpt_4_takes_three_digits_and_line_ends_apart() -> None:
    tokenizer = made("byte-bpe", 400, ["12345 12345 12345 12345"], split="gpt-4")
    assert tokenizer.encode("12345").tokens == ["123", "45"]
    cut = tokenizer.pre_tokenizer.pre_tokenize_str("don't go\n\nnow")
    assert [piece for piece, _ in cut] == ["don", "'t", "Ġgo", "ĊĊ", "now"]


@given(st.text())
def test_bytes_are_bytes(text: str) -> None:
    assert KEPT["bytes"].encode(text).ids == list(text.encode())
    assert KEPT["bytes"].token_to_id(END) == BYTES


def test_characters_are_the_commonest_and_the_rest_unknown() -> None:
    tokenizer = made("characters", 5, ["aaabbbccd", "aab"], coverage=1.0)
    assert tokenizer.get_vocab() == {"<unk>": 0, END: 1, "a": 2, "b": 3, "c": 4}
    assert tokenizer.encode("abxd").ids == [2, 3, 0, 0]
    assert tokenizer.decode([2, 3, 2]) == "aba"


@given(st.text(max_size=40), st.floats(0.1, 1))
def test_commonest_are_the_fewest_that_cover(text: str, coverage: float) -> None:
    counts = counted([text])
    found = commonest(counts, coverage)
    held = sum(counts[one] for one in found)
    assert held >= coverage * len(text)
    assert not found or held - counts[found[-1]] < coverage * len(text)
    assert all(counts[one] >= counts[other] for one in found for other in set(counts) - {*found})


def test_wordpiece_is_as_bert_has_it() -> None:
    tokenizer = made("wordpiece", 200)
    encoding = tokenizer.encode("The cats, 房间")
    assert (encoding.tokens[0], encoding.tokens[-1]) == ("[CLS]", "[SEP]")
    assert encoding.tokens[-3:-1] == ["房", "间"]
    assert tokenizer.encode("☃").tokens == ["[CLS]", "[UNK]", "[SEP]"]
    pair = tokenizer.encode("the", "mat")
    assert pair.type_ids == [0] * pair.tokens.index("[SEP]") + [0] + [1] * (
        len(pair.ids) - pair.tokens.index("[SEP]") - 1
    )
    vocabulary = tokenizer.get_vocab()
    assert [vocabulary[one] for one in BERT] == [0, 1, 2, 3, 4]
    assert "##房" not in vocabulary  # stands alone always
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    assert {one.content for one in tokenizer.get_added_tokens_decoder().values()} == {*BERT}


def test_lower_case_and_unicode_forms() -> None:
    lower = made("wordpiece", 200, lowercase=True)
    assert lower.encode("CAFÉ The").ids == lower.encode("cafe the").ids
    folded = made("byte-bpe", form="NFKC")
    assert folded.encode("ﬁ").ids == folded.encode("fi").ids
    assert made("byte-bpe").encode("ﬁ").ids != made("byte-bpe").encode("fi").ids


def test_a_unigram_model_takes_the_likeliest_pieces() -> None:
    """Against all ways of cutting a word."""
    tokenizer = KEPT["unigram"]
    scores = dict(json.loads(tokenizer.to_str())["model"]["vocab"])
    for word in ("shells", "elsewhere", "很安静"):
        best = max(
            sum(scores.get(piece, -1e6) for piece in _cut(word, at))
            for size in range(len(word))
            for at in itertools.combinations(range(1, len(word)), size)
        )
        taken = tokenizer.encode(word).tokens
        assert "".join(taken) == word
        assert sum(scores[piece] for piece in taken) == pytest.approx(best)


def _cut(word: str, at: tuple[int, ...]) -> list[str]:
    return [word[a:b] for a, b in itertools.pairwise((0, *at, len(word)))]


def test_text_that_looks_like_a_byte_or_is_too_rare_stays() -> None:
    rare = made("unigram", 330, ["the cat sat " * 50 + "☃"], coverage=0.99)
    assert "☃" not in rare.get_vocab()
    assert rare.encode("☃").tokens == ["<0xE2>", "<0x98>", "<0x83>"]
    assert rare.decode(rare.encode("<0x41> ☃").ids) == "<0x41> ☃"


def test_settled_scores_depend_on_no_order() -> None:
    raw = [("ab", -2.0000000001), ("b", -9.0), ("c", -8.9999), ("a", -8.9998), ("xy", -9.0)]
    again = [("xy", -9.0), ("a", -9.0), ("b", -8.9998), ("ab", -2.0), ("c", -8.9999)]
    kept = [("ab", -2.0), ("a", -9.0), ("b", -9.0), ("c", -9.0)]
    assert settled(raw, 4) == settled(again, 4) == kept
    assert settled([("b", -1.25), ("a", -3.0)], 2) == [("b", -1.25), ("a", -3.0)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_vocabulary_is_never_larger_than_asked(kind: Kind) -> None:
    for vocabulary in (290, 320, 600):
        tokenizer = made(kind, vocabulary)
        assert tokenizer.get_vocab_size(with_added_tokens=True) <= vocabulary


def test_batches_hold_everything_in_order() -> None:
    texts = ["a" * size for size in (1, 1 << 20, 3, 5)]
    assert [text for batch in batches(texts) for text in batch] == texts
    assert [len(batch) for batch in batches(texts)] == [2, 2]


@pytest.mark.parametrize("kind", ["characters", "wordpiece"])
def test_without_text_there_is_no_tokenizer(kind: Kind) -> None:
    with pytest.raises(DataError, match="no text"):
        made(kind, texts=[])


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_the_folder(kind: Kind, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    special = (*complete(kind, None), "<|im_start|>", "<mask>" if kind != "wordpiece" else "<x>")
    recipe = Recipe(kind=kind, vocabulary=400, special=special)
    tokenizer = train(lambda: TEXTS, recipe)
    write(tokenizer, recipe, tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    for text in (*TEXTS, "<|im_start|>the cat"):
        assert (
            opened(text).input_ids == tokenizer.encode(text).ids == read(tmp_path).encode(text).ids
        )
    assert len(opened) == tokenizer.get_vocab_size()
    assert set(opened.all_special_tokens) == set(special)
    assert opened.mask_token in special
    if kind == "wordpiece":
        assert (opened.cls_token, opened.pad_token) == ("[CLS]", "[PAD]")
    else:
        assert opened.eos_token == opened.bos_token == END


def test_roles_follow_names() -> None:
    roles = Recipe(special=("<s>", "</s>", "<pad>", "<unk>", "<mask>")).roles
    assert (roles["bos_token"], roles["eos_token"], roles["mask_token"]) == (
        "<s>",
        "</s>",
        "<mask>",
    )
    assert complete("unigram", ("<s>",)) == ("<s>", "<unk>")
    assert complete("byte-bpe", ("<s>",)) == ("<s>",)


KEPT = {
    **{kind: made(kind) for kind in ("byte-bpe", "unigram", "bytes")},  # type: ignore[arg-type]  # kinds by name
    "gpt-4": made("byte-bpe", split="gpt-4"),
}
