"""Measurements on clean and dirty items are those of the items alone."""

from __future__ import annotations

import numpy as np
import pytest

from gradus.errors import ContractError
from gradus.measure.clean import subsets
from gradus.metrics.base import Predictions
from gradus.metrics.repeated import Repeated

IDS = tuple(f"{i:02x}" for i in range(20))
COMMON = {"data": "news", "split": "", "checkpoint": "tuned"}
SETTINGS = {"level": 0.95, "draws": 100, "seed": 0}


def items(wrong: int) -> Predictions:
    gold = np.arange(20) % 2
    predicted = gold.copy()
    predicted[:wrong] ^= 1
    return Predictions(gold=gold, predicted=predicted, log_probs=None, labels=("a", "b"), ids=IDS)


def accuracy(seen: Predictions | Repeated, dirty: set[str]) -> dict[str, tuple[float | None, int]]:
    found = subsets(seen, known=IDS, dirty=dirty, common=COMMON, **SETTINGS)  # type: ignore[arg-type]  # settings by name
    return {m.data: (m.value, m.n) for m in found if m.metric == "accuracy"}


def test_a_model_that_is_right_where_it_has_read() -> None:
    assert accuracy(items(5), set(IDS[5:15])) == {
        "news": (0.75, 20),
        "news clean": (0.5, 10),
        "news dirty": (1.0, 10),
    }


def test_a_subset_without_items_has_no_measurement() -> None:
    assert set(accuracy(items(5), set())) == {"news", "news clean"}
    assert set(accuracy(items(5), set(IDS))) == {"news", "news dirty"}


def test_several_seeds_are_parted_alike() -> None:
    seen = Repeated((items(5), items(10)), 0)
    found = accuracy(seen, set(IDS[10:]))
    assert found["news clean"] == (pytest.approx(0.25), 10)
    assert found["news dirty"] == (pytest.approx(1.0), 10)


def test_items_of_another_file_are_refused() -> None:
    with pytest.raises(ContractError, match=r"1 of 20 kept items of tuned on news aren't"):
        subsets(items(5), known=IDS[1:], dirty=(), common=COMMON, **SETTINGS)  # type: ignore[arg-type]  # settings by name
