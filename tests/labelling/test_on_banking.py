"""Whether chosen texts teach more than random ones, on real questions with 77 labels."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from gradus.labelling import choose, uncertainty
from gradus.labelling.vectors import from_words

POOL, TEST, START, BATCH, ROUNDS, REPEATS = 3000, 1500, 200, 100, 3, 10


@pytest.fixture(scope="module")
def questions(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Vectors and labels of the pool, then of the test's questions."""
    rng, rows = np.random.default_rng(0), []
    for name, count in (("train", POOL), ("test", TEST)):
        with (shared_data / f"banking77.{name}.csv").open(encoding="utf-8", newline="") as stream:
            read = list(csv.DictReader(stream))
        rows += [read[i] for i in rng.permutation(len(read))[:count]]
    names = sorted({row["category"] for row in rows})
    labels = np.array([names.index(row["category"]) for row in rows])
    return from_words([row["text"] for row in rows], dimensions=100), labels


@pytest.mark.slow
def test_chosen_texts_teach_more_than_random_ones(
    questions: tuple[np.ndarray, np.ndarray],
) -> None:
    x, y = questions
    pool, test = np.arange(POOL), np.arange(POOL, POOL + TEST)

    def fit(rows: np.ndarray) -> LogisticRegression:
        return LogisticRegression(C=20, max_iter=60).fit(x[rows], y[rows])

    def accuracy(start: np.ndarray, chosen: bool, seed: int) -> float:
        rng, have = np.random.default_rng(seed), start
        for _ in range(ROUNDS):
            rest = np.setdiff1d(pool, have)
            new = rng.permutation(rest)[:BATCH]
            if chosen:
                unsure = uncertainty(fit(have).predict_proba(x[rest]))
                new = rest[choose(unsure, x[rest], BATCH, seed=seed)]
            have = np.concatenate([have, new])
        return float((fit(have).predict(x[test]) == y[test]).mean())

    gains = []
    for seed in range(REPEATS):
        start = np.random.default_rng(seed).permutation(pool)[:START]
        gains.append(accuracy(start, True, seed) - accuracy(start, False, seed))
    spread = np.std(gains, ddof=1) / REPEATS**0.5
    half = float(stats.t.ppf(0.975, REPEATS - 1)) * spread
    middle = float(np.mean(gains))
    print(f"gain {middle:+.4f} [{middle - half:+.4f}, {middle + half:+.4f}] over {REPEATS} starts")
    assert middle - half > 0
