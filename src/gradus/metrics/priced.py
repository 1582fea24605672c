# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""Scores that price the cells of the confusion matrix.

Legend: N items, K labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, cast

from gradus.errors import UsageError, unknown
from gradus.metrics.base import Direction, Predictions
from gradus.metrics.means import MeanMetric

if TYPE_CHECKING:
    import numpy as np


class Priced(MeanMetric):
    """Mean price of an item, by its true and its predicted label; NaN without items.

    Class attributes:
        prices: ``{true label: {predicted label: price}}``.
        right, wrong: prices of the cells that `prices` doesn't name, on and off the diagonal.
    """

    needs = "labels"
    source = "expected cost of decisions: Elkan (2001)"
    prices: ClassVar[Mapping[str, Mapping[str, float]]]
    right: ClassVar[float]
    wrong: ClassVar[float]

    def per_item(self, predictions: Predictions) -> np.ndarray:
        found: np.ndarray = self.matrix(predictions.labels)[predictions.gold, predictions.predicted]
        return found

    @classmethod
    def matrix(cls, labels: tuple[str, ...]) -> np.ndarray:
        """Prices float64 [K, K], rows true labels, columns predicted ones.

        Raises:
            UsageError: a label of `prices` isn't among `labels`.
        """
        import numpy as np

        for label in cls.lacking(labels):
            raise UsageError(f"score '{cls.name}': {unknown('label', label, labels)}")
        index = {label: i for i, label in enumerate(labels)}
        cells = np.full((len(labels), len(labels)), cls.wrong)
        np.fill_diagonal(cells, cls.right)
        for gold, row in cls.prices.items():
            for predicted, price in row.items():
                cells[index[gold], index[predicted]] = price
        return cells

    @classmethod
    def lacking(cls, labels: tuple[str, ...]) -> list[str]:
        """The labels that are priced, but that data with `labels` don't have."""
        named = dict.fromkeys(name for gold, row in cls.prices.items() for name in (gold, *row))
        return [name for name in named if name not in labels]


def priced(
    name: str,
    *,
    prices: Mapping[str, Mapping[str, float]],
    right: float,
    wrong: float,
    unit: str,
    direction: Direction,
) -> type[Priced]:
    """The metric of that name with these prices."""
    cells = [price for row in prices.values() for price in row.values()] + [right, wrong]
    own = {
        "__module__": __name__,
        "__doc__": Priced.__doc__,
        "name": name,
        "unit": unit,
        "direction": direction,
        "range": (min(cells), max(cells)),
        "summary": "mean price of an item, by true and predicted label",
        "prices": {gold: dict(row) for gold, row in prices.items()},
        "right": right,
        "wrong": wrong,
    }
    return cast("type[Priced]", type(name, (Priced,), own))
