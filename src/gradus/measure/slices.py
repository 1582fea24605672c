"""Results broken down by slices of the items, and the slices that are worse off than the rest.

Legend: N items.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from gradus.data.dataset import Dataset, Split
from gradus.data.words import find_words
from gradus.errors import UsageError, unknown
from gradus.gates import sliced
from gradus.measure.scripts import script_of
from gradus.metrics.base import Metric
from gradus.metrics.repeated import Seen, kept, value
from gradus.metrics.score import NONE, Scores
from gradus.records import Measurement
from gradus.stats.slices import holm, worse

COLUMN: Final = "column:"
LOOKED_AT: Final = 10_000
"""Texts of train that the quarters of length are found on, chosen by content hash."""
EMPTY: Final = "(empty)"

Members = Mapping[str, Sequence[str | None]]
"""For each slicing the slice of each of N items; None where it belongs to none."""


def check(slicings: Sequence[str], data: Iterable[Dataset]) -> None:
    """Refuse slicings by a column that no data set keeps.

    Raises:
        UsageError: there is one; the message names a near one.
    """
    known = {
        column for dataset in data for split in dataset.splits.values() for column in split.columns
    }
    for slicing in slicings:
        column = slicing.removeprefix(COLUMN)
        if column != slicing and column not in known:
            raise UsageError(
                f"measure.slices: {unknown('column', column, known)}; data keep a column with "
                f"'columns: {{keep: [{column}]}}'"
            )


def members(slicings: Sequence[str], dataset: Dataset, split: Split) -> dict[str, list[str | None]]:
    """Which slice each item of `split`, one of `dataset`'s or a sample of it, belongs to.

    Slicings that the data don't have (a column that they don't keep, the label where an item has
    no single one) are left out. The key is the slicing as gates and reports write it: a column's
    name without ``column:``.
    """
    found: dict[str, list[str | None]] = {}
    for slicing in slicings:
        column = slicing.removeprefix(COLUMN)
        if column != slicing:
            if column in split.columns:
                found[column] = [str(v) if str(v) else EMPTY for v in split.columns[column]]
        elif slicing == "language":
            found[slicing] = [script_of(text) for text in split.texts]
        elif slicing == "length":
            edges = _quarters(dataset)
            found[slicing] = [_range(edges, len(find_words(text))) for text in split.texts]
        elif slicing == "label" and dataset.target == "label":
            found[slicing] = [dataset.labels[i] for i in split.labels]
    return found


def _quarters(dataset: Dataset) -> list[int]:
    """The greatest lengths, in words, of the first three quarters of train, each once.

    Train's, so that a slice is the same on every other split.
    """
    train = dataset.splits["train"]
    lengths = [len(find_words(text)) for text in train.sample(LOOKED_AT).texts]
    if not lengths:
        return []
    cuts = np.quantile(lengths, [0.25, 0.5, 0.75], method="lower").astype(int).tolist()
    return sorted({cut for cut in cuts if cut < max(lengths)})


def _range(edges: Sequence[int], length: int) -> str:
    """The quarter that a length is in: ``1-9``, ``10-17``, ``18-30``, ``31+``."""
    low = 1
    for edge in edges:
        if length <= edge:
            return f"{low}-{edge}" if low < edge else str(edge)
        low = edge + 1
    return f"{low}+"


def rows(of: Sequence[str | None], name: str) -> np.ndarray:
    """int64 [M], the items in one slice."""
    return np.array([i for i, own in enumerate(of) if own == name], dtype=np.int64)


def broken_down(
    seen: Seen,
    by: Members,
    metrics: Sequence[str],
    *,
    least: int,
    common: Mapping[str, object],
    level: float,
    draws: int,
    seed: int,
    scores: Scores = NONE,
) -> tuple[list[Measurement], list[dict[str, Any]]]:
    """`metrics` on each slice of at least `least` items, and the first of them slice against rest.

    Returns:
        The measurements, and a row for each slice: ``by``, ``slice``, ``metric``, ``n``,
        ``value`` with its interval, ``rest`` (the value on all other items), ``difference``, the
        one-sided ``p_value`` of being worse, ``p_holm``, which allows for all slices of this
        checkpoint, and ``worse``, whether that is at most 1 - `level`.
    """
    from gradus.measure.quality import measured

    found: list[Measurement] = []
    told: list[dict[str, Any]] = []
    for slicing, of in by.items():
        for name in _names(of, least):
            inside = np.array([own == name for own in of])
            part = kept(seen, np.flatnonzero(inside))
            for text in metrics:
                metric = scores.get(text, seen.labels)
                called = sliced(text, slicing, name)
                found.append(
                    measured(
                        metric, called, part, common=common, level=level, draws=draws, seed=seed
                    )
                )
                if text == metrics[0] and not inside.all():
                    row = _against_rest(metric, seen, inside, draws, seed)
                    told.append({"by": slicing, "slice": name, **_numbers(found[-1], text), **row})
    tested = [row for row in told if row["p_value"] is not None]
    for row, adjusted in zip(tested, holm([r["p_value"] for r in tested]), strict=True):
        row |= {"p_holm": adjusted, "worse": adjusted <= 1 - level}
    return found, told


def _names(of: Sequence[str | None], least: int) -> list[str]:
    """The slices that are large enough: ranges and labels in their order, the rest by name."""
    counts = Counter(name for name in of if name is not None)

    def key(name: str) -> tuple[int, str]:
        head = name.rstrip("+").partition("-")[0]
        return (int(head), "") if head.isdecimal() else (0, name)

    return sorted((name for name, count in counts.items() if count >= least), key=key)


def _against_rest(
    metric: Metric, seen: Seen, inside: np.ndarray, draws: int, seed: int
) -> dict[str, Any]:
    gap, p_value = worse(metric, seen, inside, draws=draws, seed=seed)
    rest = value(metric, kept(seen, np.flatnonzero(~inside)))
    return {
        "rest": rest if math.isfinite(rest) else None,
        "difference": gap if math.isfinite(gap) else None,
        "p_value": p_value if math.isfinite(p_value) else None,
        "p_holm": None,
        "worse": False,
    }


def _numbers(m: Measurement, metric: str) -> dict[str, Any]:
    kept_fields = ("checkpoint", "data", "split", "n", "value", "unit", "ci_low", "ci_high")
    return {"metric": metric, **{name: getattr(m, name) for name in kept_fields}}
