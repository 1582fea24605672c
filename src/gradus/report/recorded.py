"""What steps recorded about themselves, in whatever shape: pairs and small tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradus.report import calibration, crossval, distil, learning, pruning, tuning
from gradus.report.format import plain
from gradus.report.reading import Fact
from gradus.report.tables import Cell, Table, make

# Facts of a kind of step that a section of its own shows.
_ELSEWHERE = {
    "distil": distil.SHOWN,
    pruning.KIND: pruning.SHOWN,
    calibration.KIND: calibration.SHOWN,
    crossval.KIND: crossval.SHOWN,
    learning.KIND: learning.SHOWN,
    tuning.KIND: tuning.SHOWN,
}
Recorded = tuple[str, list[tuple[str, str]], list[tuple[str, Table]]]


def recorded(known: Fact) -> list[Recorded]:
    """For each step that recorded anything: its id, named values, and named tables.

    A list of mappings becomes a table, whose columns are their keys; so do the rows of a search,
    which are kept as curves without epochs.
    """
    found = []
    for step in known["steps"]:
        pairs: list[tuple[str, str]] = []
        grids: list[tuple[str, Table]] = []
        for key, value in step["facts"].items():
            if key in _ELSEWHERE.get(step["step"], ()):
                continue
            name = key.replace("_", " ")
            if _is_table(value):
                grids.append((name, _grid(value)))
            elif value not in (None, [], {}):
                pairs.append((name, plain(value)))
        curves = step["curves"]
        if curves is not None and curves["axis"] is None:
            grids.append(("search on dev.select", _grid(curves["rows"])))
        if pairs or grids:
            found.append((step["id"], pairs, grids))
    return found


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _grid(rows: Sequence[Mapping[str, Any]]) -> Table:
    keys = list(dict.fromkeys(key for row in rows for key in row))
    numeric = {k: all(isinstance(row.get(k), int | float | None) for row in rows) for k in keys}
    spec = [(key.replace("_", " "), numeric[key]) for key in keys]
    return make(spec, [[Cell(plain(row.get(key))) for key in keys] for row in rows])
