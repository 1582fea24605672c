"""Predictions of a checkpoint on a split, and the measurements taken from them.

Legend: N items, K labels of the data set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gradus import benchmarks, registry
from gradus.benchmarks.parity import ParityBenchmark
from gradus.data.dataset import Split
from gradus.errors import ContractError
from gradus.metrics.base import Items, Metric, Predictions
from gradus.predict.base import Predictor
from gradus.records import Measurement, Target
from gradus.stats.intervals import interval


def predictions(
    predictor: Predictor,
    split: Split,
    labels: Sequence[str],
    *,
    target: Target = "label",
    progress: Callable[[int], None] | None = None,
) -> Items:
    """What `predictor` says of every item of `split`, whose data have `labels` and `target`.

    The checkpoint's labels are matched to the data set's by name.

    Raises:
        ContractError: checkpoint and data have different targets or no label in common.
    """
    benchmark = benchmarks.of(target)
    if predictor.target != target:
        raise ContractError(
            f"the checkpoint's target is '{predictor.target}', the data's is '{target}'"
        )
    outputs = benchmark.outputs(predictor, split, progress)
    return benchmark.observe(outputs, predictor.labels, split, labels)


def measurements(
    observed: Items,
    *,
    common: Mapping[str, object],
    level: float,
    draws: int,
    seed: int,
) -> list[Measurement]:
    """Every metric of the target's benchmark; parity too when the parent's rows are there.

    `common` holds the record's fields that all of them share: data, split, checkpoint, contract,
    items.
    """
    taken = [benchmarks.of(observed.target)]
    if isinstance(observed, Predictions) and observed.parent_log_probs is not None:
        taken.append(ParityBenchmark)
    found = []
    for benchmark in taken:
        for name in benchmark.metrics:
            kind: type[Metric] = registry.load("metrics", name)
            labels = range(len(observed.labels)) if kind.per_label else ()
            indices = [*([None] if kind.overall or not kind.per_label else []), *labels]
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
    observed: Items,
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


def with_parent(own: Items, parent: Items) -> Predictions:
    """`own` with the parent's log-probabilities beside its own, item by item.

    Raises:
        ContractError: an item or a label isn't in both.
    """
    if not (isinstance(own, Predictions) and isinstance(parent, Predictions)):
        raise ContractError("parity is only defined for one label an item")
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
