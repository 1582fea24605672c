from __future__ import annotations

import math
import random
import re
import string
from collections import Counter

import numpy as np
import pytest

from gradus.metrics import get
from gradus.metrics.bleu import bleu, statistics
from gradus.metrics.replies import Replies

WORDS = [
    "the",
    "a",
    "an",
    "cat",
    "sat",
    "on",
    "mat",
    "dog",
    "ran",
    "far",
    "away",
    "and",
    "then",
    "it",
    "was",
    "over",
    "The,",
    "mat.",
    "dog's",
    "3.5",
]


def replies(n: int, seed: int = 0, references: int = 3) -> Replies:
    """Random texts, each a disturbed copy of its first reference."""
    draw = random.Random(seed)
    texts, right = [], []
    for _ in range(n):
        base = [draw.choice(WORDS) for _ in range(draw.randint(1, 14))]
        kept = [word for word in base if draw.random() < 0.8]
        others = [
            " ".join(draw.choice(WORDS) for _ in range(draw.randint(1, 9)))
            for _ in range(draw.randint(0, references - 1))
        ]
        texts.append(" ".join(kept))
        right.append((" ".join(base), *others))
    return Replies(tuple(texts), tuple(right), tuple(f"{i:064x}" for i in range(n)))


def plainly(text: str) -> str:
    """SQuAD's normalisation, character by character and word by word."""
    kept = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(
        word for word in re.split(r"\s+", kept) if word and word not in ("a", "an", "the")
    )


def word_f1(said: str, right: str) -> float:
    """By hand: precision and recall of words that are crossed out one after the other."""
    one, two = plainly(said).split(), plainly(right).split()
    if not one or not two:
        return float(one == two)
    left, same = list(two), 0
    for word in one:
        if word in left:
            left.remove(word)
            same += 1
    if not same:
        return 0.0
    precision, recall = same / len(one), same / len(two)
    return 2 * precision * recall / (precision + recall)


def test_answers_match_case_punctuation_and_articles_aside() -> None:
    seen = Replies(
        ("The Cat!", "cat", "", "catch", "a  dog", ""),
        (("cat",), ("a dog", "cats"), ("",), ("cat",), ("the dog.",), ("cat",)),
    )
    assert get("exact_match").successes(seen).tolist() == [True, False, True, False, True, False]
    assert get("exact_match")(seen) == 0.5


def test_word_f1_is_that_by_hand() -> None:
    seen = replies(200)
    pairs = list(zip(seen.texts, seen.references, strict=True))
    expected = [max(word_f1(t, r) for r in refs) for t, refs in pairs]
    assert 0.1 < np.mean(expected) < 0.95
    assert get("token_f1")(seen) == pytest.approx(np.mean(expected), abs=1e-12)
    out = []
    for text, refs in pairs:
        scores = [word_f1(text, one) for one in refs]
        rest = (
            [max(scores[:i] + scores[i + 1 :]) for i in range(len(scores))]
            if scores[1:]
            else scores
        )
        out.append(sum(rest) / len(rest))
    assert get("coqa_f1")(seen) == pytest.approx(np.mean(out), abs=1e-12)
    assert get("coqa_f1")(seen) < get("token_f1")(seen)


