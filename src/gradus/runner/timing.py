"""Cost: the checkpoints that take turns on the clock, and their peak memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradus import hardware
from gradus.benchmarks.cost import CostBenchmark
from gradus.checkpoints import is_checkpoint, read_manifest
from gradus.measure import cost
from gradus.predict.outputs import target_of
from gradus.records import Measurement, StepSpec
from gradus.runner.fingerprint import digest
from gradus.runner.inputs import Inputs
from gradus.runner.keys import referenced
from gradus.runner.monitor import Reporter
from gradus.runner.observing import split_of
from gradus.runner.store import read_json, write_json
from gradus.runner.taken import Taken
from gradus.steps.base import Target

PREDICTING_TEXTS = 32


def companions_of(
    spec: StepSpec, targets: Sequence[Target], produces: frozenset[str], inputs: Inputs
) -> list[str]:
    """The checkpoints that take turns on the clock: those measured, then whom gates name."""
    if not inputs.plan.measure["cost"] or not set(CostBenchmark.metrics) & produces:
        return []
    if any(inputs.dataset(t.data).target == "reply" for t in targets):
        return []  # how long a reply takes depends on what it says
    names = list(dict.fromkeys(t.checkpoint for t in targets))
    if spec.id in names:
        names = [spec.id]
        names += [m for m in spec.models if m in inputs.checkpoints]
    data = targets[0].data
    names += [
        name
        for name in referenced(spec, inputs, CostBenchmark.metrics)
        if name in inputs.checkpoints or inputs.obstacle(name, data) is None
    ]
    return [name for name in dict.fromkeys(names) if _predicts(name, data, inputs)]


def _predicts(name: str, data: str, inputs: Inputs) -> bool:
    """Whether a checkpoint says what the data are labelled with, whatever its labels are called.

    A pretrained one doesn't, though a step began with it.
    """
    place = Path(inputs.checkpoint(name).path)
    if not is_checkpoint(place):
        return False
    return target_of(read_manifest(place).preprocessing) == inputs.dataset(data).target


def time_in_turns(
    names: Sequence[str],
    targets: Sequence[Target],
    place: Path,
    inputs: Inputs,
    reporter: Reporter,
) -> Taken:
    """Time the checkpoints of those names, keep the raw timings, and measure."""
    settings = inputs.plan.measure
    target = targets[0]
    texts = (
        split_of(inputs.dataset(target.data), target).sample(int(settings["latency_texts"])).texts
    )
    reporter.note(f"timing {', '.join(names)} in turns")
    models = {name: inputs.predictor(name) for name in names}
    observed = cost.observe(
        {name: model.predictor for name, model in models.items()},
        texts,
        repeats=int(settings["latency_repeats"]),
        memory_mb={name: _memory(name, texts, inputs) for name in names},
    )
    cost.save_timings(place / "timings.json", observed)
    measured = {t.checkpoint for t in targets}
    found: list[Measurement] = []
    for name in names:
        if name in measured:
            found += cost.measurements(
                observed[name],
                common=_cost_fields(name, target, models[name].contract, len(texts)),
                level=float(settings["level"]),
                seed=inputs.plan.seed,
            )
    return Taken(tuple(found))


def _cost_fields(
    name: str, target: Target, contract: Mapping[str, str], texts: int
) -> dict[str, Any]:
    return {
        "data": target.data,
        "split": target.split,
        "checkpoint": name,
        "contract": {**contract, "threads": str(hardware.threads()), "texts": str(texts)},
    }


def _memory(name: str, texts: Sequence[str], inputs: Inputs) -> float:
    """Peak memory of predicting, measured once for each checkpoint and kept in the run folder."""
    ref = inputs.checkpoint(name)
    dtype = str(inputs.plan.measure["dtype"])
    sample = list(texts[:PREDICTING_TEXTS])
    place = inputs.folder.path / "memory" / f"{digest([ref.digest, dtype, sample])[:16]}.json"
    if not place.exists():
        write_json(place, {"mb": cost.peak_memory(Path(ref.path), sample, dtype=dtype)})
    return float(read_json(place)["mb"])
