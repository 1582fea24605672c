"""What is hidden: shares, words, spans; and where words begin under each kind of tokenizer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import TrainingError
from gradus.training.masking import LONGEST, Masking, Unit, Words, _spans

MASK, SPECIALS, VOCABULARY = 3, 4, 60
# Every third token of this vocabulary goes on with a word.
GLUED = np.array([i >= SPECIALS and i % 3 == 0 for i in range(VOCABULARY)])
NEVER = np.zeros(VOCABULARY, dtype=np.bool_)
WORDS = Words(GLUED, NEVER, NEVER)

texts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=120).map(np.array)
units = st.sampled_from(["token", "word", "span"])


def masking(unit: Unit, share: float = 0.15) -> Masking:
    special = np.arange(VOCABULARY) < SPECIALS
    return Masking(share, unit, MASK, special, None if unit == "token" else WORDS)


def words_of(ids: np.ndarray) -> list[list[int]]:
    """Places of each word, spelt out: special tokens part words and belong to none."""
    found: list[list[int]] = []
    inside = False
    for place, token in enumerate(ids.tolist()):
        if token < SPECIALS:
            inside = False
        elif GLUED[token] and inside:
            found[-1].append(place)
        else:
            found.append([place])
            inside = True
    return found


@given(ids=texts, unit=units, seed=st.integers(0, 99), share=st.floats(0.05, 0.6))
def test_what_is_not_chosen_stays_and_special_tokens_always_do(
    ids: np.ndarray, unit: Unit, seed: int, share: float
) -> None:
    seen, chosen = masking(unit, share).draw(ids, np.random.default_rng(seed))
    assert np.array_equal(seen[~chosen], ids[~chosen])
    assert not chosen[ids < SPECIALS].any()
    assert set(seen[chosen & (seen < SPECIALS)]) <= {MASK}
    free = int((ids >= SPECIALS).sum())
    budget = max(1, round(share * free)) if free else 0
    if unit == "token":
        assert chosen.sum() == budget
    else:
        assert min(free, 1) <= chosen.sum() <= budget


@given(ids=texts, seed=st.integers(0, 99))
def test_words_are_hidden_whole(ids: np.ndarray, seed: int) -> None:
    _, chosen = masking("word", 0.3).draw(ids, np.random.default_rng(seed))
    words = words_of(ids)
    budget = max(1, round(0.3 * sum(map(len, words)))) if words else 0
    partly = [word for word in words if 0 < chosen[word].sum() < len(word)]
    # A word longer than all that may be hidden is the one exception.
    assert all(len(word) > budget for word in partly)


@given(ids=texts, seed=st.integers(0, 99))
def test_spans_are_whole_words(ids: np.ndarray, seed: int) -> None:
    _, chosen = masking("span", 0.3).draw(ids, np.random.default_rng(seed))
    words = words_of(ids)
    budget = max(1, round(0.3 * sum(map(len, words)))) if words else 0
    assert all(chosen[word].all() or len(word) > budget for word in words if chosen[word].any())


def test_a_span_is_hidden_in_one_way() -> None:
    ids, rng = np.full(400, 4), np.random.default_rng(5)
    alone = 0
    for _ in range(50):
        seen, chosen = masking("span").draw(ids, rng)
        masked = chosen & (seen == MASK)
        # Spans may touch, so look where masked and unmasked places are neighbours.
        alone += int((np.diff(masked[chosen].astype(int)) != 0).sum())
    # 60 places a text in some 13 spans: drawn one by one, every third pair would differ.
    assert alone / 50 < 8


def test_spans_have_geometric_lengths() -> None:
    ids = np.full(4000, 4)
    rng = np.random.default_rng(0)
    spans = _spans([np.array([i]) for i in range(len(ids))], rng)
    lengths = [len(next(spans)) for _ in range(20_000)]
    shares = np.array([0.2 * 0.8 ** (k - 1) for k in range(1, LONGEST + 1)])
    found = np.bincount(lengths, minlength=LONGEST + 1)[1:] / len(lengths)
    assert np.abs(found - shares / shares.sum()).max() < 0.012
    # Joshi et al. 2020, section 3.1.
    assert np.mean(lengths) == pytest.approx(3.8, abs=0.05)


@pytest.mark.parametrize("unit", ["token", "word", "span"])
def test_four_fifths_are_masked_a_tenth_replaced_a_tenth_kept(unit: Unit) -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(SPECIALS, VOCABULARY, size=60_000)
    seen, chosen = masking(unit).draw(ids, rng)
    assert chosen.mean() == pytest.approx(0.15, abs=0.003)
    masked = (seen[chosen] == MASK).mean()
    kept = (seen[chosen] == ids[chosen]).mean()
    assert masked == pytest.approx(0.8, abs=0.02)
    # Another token is by chance the same one in 56.
    assert kept == pytest.approx(0.1 + 0.1 / 56, abs=0.015)
    others = seen[chosen & (seen != MASK) & (seen != ids)]
    assert len(set(others.tolist())) == VOCABULARY - SPECIALS


def test_every_token_is_as_likely_to_be_hidden() -> None:
    ids, rng = np.full(20, 4), np.random.default_rng(2)
    counts = sum(masking("token").draw(ids, rng)[1].astype(int) for _ in range(4000))
    assert np.abs(counts / 4000 - 0.15).max() < 0.03


SAMPLE = [
    "Unbelievably, the neighbours' dogs barked.",
    "学而时习之 means: learn, and often 3.14 times.",
    "don't stop-believing naïve 機械学習 café",
]


def word_begins(text: str) -> set[int]:
    """Where words begin, by a rule of its own: letters and digits together, all else alone."""
    together = r"[^\W_\u3040-\u30ff\u3400-\u9fff]+"
    return {m.start() for m in re.finditer(rf"{together}|[^\s]", text)}


def trained(kind: str) -> Any:
    """A small tokenizer of the kind, over the sample, as transformers has it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[MASK]"]
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer(lowercase=False)
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer: Any = trainers.WordPieceTrainer(vocab_size=150, special_tokens=special)
    elif kind == "byte-bpe":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
    else:
        made = Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
        )
        made.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=110, special_tokens=special, unk_token="[UNK]")
    made.train_from_iterator(SAMPLE * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]"
    )


