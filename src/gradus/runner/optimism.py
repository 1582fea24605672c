"""A step's score on the data that chose it beside that on fresh data, of the same checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradus import benchmarks, registry
from gradus.data.dataset import Split
from gradus.measure import quality
from gradus.metrics.base import Items
from gradus.metrics.repeated import one_of
from gradus.records import Measurement
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import environment, settings
from gradus.runner.observing import predictions_of
from gradus.runner.store import read_json, write_json
from gradus.stats import optimism

SLOW = ("reply", "text")
"""Targets whose predictions are written out word by word: a second pass would cost too much."""


def rows(
    name: str, data: str, place: Path, measured: Sequence[Measurement], inputs: Inputs
) -> list[dict[str, Any]]:
    """For each metric that the benchmark compares, the scores on both halves and the optimism.

    Rows have ``metric``, ``unit``, ``select`` and ``gate`` (each ``value``, ``ci_low``,
    ``ci_high``, ``n``), ``optimism``, ``ci_low``, ``ci_high`` and ``method``. None where the halves
    are joined, so that there are no fresh data, or where dev.gate wasn't measured. Kept in the
    step's folder, so that dev.select is predicted once.
    """
    dataset = inputs.dataset(data)
    halves = [dataset.splits.get(split) for split in ("dev.select", "dev.gate")]
    if dataset.target in SLOW or any(half is None or not len(half) for half in halves):
        return []
    if dataset.split_digests["dev.select"] == dataset.split_digests["dev.gate"]:
        return []
    on_gate = [m for m in measured if (m.data, m.split) == (data, "dev.gate") and m.items]
    seen = predictions_of([m for m in on_gate if m.checkpoint == name], inputs)
    if seen is None:
        return []
    chosen = inputs.seeds[name].names[inputs.seeds[name].chosen] if name in inputs.seeds else name
    key = {
        "settings": settings(inputs),
        "dtype": inputs.plan.measure["dtype"],
        "sample": inputs.plan.measure.get("dev_sample"),
        "splits": [dataset.split_digests[split] for split in ("dev.select", "dev.gate")],
        "checkpoint": inputs.checkpoint(chosen).digest,
        **environment(),
    }
    file = place / "measure" / f"optimism-{digest(key)[:12]}.json"
    if not file.exists():
        select = _sampled(dataset.splits["dev.select"], inputs)
        theirs = quality.predictions(
            inputs.predictor(chosen).predictor, select, dataset.labels, target=dataset.target
        )
        file.parent.mkdir(exist_ok=True)
        found = _compared(theirs, one_of(seen), benchmarks.of(dataset.target).compared, inputs)
        write_json(file, {"rows": found})
    kept: list[dict[str, Any]] = read_json(file)["rows"]
    return [{"checkpoint": name, "data": data, **row} for row in kept]


def _sampled(split: Split, inputs: Inputs) -> Split:
    """As many items as dev.gate is measured on at most."""
    most = inputs.plan.measure.get("dev_sample")
    return split if most is None or most >= len(split) else split.sample(int(most))


def _compared(
    select: Items, gate: Items, metrics: Sequence[str], inputs: Inputs
) -> list[dict[str, Any]]:
    plan = inputs.plan
    asked: dict[str, Any] = {
        "level": float(plan.measure["level"]),
        "draws": int(plan.measure["bootstrap"]),
        "seed": plan.seed,
    }
    found = []
    for metric in metrics:
        kind = registry.load("metrics", metric)
        first, second = (
            quality.measured(kind(), metric, items, common={}, **asked) for items in (select, gate)
        )
        row = of_measurements(first, second)
        found += [] if row is None else [row]
    return found


def of_measurements(select: Measurement, gate: Measurement) -> dict[str, Any] | None:
    """One row from a metric's measurements on both halves; None where either is undefined."""
    one, other = _estimate(select), _estimate(gate)
    if one is None or other is None:
        return None
    found = optimism.optimism(one, other, higher=select.direction == "higher")
    return {
        "metric": select.metric,
        "unit": select.unit,
        "select": _told(select),
        "gate": _told(gate),
        "optimism": found.value,
        "ci_low": found.low,
        "ci_high": found.high,
        "method": optimism.METHOD,
        "level": select.level,
    }


def _estimate(m: Measurement) -> optimism.Estimate | None:
    if m.value is None or m.ci_low is None or m.ci_high is None:
        return None
    return optimism.Estimate(m.value, m.ci_low, m.ci_high)


def _told(m: Measurement) -> Mapping[str, Any]:
    return {"value": m.value, "ci_low": m.ci_low, "ci_high": m.ci_high, "n": m.n}
