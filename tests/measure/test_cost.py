"""Turns on the clock, peak memory of a fresh process, timings that are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradus.errors import CheckpointError
from gradus.measure import cost
from gradus.metrics.base import Observed
from gradus.predict.linear import save_majority

TEXTS = [f"text {i}" for i in range(9)]


class Counting:
    """Writes into a shared list who was called with how many texts."""

    labels = ("a", "b")
    size_bytes = 2_500_000

    def __init__(self, name: str, calls: list[tuple[str, str, int]]) -> None:
        self.name, self.calls = name, calls

    def say(self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None) -> Any:
        self.calls.append((self.name, texts[0], len(texts)))
        return np.zeros((len(texts), 2))


def observe(**options: Any) -> tuple[dict[str, Observed], list[tuple[str, str, int]]]:
    calls: list[tuple[str, str, int]] = []
    predictors = {name: Counting(name, calls) for name in ("one", "two")}
    return cost.observe(predictors, TEXTS, **options), calls  # type: ignore[arg-type]  # all that is asked of them


def test_they_take_turns_text_by_text_and_pass_by_pass() -> None:
    observed, calls = observe(repeats=7)
    single = [(name, text, 1) for text in TEXTS for name in ("one", "two")]
    whole = [(name, TEXTS[0], len(TEXTS)) for _ in range(7) for name in ("one", "two")]
    warm = [("one", TEXTS[0], 1), ("two", TEXTS[0], 1)]
    warm_whole = [("one", TEXTS[0], 9), ("two", TEXTS[0], 9)]
    assert calls == [*warm, *single, *warm_whole, *whole]
    for seen in observed.values():
        assert seen.latency_ms is not None
        assert seen.throughput_texts_s is not None
        assert (len(seen.latency_ms), len(seen.throughput_texts_s)) == (9, 7)
        assert (seen.latency_ms > 0).all()
        assert seen.size_mb == 2.5
        assert seen.peak_memory_mb is None


def test_a_used_up_budget_leaves_the_least_rounds() -> None:
    observed, _ = observe(repeats=50, budget_seconds=0.0, memory_mb={"one": 12.0})
    for seen in observed.values():
        assert seen.latency_ms is not None
        assert len(seen.latency_ms) == cost.LEAST_ROUNDS
    assert observed["one"].peak_memory_mb == 12.0
    found = cost.measurements(observed["one"], common={"checkpoint": "one"}, level=0.95, seed=0)
    by_name = {m.metric: m for m in found}
    assert by_name["size_mb"].value == 2.5
    assert by_name["size_mb"].n == 1
    assert by_name["latency_p50_ms"].n == cost.LEAST_ROUNDS
    assert by_name["latency_p50_ms"].value == pytest.approx(
        float(np.median(observed["one"].latency_ms))  # type: ignore[arg-type]  # observed above
    )
    missing = cost.measurements(observed["two"], common={}, level=0.95, seed=0)
    assert "peak_memory_mb" not in {m.metric for m in missing}


def test_timings_come_back_as_they_were(tmp_path: Path) -> None:
    kept = {
        "one": Observed(latency_ms=np.array([1.25, 1 / 3]), peak_memory_mb=5.0, size_mb=0.1),
        "two": Observed(throughput_texts_s=np.array([7.0])),
    }
    path = tmp_path / "new" / "timings.json"
    cost.save_timings(path, kept)
    loaded = cost.load_timings(path)
    assert loaded.keys() == kept.keys()
    np.testing.assert_array_equal(loaded["one"].latency_ms, kept["one"].latency_ms)
    assert loaded["one"].throughput_texts_s is None
    assert (loaded["one"].peak_memory_mb, loaded["one"].size_mb) == (5.0, 0.1)
    np.testing.assert_array_equal(loaded["two"].throughput_texts_s, [7.0])
    assert list(path.parent.iterdir()) == [path]


def test_peak_memory_is_that_of_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Which runs no file that happens to lie in the current folder.
    (tmp_path / "json.py").write_text("raise SystemExit('hijacked')")
    monkeypatch.chdir(tmp_path)
    save_majority(tmp_path / "m", labels=["a", "b"], counts=[1, 2])
    peak = cost.peak_memory(tmp_path / "m", ["x"], dtype="float32")
    assert 10 < peak < 4000
    with pytest.raises(CheckpointError, match="a fresh process could not predict"):
        cost.peak_memory(tmp_path / "none", ["x"], dtype="float32")
