"""Timings with turns taken, peak memory in a fresh process, size on disk."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gradus import registry
from gradus.benchmarks.cost import CostBenchmark
from gradus.errors import CheckpointError
from gradus.metrics.base import Metric, Observed
from gradus.predict.base import Predictor
from gradus.processes import module
from gradus.records import Measurement
from gradus.stats.intervals import interval

LEAST_ROUNDS = 6
"""Fewer rounds than six bound no median at 95 %."""
LEAST_TEXTS = 4


def observe(
    predictors: Mapping[str, Predictor],
    texts: Sequence[str],
    *,
    repeats: int,
    budget_seconds: float = 12.0,
    memory_mb: Mapping[str, float] | None = None,
) -> dict[str, Observed]:
    """Time the predictors, turn by turn, on the same texts.

    Latency: one text at a time, every predictor on it before the next text. Throughput: the texts
    at once, `repeats` rounds, of as many texts as fit the budget. Each half stops early when half
    of `budget_seconds` is used up, but not before `LEAST_ROUNDS` texts or rounds.

    Returns:
        Observed for each name; position i of the timings is the same round for all of them.
    """
    single = _take_turns(
        {name: (lambda text, p=p: p.say([text])) for name, p in predictors.items()},
        list(texts),
        least=LEAST_ROUNDS,
        budget=budget_seconds / 2,
    )
    rounds = max(repeats, LEAST_ROUNDS)
    # A pass costs at most what its texts cost alone, so this many fit the budget.
    alone = sum(float(np.median(seconds)) for seconds in single.values())
    fitting = int(budget_seconds / 2 / (rounds + 1) / max(alone, 1e-9))
    batch = list(texts[: max(LEAST_TEXTS, fitting)])
    whole = _take_turns(
        {name: (lambda batch, p=p: p.say(batch)) for name, p in predictors.items()},
        [batch] * rounds,
        least=LEAST_ROUNDS,
        budget=budget_seconds / 2,
    )
    known = memory_mb or {}
    return {
        name: Observed(
            latency_ms=np.array(single[name]) * 1e3,
            throughput_texts_s=len(batch) / np.array(whole[name]),
            peak_memory_mb=known.get(name),
            size_mb=predictors[name].size_bytes / 1e6,
        )
        for name in predictors
    }


def _take_turns(
    work: Mapping[str, Callable[..., object]],
    rounds: Sequence[object],
    *,
    least: int,
    budget: float,
) -> dict[str, list[float]]:
    for call in work.values():
        call(rounds[0])
    taken: dict[str, list[float]] = {name: [] for name in work}
    began = time.perf_counter()
    for done, argument in enumerate(rounds):
        if done >= least and time.perf_counter() - began > budget:
            break
        for name, call in work.items():
            start = time.perf_counter()
            call(argument)
            taken[name].append(time.perf_counter() - start)
    return taken


def peak_memory(checkpoint: Path, texts: Sequence[str], *, dtype: str) -> float:
    """Peak resident memory, in 10^6 bytes, of a process that loads and predicts.

    Raises:
        CheckpointError: that process failed; the message holds the end of what it said.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(list(texts), file)
        file.flush()
        command = module("gradus.measure.memory", str(checkpoint), file.name, dtype)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CheckpointError(
            f"{checkpoint}: a fresh process could not predict with it:\n{done.stderr[-2000:]}"
        )
    return float(done.stdout.strip().splitlines()[-1])


def measurements(
    observed: Observed, *, common: Mapping[str, object], level: float, seed: int
) -> list[Measurement]:
    """The cost metrics of one checkpoint. What wasn't observed gives no record."""
    found = []
    for name in CostBenchmark.metrics:
        metric: Metric = registry.load("metrics", name)()
        rows = _rows(metric, observed)
        if rows is None:
            continue
        bounds = interval(metric, observed, level=level, seed=seed)
        low, high = bounds.ends()
        found.append(
            Measurement(
                metric=name,
                value=metric(observed),
                unit=metric.unit,
                direction=metric.direction,
                n=rows,
                ci_low=low,
                ci_high=high,
                ci_method=bounds.method,
                level=level,
                benchmark=CostBenchmark.name,
                **common,  # type: ignore[arg-type]  # fields of the record, by name
            )
        )
    return found


def _rows(metric: Metric, observed: Observed) -> int | None:
    series = {"latency": observed.latency_ms, "throughput": observed.throughput_texts_s}
    if metric.needs in series:
        rows = series[metric.needs]
        return None if rows is None else len(rows)
    single = {"memory": observed.peak_memory_mb, "size": observed.size_mb}[metric.needs]
    return None if single is None else 1


def save_timings(path: Path, observed: Mapping[str, Observed]) -> None:
    """Keep the raw timings as JSON, so that a gate can be judged again without timing again."""
    rows = {
        name: {
            "latency_ms": None if o.latency_ms is None else o.latency_ms.tolist(),
            "throughput_texts_s": (
                None if o.throughput_texts_s is None else o.throughput_texts_s.tolist()
            ),
            "peak_memory_mb": o.peak_memory_mb,
            "size_mb": o.size_mb,
        }
        for name, o in observed.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(rows), encoding="utf-8")
    partial.replace(path)


def load_timings(path: Path) -> dict[str, Observed]:
    """What `save_timings` wrote."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {
        name: Observed(
            latency_ms=None if row["latency_ms"] is None else np.array(row["latency_ms"]),
            throughput_texts_s=(
                None if row["throughput_texts_s"] is None else np.array(row["throughput_texts_s"])
            ),
            peak_memory_mb=row["peak_memory_mb"],
            size_mb=row["size_mb"],
        )
        for name, row in rows.items()
    }
