"""Words and n-grams of a stream against what a plain loop finds."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradus.data.overlap.ngrams import Piece, batches, gram_hashes, word_hashes, words
from gradus.data.words import UNSPACED


def plain_words(text: str) -> list[str]:
    """Character by character."""
    normal = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower())
    found: list[str] = []
    inside = alone = False
    for character in normal:
        mark = unicodedata.category(character)[0] == "M"
        if mark and inside:
            found[-1] += character
        elif character.isalnum():
            apart = any(low <= ord(character) <= high for low, high in UNSPACED)
            if inside and not apart and not alone:
                found[-1] += character
            else:
                found.append(character)
            inside, alone = True, apart
        else:
            inside = False
    return found


@given(st.text() | st.text("aZ9_ -é北京กำน๋ि्ß'.\u0301ＡİΣ한"))
def test_words_are_those_of_a_plain_loop(text: str) -> None:
    assert words(text) == plain_words(text)


def test_chinese_is_parted_into_characters_and_korean_into_words() -> None:
    assert words("我在北京。GPT-2!") == ["我", "在", "北", "京", "gpt", "2"]
    assert words("한국어 단어") == ["한국어", "단어"]


@st.composite
def streams(draw: st.DrawFn) -> list[Piece]:
    found: list[Piece] = []
    for document in range(draw(st.integers(0, 4))):
        for part in draw(st.lists(st.lists(st.sampled_from("abc"), max_size=9), max_size=4)):
            joined = bool(found) and draw(st.booleans())
            found.append(Piece(" ".join(part), document, joined))
    return found


@given(streams(), st.sets(st.integers(1, 6), min_size=1), st.integers(1, 12))
def test_every_ngram_comes_once_with_its_document(
    pieces: list[Piece], sizes: set[int], at_once: int
) -> None:
    runs: list[list[tuple[str, int]]] = []
    for piece in pieces:
        if not piece.joined:
            runs.append([])
        runs[-1] += [(word, piece.document) for word in piece.text.split()]
    wanted = Counter(
        (tuple(word for word, _ in run[i : i + size]), run[i + size - 1][1])
        for run in runs
        for size in sizes
        for i in range(len(run) - size + 1)
    )
    found: Counter[tuple[tuple[str, ...], int]] = Counter()
    for batch in batches(pieces, sizes, at_once=at_once):
        assert set(batch.grams) == sizes
        for size, (starts, hashes) in batch.grams.items():
            for start, value in zip(starts.tolist(), hashes.tolist(), strict=True):
                gram = tuple(batch.words[start : start + size])
                ((_, own),) = gram_hashes(word_hashes(gram), [size])
                assert own.tolist() == [value]
                found[gram, int(batch.documents[start + size - 1])] += 1
    assert found == wanted


def test_hashes_are_the_same_in_every_process_and_differ_by_order() -> None:
    code = (
        "from gradus.data.overlap.ngrams import *;"
        "print([v.tolist() for _, v in gram_hashes(word_hashes(['one', 'two', 'one']), [2])])"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    ((_, here),) = gram_hashes(word_hashes(["one", "two", "one"]), [2])
    assert printed == {f"[{here.tolist()}]\n"}
    assert here[0] != here[1]


def test_hashes_of_all_short_ngrams_are_distinct() -> None:
    vocabulary = [f"w{i}" for i in range(300)]
    pairs = [[one, other] for one in vocabulary for other in vocabulary]
    values = [next(gram_hashes(word_hashes(pair), [2]))[1] for pair in pairs[:20_000]]
    assert len(np.unique(np.concatenate(values))) == 20_000
