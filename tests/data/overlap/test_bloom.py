"""A Bloom filter against what its theory says, and its file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.data.overlap.bloom import Bloom
from gradus.data.overlap.ngrams import gram_hashes, word_hashes
from gradus.errors import DataError, SourceError, UsageError


def hashes(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, count, dtype=np.uint64)


@given(st.lists(st.integers(0, 2**64 - 1)), st.sampled_from([0.5, 0.01, 1e-8]))
def test_what_was_added_is_found(values: list[int], rate: float) -> None:
    made = Bloom(max(1, len(values)), rate)
    made.add(np.array(values, np.uint64))
    assert made.holds(np.array(values, np.uint64)).all()


@pytest.mark.parametrize("rate", [0.2, 0.01, 0.001])
def test_the_rate_at_capacity_is_the_one_that_was_asked_for(rate: float) -> None:
    made, trials = Bloom(20_000, rate), 400_000
    made.add(hashes(20_000, 1))
    found = made.holds(hashes(trials, 2)).mean()
    error = math.sqrt(rate * (1 - rate) / trials)
    # Filters of one size differ in their fill too, so a little more than the trials' own error.
    assert found == pytest.approx(rate, abs=5 * error + 0.02 * rate)
    assert made.false_positive_rate == pytest.approx(rate, rel=0.05)
    assert made.distinct == pytest.approx(20_000, rel=0.02)


def test_an_overfull_filter_says_its_true_rate() -> None:
    made = Bloom(5_000, 1e-3)
    for seed in range(3):
        made.add(hashes(5_000, seed))
    found = made.holds(hashes(200_000, 9)).mean()
    assert found > 10e-3
    assert made.false_positive_rate == pytest.approx(found, rel=0.1)
    assert made.distinct == pytest.approx(15_000, rel=0.03)


def test_ngrams_of_one_vocabulary_are_as_good_as_random_numbers() -> None:
    draw = np.random.default_rng(0)
    corpus, other = ([f"{i}" for i in draw.integers(0, 50, 30_000)] for _ in range(2))
    ((_, there),) = gram_hashes(word_hashes(corpus), [8])
    ((_, asked),) = gram_hashes(word_hashes(other), [8])
    made = Bloom(len(there), 0.02)
    made.add(there)
    assert made.holds(asked).mean() == pytest.approx(0.02, abs=0.004)


def test_at_the_papers_rate_nothing_strange_is_found_among_a_million() -> None:
    made = Bloom(50_000)
    made.add(hashes(50_000, 1))
    assert made.false_positive_rate < 1.2e-8
    assert not made.holds(hashes(1_000_000, 2)).any()


def test_a_file_gives_the_same_filter(tmp_path: Path) -> None:
    made = Bloom(1_000, 1e-4, about={"files": {"a.txt": 12}})
    made.add(hashes(1_000, 1))
    made.save(tmp_path / "deep" / "a.bloom")
    again = Bloom.load(tmp_path / "deep" / "a.bloom")
    assert (again.bits == made.bits).all()
    assert (again.capacity, again.rate, again.added, again.about) == (
        made.capacity,
        made.rate,
        made.added,
        made.about,
    )
    assert again.holds(hashes(1_000, 1)).all()
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.bloom"]


def test_what_is_no_filter_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="no such file"):
        Bloom.load(tmp_path / "none")
    file = tmp_path / "a.bloom"
    made = Bloom(10)
    made.save(file)
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(DataError, match="damaged"):
        Bloom.load(file)
    monkeypatch.setattr("gradus.data.overlap.bloom.RULE", "other.v1")
    made.save(file)
    monkeypatch.undo()
    with pytest.raises(DataError, match="another rule"):
        Bloom.load(file)
    with pytest.raises(UsageError, match="between 0 and 1"):
        Bloom(10, 1.0)
    with pytest.raises(UsageError, match="at least 1"):
        Bloom(0)
