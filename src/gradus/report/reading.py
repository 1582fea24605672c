"""Finding measurements among facts: which is the main metric, which are costs, which is whose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from gradus import benchmarks

Fact = dict[str, Any]

_COST_UNITS = frozenset({"ms", "s", "MB", "texts/s", "tokens/s"})


def is_cost(m: Fact) -> bool:
    """Whether a measurement says what a checkpoint costs to run."""
    return m["unit"] in _COST_UNITS


def is_quality(m: Fact) -> bool:
    """Whether a measurement says how good a checkpoint is on all items, not on some of them."""
    return not is_cost(m) and not is_part(m)


def on_file(m: Fact) -> bool:
    """Whether a measurement is of a benchmark on a published file, which has no splits."""
    return not m["split"] and bool(m["benchmark"]) and not on_writings(m)


def on_writings(m: Fact) -> bool:
    """Whether a measurement is of what a writer wrote."""
    return bool(m["benchmark"].partition(".")[0] == "written")


def on_corpus(m: Fact) -> bool:
    """Whether a measurement is of a language model on the documents of a corpus."""
    return m["benchmark"].partition(".")[0] in ("corpus", "masked")


def is_part(m: Fact) -> bool:
    """Whether a measurement is of one label or one slice of the items."""
    return "[" in m["metric"] or "{" in m["metric"]


def main_metric(steps: Sequence[Fact]) -> Fact | None:
    """Accuracy where it was measured, else what the benchmark taken most often puts first."""
    measured = [m for step in steps for m in step["measurements"] if is_quality(m)]
    measured = [m for m in measured if not on_writings(m)]
    measured = [m for m in measured if not on_file(m)] or measured
    if not measured:
        return None
    counts = Counter(m["metric"] for m in measured)
    often = Counter(m["benchmark"] for m in measured).most_common(1)[0][0]
    first_of = [name for name in benchmarks.compared(often)[:1] if name in counts]
    name = "accuracy" if "accuracy" in counts else (*first_of, counts.most_common(1)[0][0])[0]
    first = next(m for m in measured if m["metric"] == name)
    return {"metric": name, "unit": first["unit"], "direction": first["direction"]}


def directions(steps: Iterable[Fact]) -> dict[str, str]:
    """Metric name -> ``higher`` or ``lower``, from every measurement of the run."""
    return {m["metric"]: m["direction"] for step in steps for m in step["measurements"]}


def units(steps: Iterable[Fact]) -> dict[str, str]:
    """Metric name -> unit, from every measurement of the run."""
    return {m["metric"]: m["unit"] for step in steps for m in step["measurements"]}


def all_gates(known: Fact) -> list[tuple[str, Fact]]:
    """Every verdict of the run with whose it is: those of data sets first, as ``data.NAME``."""
    of_data = [(f"data.{name}", g) for name, d in known["data"].items() for g in d.get("gates", ())]
    return of_data + [(step["id"], g) for step in known["steps"] for g in step["gates"]]


def data_units(known: Fact) -> dict[str, str]:
    """Metric name -> unit of what was measured on the data sets themselves."""
    return {
        m["metric"]: m["unit"] for d in known["data"].values() for m in d.get("measurements", ())
    }


def find(
    measurements: Iterable[Fact], metric: str, checkpoint: str, split: str | None = None
) -> Fact | None:
    """The first measurement of that metric on that checkpoint (and split)."""
    for m in measurements:
        if m["metric"] == metric and m["checkpoint"] == checkpoint and split in (None, m["split"]):
            return m
    return None


def by_step(step: Fact) -> list[Fact]:
    """The measurements that were taken after a step, for gates: everything but test.

    What writers wrote has a section of its own.
    """
    if step["step"] == "evaluate":
        return []
    own = [m for m in step["measurements"] if m["split"] != "test" and not on_writings(m)]
    return sorted(own, key=lambda m: m["split"] != "dev.gate")


def checkpoints(measurements: Iterable[Fact]) -> list[str]:
    """The checkpoints measured, in the order of the plan."""
    return list(dict.fromkeys(m["checkpoint"] for m in measurements))


def columns(measurements: Sequence[Fact]) -> list[tuple[str, tuple[str, str, str]]]:
    """A title and a key (metric, data, benchmark) for each metric measured.

    The title is the plain name; it carries the data set or the benchmark where the same metric
    was measured in several places, as a gate would write it.
    """
    keys = list(dict.fromkeys((m["metric"], m["data"], m["benchmark"]) for m in measurements))
    often = Counter(metric for metric, _, _ in keys)
    places = {metric: {d for k, d, _ in keys if k == metric} for metric in often}

    def title(key: tuple[str, str, str]) -> str:
        metric, data, benchmark = key
        if often[metric] == 1:
            return metric
        return f"{data if len(places[metric]) > 1 else benchmark.partition('.')[0]}.{metric}"

    return [(title(key), key) for key in keys]


def key_of(m: Fact) -> tuple[str, str, str]:
    """The key under which `columns` lists a measurement."""
    return (m["metric"], m["data"], m["benchmark"])


def significance(change: Fact, direction: str | None) -> str:
    """What a change says: better, worse, different, same (not significant) or untested."""
    difference = change.get("difference")
    if change.get("significant") is None or difference is None:
        return "untested"
    if not change["significant"]:
        return "same"
    if direction not in ("higher", "lower"):
        return "different"
    return "better" if (difference > 0) == (direction == "higher") else "worse"
