"""Predictions of a checkpoint on a split, and the measurements taken from them.

Legend: N items, K labels of the data set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradus import benchmarks, registry
from gradus.benchmarks.base import Benchmark
from gradus.benchmarks.parity import ParityBenchmark
from gradus.data.dataset import Split
from gradus.errors import ContractError
from gradus.metrics.base import Items, Metric, Predictions
from gradus.metrics.repeated import Repeated, Seen, one_of, runs_of, value
from gradus.metrics.score import NONE, Scores
from gradus.predict.base import Predictor
from gradus.predict.postprocess import relabelled
from gradus.records import Measurement, Target
from gradus.stats import seeds as two_level
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

    The checkpoint's labels are matched to the data set's by name; labels that the checkpoint calls
    something else (its label map) are called so here, too.

    Raises:
        ContractError: checkpoint and data have different targets or no label in common.
    """
    benchmark = benchmarks.of(target)
    if predictor.target != target:
        raise ContractError(
            f"the checkpoint's target is '{predictor.target}', the data's is '{target}'"
        )
    split, labels = relabelled(split, labels, predictor.label_map, target)
    outputs = benchmark.outputs(predictor, split, progress)
    return benchmark.observe(outputs, predictor.labels, split, labels)


def measurements(
    observed: Seen,
    *,
    common: Mapping[str, object],
    level: float,
    draws: int,
    seed: int,
    scores: Scores = NONE,
    benchmark: type[Benchmark] | None = None,
) -> list[Measurement]:
    """Every metric of the target's benchmark; parity too when the parent's rows are there.

    Metrics that need what these items don't hold aren't among them (`Metric.asked_of`).

    The plan's own `scores` follow, where they can be taken on these data. Of several seeds the
    mean is measured, with an interval over seeds and items.

    `common` holds the record's fields that all of them share: data, split, checkpoint, contract,
    items. With `benchmark` its metrics are taken, else those of the target's.
    """
    taken = [benchmark or benchmarks.of(observed.target)]
    if isinstance(observed, Predictions) and observed.parent_log_probs is not None:
        taken.append(ParityBenchmark)
    shared = two_level.Draws(runs_of(observed), draws=draws, seed=seed)
    settings: dict[str, Any] = {"level": level, "draws": draws, "seed": seed, "shared": shared}
    found = []
    for one in taken:
        fields = {"benchmark": one.name, **common}
        for name in one.metrics_on(one_of(observed)):
            kind: type[Metric] = registry.load("metrics", name)
            if not kind.asked_of(one_of(observed)):
                continue
            for metric, text in _asked(kind, name, observed.labels):
                found.append(measured(metric, text, observed, common=fields, **settings))
    for name, score in scores.on(observed.target, observed.labels).items():
        if not scores.bases[name] <= set(taken[0].metrics):
            continue
        contract = {**_contract(common), "score": scores.facts(name)}
        fields = {"benchmark": taken[0].name, **common, "contract": contract}
        found.append(measured(score(), name, observed, common=fields, **settings))
    return found


def _asked(kind: type[Metric], name: str, labels: Sequence[str]) -> list[tuple[Metric, str]]:
    """A metric of all items, and of each label where it is asked of them, with what it's called."""
    found = [] if kind.per_label and not kind.overall else [(kind(None), name)]
    if kind.per_label:
        found += [(kind(index), f"{name}[{label}]") for index, label in enumerate(labels)]
    return found


def of_seeds(
    observed: Repeated, scores: Scores = NONE, benchmark: type[Benchmark] | None = None
) -> list[dict[str, Any]]:
    """What each seed gave, for what the benchmark compares and the plan's own scores.

    With `benchmark` its metrics are taken, else those of the target's.

    Rows have ``metric``, ``unit``, ``values`` (one a seed, None where undefined), ``mean`` and
    ``sd``, the standard deviation with one less than the number of seeds below.
    """
    found = []
    for name in (
        *(benchmark or benchmarks.of(observed.target)).compared,
        *scores.on(observed.target, observed.labels),
    ):
        metric = scores.kind(name)()
        values = [metric(run) for run in observed.runs]
        defined = all(math.isfinite(v) for v in values)
        found.append(
            {
                "metric": name,
                "unit": metric.unit,
                "values": [v if math.isfinite(v) else None for v in values],
                "mean": value(metric, observed) if defined else None,
                "sd": two_level.spread(values) if defined else None,
            }
        )
    return found


def _contract(common: Mapping[str, object]) -> dict[str, str]:
    given = common.get("contract", {})
    assert isinstance(given, Mapping)
    return dict(given)


def measured(
    metric: Metric,
    text: str,
    observed: Seen,
    *,
    common: Mapping[str, object],
    level: float,
    draws: int,
    seed: int,
    shared: two_level.Draws | None = None,
) -> Measurement:
    """One metric, called `text`, on the items of one checkpoint or of several seeds.

    `common` holds the record's fields that aren't the metric's; `shared` draws of the same items
    that other metrics have used.
    """
    middle = value(metric, observed)
    low = high = None
    method = "none"
    if math.isfinite(middle):
        if isinstance(observed, Repeated):
            bounds = two_level.interval(
                metric, observed, level=level, draws=draws, seed=seed, shared=shared
            )
        else:
            bounds = interval(metric, observed, level=level, draws=draws, seed=seed)
        (low, high), method = bounds.ends(), bounds.method
    return Measurement(
        metric=text,
        value=middle if math.isfinite(middle) else None,
        unit=metric.unit,
        direction=metric.direction,
        n=len(observed),
        ci_low=low,
        ci_high=high,
        ci_method=method,
        level=level,
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
        answered=own.answered,
        parent_log_probs=parent.log_probs[[row[item] for item in own.ids]],
    )


def relative(path: Path, folder: Path) -> str:
    """`path` as it stands in a record: relative to the run folder, with forward slashes."""
    return path.relative_to(folder).as_posix()