def common(one: list[str], two: list[str]) -> int:
    """Length of the longest common subsequence, by its recursion."""
    rows = [[0] * (len(two) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(two):
            rows[i + 1][j + 1] = rows[i][j] + 1 if a == b else max(rows[i][j + 1], rows[i + 1][j])
    return rows[-1][-1]


def test_rouge_is_that_by_hand() -> None:
    pytest.importorskip("rouge_score")
    # Words that a stemmer leaves alone.
    draw = random.Random(2)
    words = ["cat", "dog", "mat", "sun", "red", "run"]
    texts = [[draw.choice(words) for _ in range(draw.randint(2, 9))] for _ in range(120)]
    pairs = list(zip(texts[::2], texts[1::2], strict=True))
    seen = Replies(tuple(" ".join(a) for a, _ in pairs), tuple((" ".join(b),) for _, b in pairs))

    def f1(hits: int, said: int, right: int) -> float:
        return 2 * hits / (said + right) if hits else 0.0

    expected = [f1(common(a, b), len(a), len(b)) for a, b in pairs]
    assert get("rouge_l")(seen) == pytest.approx(np.mean(expected), abs=1e-12)
    for n, name in ((1, "rouge_1"), (2, "rouge_2")):
        values = []
        for a, b in pairs:
            left, right = (Counter(zip(*(x[i:] for i in range(n)), strict=False)) for x in (a, b))
            total = sum((left & right).values())
            values.append(f1(total, sum(left.values()), sum(right.values())))
        assert get(name)(seen) == pytest.approx(np.mean(values), abs=1e-12)


def test_rouge_takes_the_nearest_reference_and_stems() -> None:
    pytest.importorskip("rouge_score")
    seen = Replies(("He was running.",), (("she sat", "he was run", "x"),))
    assert get("rouge_l")(seen) == 1.0


def test_bleu_is_sacrebleus_of_the_corpus() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    for seed, n, references in ((0, 40, 1), (1, 40, 3), (2, 3, 1), (3, 1, 1), (4, 1, 2)):
        seen = replies(n, seed, references)
        most = max(map(len, seen.references))
        streams = [
            [refs[i] if i < len(refs) else None for refs in seen.references] for i in range(most)
        ]
        expected = sacrebleu.metrics.BLEU().corpus_score(list(seen.texts), streams).score
        assert get("bleu")(seen) == pytest.approx(expected, abs=1e-9)
    nothing = Replies(("dog", ""), (("cat",), ("mat",)))
    assert get("bleu")(nothing) == 0.0
    assert math.isnan(get("bleu")(Replies((), ())))


def test_bleus_smoothing_is_that_of_single_sentences() -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    one = Replies(("the cat sat far away",), (("the cat ran on the mat",),))
    expected = sacrebleu.sentence_bleu(
        one.texts[0], list(one.references[0]), use_effective_order=False
    ).score
    assert expected > 0
    assert get("bleu")(one) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "name", ["exact_match", "token_f1", "coqa_f1", "rouge_1", "rouge_2", "rouge_l", "bleu"]
)
def test_weightings_are_resamples(name: str) -> None:
    pytest.importorskip("rouge_score")
    pytest.importorskip("sacrebleu")
    seen, metric = replies(30), get(name)
    rows = np.random.default_rng(0).integers(0, 30, (6, 30))
    weights = np.stack([np.bincount(r, minlength=30) for r in rows]).astype(float)
    found = metric.weighted(seen, weights)
    np.testing.assert_allclose(found, [metric(seen.take(r)) for r in rows], rtol=1e-9)
    assert metric.bound == ("format", "decoding")
    assert metric.facts
    assert math.isnan(metric(Replies((), ())))


def test_bleus_statistics_are_ten_numbers_an_item() -> None:
    pytest.importorskip("sacrebleu")
    seen = Replies(("a b c d",), (("a b x d e", "a b c"),))
    # 4 tokens; "a b c" is nearer in length (3) than "a b x d e" (5): equally near, the shorter.
    assert statistics(seen).tolist() == [[4, 3, 4, 2, 1, 0, 4, 3, 2, 1]]
    assert bleu(statistics(seen))[0] == pytest.approx(
        100 * math.exp(np.mean(np.log([1, 2 / 3, 1 / 2, 1 / 2]))), abs=1e-9
    )


def test_the_signature_says_how() -> None:
    pytest.importorskip("sacrebleu")
    from importlib.metadata import version

    assert get("bleu").facts["signature"].endswith(f"version:{version('sacrebleu')}")
    assert "tok:13a" in get("bleu").facts["signature"]
