"""What was measured of one checkpoint, and which of it may stand for the checkpoint elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gradus import benchmarks
from gradus.cards.places import Place
from gradus.records import Measurement, RunRecord, StepRecord

Row = dict[str, Any]

COST: Final = "cost"
PARITY: Final = "parity"
_ORDER: Final = {"test": 0, "dev.gate": 1, "dev": 1, "": 2}
_INDEXED: Final = "indexed"


def rows(record: RunRecord, place: Place) -> list[Row]:
    """Every measurement of a checkpoint as plain JSON; test first, then dev.gate.

    Beside the fields of `Measurement`, a row has ``step`` (after which it was taken), ``role``
    (``whole``, ``part`` for one label or slice, ``cost``, ``parity``, ``writing``), ``seeds``
    (over how many seeds it is; 1 for this checkpoint's own), ``optimistic`` (the data chose the
    model too) and ``indexed`` (may stand in the model index).
    """
    found = [
        row
        for step in record.steps
        for taken in step.measurements
        if place.is_called(taken.checkpoint)
        for row in _rows(taken, step, place)
    ]
    for row in found:
        row["optimistic"] = _optimistic(row, record)
        row[_INDEXED] = _may_be_indexed(row)
    kept = list(_once(found))
    kept.sort(key=lambda row: _ORDER.get(row["split"], 3))
    return kept


def _rows(taken: Measurement, step: StepRecord, place: Place) -> Iterator[Row]:
    """The row of a measurement; of one over several seeds also what this seed alone has."""
    row: Row = {**taken.to_json(), "step": step.id, "role": _role(taken), "seeds": 1}
    if place.seed is None or place.step is None or taken.checkpoint != place.step.id:
        yield row
        return
    for one in step.facts.get("seeds", {}).get("measured", ()):
        same = ("checkpoint", "data", "split", "metric")
        if all(one[key] == row[key] for key in same) and len(one["values"]) >= place.seed:
            # One seed's own interval isn't computed; that over all seeds stands in their row.
            yield row | {
                "value": one["values"][place.seed - 1],
                "ci_low": None,
                "ci_high": None,
                "ci_method": "none",
            }
    if row["role"] in (COST, PARITY):
        yield row
    else:
        yield row | {"seeds": _seeds(place.step)}


def _seeds(step: StepRecord) -> int:
    return max(2, sum(name.startswith("seed") for name in step.checkpoints))


def _role(taken: Measurement) -> str:
    if "[" in taken.metric or "{" in taken.metric:
        return "part"
    kind = taken.benchmark.partition(".")[0]
    return {COST: COST, PARITY: PARITY, "written": "writing"}.get(kind, "whole")


def _optimistic(row: Row, record: RunRecord) -> bool:
    known: Mapping[str, Any] = {**record.data, **record.corpora}.get(row["data"], {})
    if row["split"] == "dev.select":
        return True
    return str(row["split"]).startswith("dev") and bool(known.get("optimistic"))


def _may_be_indexed(row: Row) -> bool:
    value = row["value"]
    return (
        row["role"] == "whole"
        and row["seeds"] == 1
        and not row["optimistic"]
        and value is not None
        and math.isfinite(value)
    )


def _once(found: list[Row]) -> Iterator[Row]:
    """What was measured after several steps once: on the most items, and the last of those."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in found:
        key = (row["benchmark"], row["data"], row["split"], row["metric"], row["seeds"])
        if key not in best or row["n"] >= best[key]["n"]:
            best[key] = row
    yield from best.values()


def compared(found: list[Row]) -> list[Row]:
    """Of some rows, those of the metrics that their benchmark compares; all, where it says none."""
    chosen = [row for row in found if row["metric"] in benchmarks.compared(row["benchmark"])]
    said = {row["benchmark"] for row in chosen}
    return [row for row in found if row in chosen or row["benchmark"] not in said]
