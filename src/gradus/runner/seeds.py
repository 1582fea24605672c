"""A step that is repeated with several seeds: whose checkpoint it stands for, what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradus import benchmarks, registry
from gradus.measure import quality
from gradus.runner.inputs import Inputs
from gradus.runner.store import read_json, write_json

_SUMS: Final = ("seconds", "train_seconds", "train_tokens", "flops")


@dataclass(frozen=True, slots=True)
class Made:
    """A step done with one seed: its folder, fingerprint, outcome, and whether it was there."""

    place: Path
    mark: str
    outcome: Mapping[str, Any]
    reused: bool

    @property
    def checkpoint(self) -> Path | None:
        """The folder of the checkpoint; None where the step makes none."""
        found = self.outcome["checkpoint"]
        return None if found is None else self.place / found


def select_value(name: str, place: Path, data: str, inputs: Inputs) -> tuple[str, float | None]:
    """The benchmark's first metric and what the checkpoint `name` has of it on dev.select.

    None where it is undefined. Kept in the seed's folder, so that it is taken once.
    """
    dataset = inputs.dataset(data)
    metric = benchmarks.of(dataset.target).compared[0]
    file = place / f"select-{inputs.plan.measure['dtype']}.json"
    if not file.exists():
        split = dataset.splits["dev.select"]
        found = math.nan
        if len(split):
            seen = quality.predictions(
                inputs.predictor(name).predictor, split, dataset.labels, target=dataset.target
            )
            found = float(registry.load("metrics", metric)()(seen))
        write_json(file, {"metric": metric, "value": found if math.isfinite(found) else None})
    return metric, read_json(file)["value"]


def median(values: Sequence[float | None], metric: str) -> int:
    """Which seed a repeated step stands for: the one whose value is the median.

    Not the best: that would pass the luckiest of several draws off as what the step gives. Of an
    even number the worse of the two in the middle, on a tie the first seed; an undefined value is
    worst.
    """
    if not metric:
        return 0
    sign = 1.0 if registry.load("metrics", metric).direction == "higher" else -1.0
    worst_first = sorted(
        range(len(values)),
        key=lambda i: -math.inf if values[i] is None else sign * float(values[i] or 0.0),
    )
    middle = values[worst_first[(len(values) - 1) // 2]]
    return values.index(middle)


def merged(made: Sequence[Made], chosen: int) -> dict[str, Any]:
    """The outcome of the chosen seed, with the notes and the cost of all of them."""
    one = dict(made[chosen].outcome)
    if len(made) == 1:
        return one
    costs = [dict(seed.outcome["cost"]) for seed in made]
    cost = dict(one["cost"])
    for name in _SUMS:
        if any(name in each for each in costs):
            cost[name] = sum(each.get(name, 0) for each in costs)
    cost["peak_memory_mb"] = max(each.get("peak_memory_mb") or 0.0 for each in costs)
    cost["resumed"] = any(each.get("resumed") for each in costs)
    return {
        **one,
        "notes": list(dict.fromkeys(note for seed in made for note in seed.outcome["notes"])),
        "seconds": sum(seed.outcome["seconds"] for seed in made),
        "cost": cost,
    }
