"""Telling samples apart: the area and its variance by brute force, and on real texts."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from gradus.data.audit import adversarial
from gradus.data.audit.adversarial import delong, distinguish


def test_area_and_variance_by_brute_force() -> None:
    rng = np.random.default_rng(3)
    positive, negative = rng.normal(0.5, 1, 23).round(1), rng.normal(0, 1, 31).round(1)
    area, variance = delong(positive, negative)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    truth = np.repeat([1, 0], [23, 31])
    assert area == pytest.approx(roc_auc_score(truth, np.concatenate([positive, negative])))
    by_hand = wins.mean(1).var(ddof=1) / 23 + wins.mean(0).var(ddof=1) / 31
    assert variance == pytest.approx(by_hand)


def test_halves_of_one_source_cant_be_told_apart(articles: list[str]) -> None:
    texts = [text[:300] for text in articles[:400]]
    held = 0
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(len(texts))
        found = distinguish([texts[i] for i in order[:280]], [texts[i] for i in order[280:]])
        assert found.low is not None
        assert found.high is not None
        assert found.auroc is not None
        assert found.low < found.auroc < found.high
        held += found.low <= 0.5 <= found.high
    assert held >= 10


def test_two_sources_are_told_apart_by_their_words(
    articles: list[str], questions: list[str]
) -> None:
    found = distinguish(articles[:100], questions[:100])
    assert found.auroc is not None
    assert found.low is not None
    assert found.auroc > 0.99
    assert 0.9 < found.low <= found.auroc <= (found.high or 0)
    assert "my" in found.terms_second
    assert "said" in found.terms_first
    assert not found.sampled


def test_chinese_is_told_apart_by_characters(reviews: list[str]) -> None:
    dirty = [t for t in reviews if "脏" in t][:60]
    clean = [t for t in reviews if "脏" not in t][:300]
    found = distinguish(clean, dirty)
    assert found.auroc is not None
    assert found.auroc > 0.8
    assert "脏" in found.terms_second[:2]


def test_too_few_texts_and_no_words() -> None:
    assert distinguish(["a b"] * 9, ["c d"] * 30).auroc is None
    marks = [f"{'!' * i}" for i in range(1, 25)]
    assert distinguish(marks[:12], marks[12:]).auroc == 0.5
    numbered = [f"same words {i}" for i in range(20)]
    equal = distinguish(numbered, numbered)
    assert equal.auroc is not None
    assert equal.low is not None
    assert equal.low <= 0.5


def test_copies_within_a_sample_arent_recognised(questions: list[str]) -> None:
    few = questions[:12]
    assert distinguish(few * 5, questions[12:80]) == distinguish(few, questions[12:80])
    assert distinguish(few[:9] * 5, questions[12:80]).auroc is None


def test_large_samples_are_drawn_from(
    questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adversarial, "MOST", 100)
    found = distinguish(questions[:500], questions[500:560])
    assert (found.n, found.sampled) == (160, True)
    assert found == distinguish(questions[:500], questions[500:560])
