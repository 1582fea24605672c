"""Predictions matched to a data set by label name and item."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.benchmarks.classify import align
from gradus.data.dataset import Split
from gradus.errors import ContractError
from gradus.measure import quality
from gradus.metrics.base import Predictions

LABELS = ("a", "b", "c")


class Fixed:
    """Says the same row of every text."""

    labels = ("c", "a")
    target = "label"
    thresholds = (0.5, 0.5)
    abstain_below = None
    label_map: ClassVar[dict[str, str]] = {}

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> Any:
        return np.log(np.tile([0.75, 0.25], (len(texts), 1)))


@given(st.permutations(["a", "b", "c", "d"]), st.lists(st.sampled_from("abcdxy"), unique=True))
def test_columns_are_matched_by_name(own: list[str], wanted: list[str]) -> None:
    rows = np.arange(8.0).reshape(2, 4)
    if not set(own) & set(wanted):
        with pytest.raises(ContractError, match="none in common"):
            align(rows, own, wanted)
        return
    aligned = align(rows, own, wanted)
    for column, label in enumerate(wanted):
        expected = rows[:, own.index(label)] if label in own else [-np.inf, -np.inf]
        np.testing.assert_array_equal(aligned[:, column], expected)


def test_a_label_the_checkpoint_does_not_know_has_probability_0() -> None:
    split = Split(texts=["x", "y"], labels=np.array([2, 1]), ids=["1", "2"])
    seen = quality.predictions(Fixed(), split, LABELS)  # type: ignore[arg-type]  # all that is asked of it
    np.testing.assert_allclose(np.exp(seen.log_probs), [[0.25, 0, 0.75]] * 2)  # type: ignore[arg-type]  # never None here
    assert seen.predicted.tolist() == [2, 2]
    found = {
        m.metric: m
        for m in quality.measurements(seen, common={"data": "d"}, level=0.95, draws=100, seed=0)
    }
    assert found["accuracy"].value == 0.5
    # The second text has probability 0 for its true label; log-loss counts it at float64's eps.
    expected = -(np.log(0.75) + np.log(np.finfo(np.float64).eps)) / 2
    assert found["log_loss"].value == pytest.approx(expected)
    assert found["recall[b]"].value == 0.0
    assert "parity_kl" not in found


def predictions(ids: str, shift: float = 0.0) -> Predictions:
    rows = np.log(np.array([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]])) + shift
    return Predictions(
        gold=np.array([0, 2, 1]),
        predicted=np.array([0, 2, 1]),
        log_probs=rows,
        labels=LABELS,
        ids=tuple(ids),
    )


def test_the_parent_stands_beside_item_by_item() -> None:
    own, parent = predictions("xyz"), predictions("zxy", shift=-1.0)
    both = quality.with_parent(own, parent)
    assert parent.log_probs is not None
    np.testing.assert_array_equal(both.parent_log_probs, parent.log_probs[[1, 2, 0]])
    found = quality.measurements(both, common={}, level=0.9, draws=100, seed=0)
    assert {"parity_kl", "parity_flips"} <= {m.metric for m in found}
    with pytest.raises(ContractError, match="1 of 3 items"):
        quality.with_parent(own, predictions("xyw"))
    with pytest.raises(ContractError, match="different labels"):
        quality.with_parent(own, dataclasses.replace(parent, labels=("a", "b", "d")))