@pytest.mark.parametrize("kind", ["wordpiece", "byte-bpe", "unigram"])
def test_words_begin_where_readers_see_them_begin(kind: str) -> None:
    tokenizer = trained(kind)
    words = Words.of(tokenizer)
    for text in SAMPLE:
        coded = tokenizer(text, return_offsets_mapping=True)
        ids, offsets = np.array(coded["input_ids"]), coded["offset_mapping"]
        begins = words.starts(ids)
        if kind == "unigram":
            # A space of its own is a word of its own there; what follows it begins one anyway.
            begins &= [text[a:b].strip() != "" for a, b in offsets]
        places = [b - len(text[a:b].lstrip()) for a, b in offsets]
        found = {place for begin, place in zip(begins, places, strict=True) if begin}
        # A word that begins within a token ('t of don't) can't be told.
        assert found == word_begins(text) & set(places)
        assert len(found) > 0.8 * len(word_begins(text))


def test_characters_are_words_by_themselves_in_chinese_and_together_in_english() -> None:
    from gradus.sources.characters import build_tokenizer

    tokenizer = build_tokenizer(64)
    ids = np.array(tokenizer("机器 ok", add_special_tokens=False)["input_ids"])
    assert Words.of(tokenizer).starts(ids).tolist() == [True, True, True, False]


@settings(max_examples=20)
@given(ids=st.lists(st.integers(0, 299), min_size=1, max_size=40))
def test_any_tokens_at_all_have_words(ids: list[int], byte_level: Callable[[], Words]) -> None:
    begins = byte_level().starts(np.array(ids))
    assert begins[0]


@pytest.fixture(scope="module")
def byte_level() -> Callable[[], Words]:
    words = Words.of(trained("byte-bpe"))
    return lambda: words


def test_a_tokenizer_without_a_mask_is_refused() -> None:
    tokenizer = trained("byte-bpe")
    tokenizer.mask_token = None
    with pytest.raises(TrainingError, match="no mask"):
        Masking.of(tokenizer)


def test_a_text_of_special_tokens_has_nothing_to_hide() -> None:
    seen, chosen = masking("span").draw(np.array([0, 1, 2]), np.random.default_rng(0))
    assert seen.tolist() == [0, 1, 2]
    assert not chosen.any()
