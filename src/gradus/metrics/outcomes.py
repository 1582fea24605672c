"""What another harness's own scoring gives each of N items, M numbers or records an item."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np

MEAN = "mean"
UNDEFINED = ""


@dataclass(frozen=True, slots=True)
class Outcomes(Items):
    """What N items scored by M names, and how each name's items make one number.

    Attributes:
        labels: M names, as the harness has them, e.g. ``exact_match`` or ``f1,strict-match``.
        aggregations: how the items of each name become one number: `MEAN`, the name of one of
            lm-evaluation-harness's aggregations, or `UNDEFINED`.
        lower: for each name, whether less is better.
        values: float64 [N, M], an item's number; NaN where it has none or what it has is a record.
        records: N tuples of M, what the aggregation takes where that isn't a number, as JSON; ""
            elsewhere.
        said: N texts, what the model wrote or chose, for a reader.
        expected: N texts, what would be right.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
    """

    target: ClassVar[Target] = "outcome"

    labels: tuple[str, ...]
    aggregations: tuple[str, ...]
    lower: tuple[bool, ...]
    values: np.ndarray
    records: tuple[tuple[str, ...], ...]
    said: tuple[str, ...]
    expected: tuple[str, ...]
    ids: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def _with(self, rows: Sequence[int], ids: tuple[str, ...] = ()) -> Outcomes:
        return Outcomes(
            labels=self.labels,
            aggregations=self.aggregations,
            lower=self.lower,
            values=self.values[rows],
            records=tuple(self.records[i] for i in rows),
            said=tuple(self.said[i] for i in rows),
            expected=tuple(self.expected[i] for i in rows),
            ids=ids,
        )

    def take(self, rows: np.ndarray) -> Outcomes:
        """See `Items.take`."""
        return self._with([int(row) for row in rows])

    def joined(self, other: Self) -> Outcomes:
        """See `Items.joined`."""
        import numpy as np

        return Outcomes(
            labels=self.labels,
            aggregations=self.aggregations,
            lower=self.lower,
            values=np.concatenate([self.values, other.values]),
            records=self.records + other.records,
            said=self.said + other.said,
            expected=self.expected + other.expected,
        )

    def relabelled(self, labels: tuple[str, ...]) -> Outcomes:
        """See `Items.relabelled`: the same names in another order."""
        order = [self.labels.index(label) for label in labels]
        return Outcomes(
            labels=labels,
            aggregations=tuple(self.aggregations[i] for i in order),
            lower=tuple(self.lower[i] for i in order),
            values=self.values[:, order],
            records=tuple(tuple(row[i] for i in order) for row in self.records),
            said=self.said,
            expected=self.expected,
            ids=self.ids,
        )

    def right(self) -> np.ndarray:
        """bool [N], by the first name that is a mean.

        An item is right where it scored 1 on a scale from 0 to 1, or did at least as well as the
        median on any other; where no name is a mean, none is.
        """
        import numpy as np

        means = [i for i, kind in enumerate(self.aggregations) if kind == MEAN]
        if not means or not len(self):
            return np.zeros(len(self), dtype=np.bool_)
        column = self.values[:, means[0]]
        if self.lower[means[0]]:
            found: np.ndarray = column <= np.nanmedian(column)
        elif np.nanmin(column) >= 0 and np.nanmax(column) <= 1:
            found = column == 1
        else:
            found = column >= np.nanmedian(column)
        return found

    def gold_equals(self, other: Outcomes) -> np.ndarray:
        """See `Items.gold_equals`."""
        import numpy as np

        pairs = zip(self.expected, other.expected, strict=True)
        return np.array([one == two for one, two in pairs], dtype=np.bool_)

    def to_columns(self) -> dict[str, list[Any]]:
        """``values`` and ``records`` in the order of the names, ``said`` and ``expected``.

        ``aggregations`` and ``lower`` are the same in every row.
        """
        import numpy as np

        n = len(self)
        missing = np.isnan(self.values)
        return {
            "values": [
                [None if gone else value for value, gone in zip(row.tolist(), holes, strict=True)]
                for row, holes in zip(self.values, missing, strict=True)
            ],
            "records": [list(row) for row in self.records],
            "said": list(self.said),
            "expected": list(self.expected),
            "aggregations": [list(self.aggregations)] * n,
            "lower": [list(self.lower)] * n,
        }

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Outcomes:
        """See `Items.from_columns`."""
        import numpy as np

        values = np.array(columns["values"], dtype=np.float64).reshape(-1, len(labels))
        there = bool(len(values))
        return cls(
            labels=labels,
            aggregations=tuple(columns["aggregations"][0]) if there else (UNDEFINED,) * len(labels),
            lower=tuple(columns["lower"][0]) if there else (False,) * len(labels),
            values=values,
            records=tuple(tuple(row) for row in columns["records"]),
            said=tuple(columns["said"]),
            expected=tuple(columns["expected"]),
            ids=ids,
        )

    def recorded(self, label: int) -> list[Any]:
        """What the aggregation of a name takes: N numbers, or N records, lists as tuples."""
        if self.aggregations[label] == MEAN:
            return [float(value) for value in self.values[:, label]]
        return [_tuples(json.loads(row[label])) for row in self.records if row[label]]

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`; outcomes come without a probability."""
        return self.expected[row], self.said[row], None


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, which aggregations of the harness unpack."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
