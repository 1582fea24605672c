"""Metrics of what a panel said: means over the texts that were rated."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gradus import registry
from gradus.metrics import get
from gradus.metrics.writings import Writings
from gradus.panel.criteria import CRITERIA

NAMES = [*(f"panel_{name}" for name in CRITERIA), "panel_wins"]


def items(name: str, values: list[float]) -> Writings:
    size = len(values)
    return Writings(
        prompts=("Once",) * size,
        texts=("upon",) * size,
        sources=(None,) * size,
        ids=tuple(f"{i}/0" for i in range(size)),
        columns={name: np.array(values)},
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_of_what_was_rated(name: str) -> None:
    rated = items(name, [0.25, math.nan, 0.75, 1.0])
    assert get(name)(rated) == pytest.approx(2 / 3)
    assert math.isnan(get(name)(items(name, [math.nan, math.nan])))
    assert get(name).direction == "higher"


@pytest.mark.parametrize("name", NAMES)
def test_each_needs_its_own_column(name: str) -> None:
    kind = registry.load("metrics", name)
    assert kind.asked_of(items(name, [1.0]))
    assert not kind.asked_of(items("other", [1.0]))
