"""Learning curves: JSON lines as the steps wrote them, with the stages they run through."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradus.errors import DataError
from gradus.records import State, StepRecord

_UNFINISHED = frozenset({State.FAILED, State.RUNNING, State.INTERRUPTED, State.PENDING})


def read_curves(run_folder: Path, record: StepRecord) -> dict[str, Any] | None:
    """``{"rows": [...], "stages": [{"stage", "train", "start", "end"}], "axis"}``, or None.

    Each row gains ``x``: epochs (steps, where a row has no epoch) since the first stage began;
    `axis` says which. Rows that have neither, as from a search, get no x, no stages and no axis.
    A step that didn't finish may lack the file or its last line.

    Raises:
        DataError: the file of a finished step is missing, or a line is no JSON object.
    """
    if record.curves is None:
        return None
    path = run_folder / record.curves
    unfinished = record.state in _UNFINISHED
    if not path.exists():
        if unfinished:
            return None
        raise DataError("the step's curves are missing: run the plan again with --fresh", file=path)
    rows = _rows(path, unfinished)
    if not rows:
        return None
    axis = next((a for a in ("epoch", "step") if all(_is_number(r.get(a)) for r in rows)), None)
    if axis is None:
        return {"rows": rows, "stages": [], "axis": None}
    return {"rows": rows, "stages": _place(rows, axis), "axis": axis}


def _rows(path: Path, unfinished: bool) -> list[dict[str, Any]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if unfinished and number == len(lines):
                break  # the process died while it wrote this line
            raise DataError(f"not JSON ({error.msg})", file=path, line=number) from error
        if not isinstance(row, dict):
            raise DataError("not a JSON object", file=path, line=number)
        rows.append(row)
    return rows


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _place(rows: list[dict[str, Any]], axis: str) -> list[dict[str, Any]]:
    """Give each row its x and return the stages; each stage counts from its own beginning."""
    stages: list[dict[str, Any]] = []
    offset = last = 0.0
    for row in rows:
        stage = row.get("stage", 0)
        if not stages or stages[-1]["stage"] != stage:
            offset = last
            stages.append({"stage": stage, "train": str(row.get("train", "")), "start": last})
        row["x"] = last = offset + float(row[axis])
        stages[-1]["end"] = last
    return stages
