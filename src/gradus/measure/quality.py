"""Predictions of a checkpoint on a split, and the measurements taken from them.

Legend: N items, K labels of the data set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gradus import registry
from gradus.benchmarks.base import Benchmark
from gradus.benchmarks.classify import ClassifyBenchmark
from gradus.benchmarks.parity import ParityBenchmark
from gradus.data.dataset import Split
from gradus.errors import ContractError
from gradus.metrics.base import Metric, Predictions
from gradus.predict.base import Predictor
from gradus.records import Measurement
from gradus.stats.intervals import interval


def predictions(
    predictor: Predictor,
    split: Split,
    labels: Sequence[str],
    *,
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """What `predictor` says of every text of `split`.

    The checkpoint's labels are matched to the data set's by name; a label that it doesn't know
    gets probability 0.

    Raises:
        ContractError: checkpoint and data set have no label in common.
    """
    raw = predictor.log_probs(split.texts, progress=progress)
    log_probs = align(raw, predictor.labels, labels)
    return Predictions(
        gold=np.asarray(split.labels, dtype=np.int64),
        predicted=log_probs.argmax(axis=1).astype(np.int64),
        log_probs=log_probs,
        labels=tuple(labels),
        ids=tuple(split.ids),
    )


def align(rows: np.ndarray, own: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Columns of `rows` [N, len(own)] brought into the order of `wanted`; absent ones are -inf.

    Raises:
        ContractError: no label is shared.
    """
    position = {label: i for i, label in enumerate(own)}
    if not set(wanted) & set(position):
        raise ContractError(
            f"the checkpoint's labels ({', '.join(own[:5])}) and the data set's "
            f"({', '.join(wanted[:5])}) have none in common"
        )
    aligned = np.full((len(rows), len(wanted)), -np.inf)
    for column, label in enumerate(wanted):
        if label in position:
            aligned[:, column] = rows[:, position[label]]
    return aligned


def measurements(
    observed: Predictions,
    *,
    common: Mapping[str, object],
    level: float,
    draws: int,
    seed: int,
) -> list[Measurement]:
    """Every classification metric on `observed`; parity too when the parent's rows are there.

    `common` holds the record's fields that all of them share: data, split, checkpoint, contract,
    items.
    """
    benchmarks: list[type[Benchmark]] = [ClassifyBenchmark]
    if observed.parent_log_probs is not None:
        benchmarks.append(ParityBenchmark)
    found = []
    for benchmark in benchmarks:
        for name in benchmark.metrics:
            kind: type[Metric] = registry.load("metrics", name)
            indices = range(len(observed.labels)) if kind.per_label else [None]
            for index in indices:
                metric = kind(index)
                text = name if index is None else f"{name}[{observed.labels[index]}]"
                found.append(
                    _measured(metric, text, observed, benchmark.name, common, level, draws, seed)
                )
    return found


def _measured(
    metric: Metric,
    text: str,
    observed: Predictions,
    benchmark: str,
    common: Mapping[str, object],
    level: float,
    draws: int,
    seed: int,
) -> Measurement:
    value = metric(observed)
    if not math.isfinite(value):
        return Measurement(
            metric=text,
            value=None,
            unit=metric.unit,
            direction=metric.direction,
            n=len(observed),
            level=level,
            benchmark=benchmark,
            **common,  # type: ignore[arg-type]  # fields of the record, by name
        )
    bounds = interval(metric, observed, level=level, draws=draws, seed=seed)
    low, high = bounds.ends()
    return Measurement(
        metric=text,
        value=value,
        unit=metric.unit,
        direction=metric.direction,
        n=len(observed),
        ci_low=low,
        ci_high=high,
        ci_method=bounds.method,
        level=level,
        benchmark=benchmark,
        **common,  # type: ignore[arg-type]  # fields of the record, by name
    )


def with_parent(own: Predictions, parent: Predictions) -> Predictions:
    """`own` with the parent's log-probabilities beside its own, item by item.

    Raises:
        ContractError: an item or a label isn't in both.
    """
    if parent.labels != own.labels or parent.log_probs is None:
        raise ContractError("parent and child have different labels: their parity isn't defined")
    row = {item: i for i, item in enumerate(parent.ids)}
    missing = [item for item in own.ids if item not in row]
    if missing:
        raise ContractError(f"{len(missing)} of {len(own)} items weren't measured on the parent")
    return Predictions(
        gold=own.gold,
        predicted=own.predicted,
        log_probs=own.log_probs,
        labels=own.labels,
        ids=own.ids,
        parent_log_probs=parent.log_probs[[row[item] for item in own.ids]],
    )


def relative(path: Path, folder: Path) -> str:
    """`path` as it stands in a record: relative to the run folder, with forward slashes."""
    return path.relative_to(folder).as_posix()
