"""Near-duplicates: every seeded copy, nearly every changed one, and nothing that isn't one."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.data.audit import minhash
from gradus.data.audit.minhash import candidates, sketch
from gradus.data.audit.near import SIMILAR, Pairs, near_duplicates
from gradus.data.audit.shingles import plain_form, shingle

from .conftest import change_characters, change_words, pieces, true_pairs

SEEDED = 200


def as_dict(pairs: Pairs) -> dict[tuple[int, int], float]:
    rows = zip(pairs.first.tolist(), pairs.second.tolist(), pairs.similarity, strict=True)
    return {(a, b): float(s) for a, b, s in rows}


def alone(texts: list[str]) -> np.ndarray:
    return np.zeros(len(texts), np.int64)


def check_seeded(
    texts: list[str],
    change: Callable[[str, random.Random], str],
    long_enough: Callable[[str], bool],
) -> None:
    """Seed exact and changed copies as a second split; compare with what brute force finds."""
    rng = random.Random(7)
    originals = rng.sample(range(len(texts)), SEEDED)
    fit = [row for row, text in enumerate(texts) if long_enough(text)]
    near = rng.sample(fit, SEEDED)
    copies = [texts[row] for row in originals]
    changed = [change(texts[row], rng) for row in near]
    everything = [*texts, *copies, *changed]
    groups = np.repeat([0, 1], [len(texts), 2 * SEEDED])
    pairs = near_duplicates(everything, groups)
    found = as_dict(pairs)
    exact = {(row, len(texts) + i) for i, row in enumerate(originals)}
    seeded = {(row, len(texts) + SEEDED + i) for i, row in enumerate(near)}
    assert pairs.complete
    assert exact <= found.keys()
    assert all(found[pair] == 1.0 for pair in exact)
    assert len(seeded & found.keys()) >= 0.95 * SEEDED
    oracle = true_pairs(everything, SIMILAR)
    false = found.keys() - oracle.keys()
    assert len(false) <= 0.01 * len(found)
    assert len(oracle.keys() & found.keys()) >= 0.99 * len(oracle)
    for pair in found.keys() & oracle.keys():
        assert found[pair] == pytest.approx(oracle[pair], abs=1e-3)


def test_leakage_seeded_into_news(articles: list[str]) -> None:
    words = [w for text in articles[:50] for w in text.split()]
    check_seeded(articles[:260], lambda t, rng: change_words(t, words, rng), lambda t: True)


def test_leakage_seeded_into_short_questions(questions: list[str]) -> None:
    # One changed word in a text of fewer than ten is more than one in ten: another question.
    words = [w for text in questions for w in text.split()]
    check_seeded(
        questions[:2500],
        lambda t, rng: change_words(t, words, rng),
        lambda t: len(t.split()) >= 10,
    )


def test_leakage_seeded_into_chinese_reviews(reviews: list[str]) -> None:
    source = "".join(reviews[:200])
    check_seeded(
        reviews[:2000],
        lambda t, rng: change_characters(t, source, rng),
        lambda t: len(plain_form(t)) >= 20,
    )


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6))
@settings(max_examples=60)
def test_shingles_are_those_of_the_description(texts: list[str]) -> None:
    texts = [t.encode("utf-8", "ignore").decode() for t in texts]
    made = shingle(texts)
    assert len(made.starts) == len(texts) + 1
    assert made.starts[-1] == len(made.hashes)
    for row, text in enumerate(texts):
        assert len(made.of(row)) >= 1
        if text.isascii() or all("\u4e00" <= c <= "\u9fff" for c in text):
            assert len(set(made.of(row).tolist())) == len(pieces(text))


def test_case_punctuation_and_width_make_no_difference() -> None:
    texts = ["Where's MY card?!", "where s my card", "Ｗｈｅｒｅ’ｓ my   card", "where is my cat"]
    found = as_dict(near_duplicates(texts, alone(texts)))
    assert {pair for pair, s in found.items() if s == 1.0} == {(0, 1), (0, 2), (1, 2)}


def test_pairs_of_texts_are_compared_as_one() -> None:
    texts = [("a man plays the guitar", "someone makes music"), ("other", "words altogether")]
    texts.append(("A man plays the guitar.", "Someone makes music."))
    assert as_dict(near_duplicates(texts, np.zeros(3, int))) == {(0, 2): 1.0}


@pytest.mark.parametrize("texts", [[], ["one"], ["", ""], ["!", "?"]])
def test_hardly_any_text(texts: list[str]) -> None:
    found = as_dict(near_duplicates(texts, alone(texts)))
    assert found == ({(0, 1): 1.0} if texts == ["", ""] else {})


def test_similarity_is_estimated_without_bias(articles: list[str]) -> None:
    texts = articles[:200]
    halves = [t[: len(t) * 3 // 4] for t in texts]
    made = sketch([*texts, *halves])
    alike = (made.low[: len(texts)] == made.low[len(texts) :]).mean(axis=1)
    true = [
        len(pieces(a) & pieces(b)) / len(pieces(a) | pieces(b))
        for a, b in zip(texts, halves, strict=True)
    ]
    error = (alike - 1 / 256) / (1 - 1 / 256) - np.array(true)
    assert abs(error.mean()) < 4 * 0.04 / np.sqrt(len(texts))
    assert 0.02 < error.std() < 0.06


def test_a_crowd_still_finds_each_member_a_partner_in_each_group() -> None:
    letter = "dear customer your account {} has been closed please call us on the usual number {}"
    texts = [letter.format(i, 7 * i) for i in range(400)]
    groups = np.arange(400) % 3
    pairs = near_duplicates(texts, groups)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        across = {
            frozenset((groups[a], groups[b]))
            for a, b in zip(pairs.first, pairs.second, strict=True)
        }
        assert frozenset((one, other)) in across
    assert len(pairs) < 400 * 399 / 2


def test_only_probes_are_looked_for(questions: list[str]) -> None:
    texts = [*questions[:1000], *questions[:100]]
    probes = np.zeros(len(texts), bool)
    probes[1000:1050] = True
    every, some = (
        as_dict(near_duplicates(texts, alone(texts))),
        as_dict(near_duplicates(texts, alone(texts), probes=probes)),
    )
    assert some == {p: s for p, s in every.items() if probes[p[0]] or probes[p[1]]}
    assert len(some) >= 50


def test_a_spent_budget_is_said(questions: list[str]) -> None:
    texts = [*questions[:300], *questions[:300]]
    assert not near_duplicates(texts, alone(texts), budget=10).complete
    pairs, enough = candidates(sketch(texts), alone(texts), np.ones(600, bool), SIMILAR, 10**6)
    assert enough
    assert len(pairs) >= 300


def test_batches_dont_change_what_is_found(
    articles: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [*articles[:60], *articles[:20]]
    whole = sketch(texts)
    monkeypatch.setattr(minhash, "_CHARACTERS", 5000)
    assert len(list(minhash.batches(texts))) > 10
    parts = sketch(texts)
    assert np.array_equal(whole.keys, parts.keys)
    assert np.array_equal(whole.low, parts.low)
