"""What a cross-validation leaves beside its checkpoint: predictions out of fold, labels to look at.

``out-of-fold.parquet``: one row for each configuration, repeat, seed and item of train, with
``configuration``, ``repeat``, ``fold``, ``seed`` (from 1), ``id``, ``text`` and what the target's
items have (``gold``, ``predicted``, ``log_probs``); the schema's metadata hold labels and target as
item files do.

``doubts.jsonl``: one line for each label that is likely wrong, the likeliest first, with ``id``,
``text``, ``label`` (as given, for a person to correct), ``suggested``, the probabilities of the two
and the margin.

Legend: N items of train, K labels, M doubtful ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradus.crossval.cells import Cell, runs
from gradus.metrics.base import Predictions
from gradus.stats.confident import Doubts, doubts

if TYPE_CHECKING:
    from gradus.data.dataset import Split, TrainingData

PREDICTIONS: Final = "out-of-fold.parquet"
DOUBTS: Final = "doubts.jsonl"


def write_predictions(path: Path, cells: Sequence[Cell], train: Split) -> None:
    """Write every cell's predictions atomically; `train` has the N items."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = []
    for cell in cells:
        n = len(cell.items)
        columns = {
            "configuration": pa.array([cell.configuration] * n),
            "repeat": pa.array([cell.fold.repeat + 1] * n, pa.int32()),
            "fold": pa.array([cell.fold.number + 1] * n, pa.int32()),
            "seed": pa.array([cell.seed + 1] * n, pa.int32()),
            "id": pa.array(cell.items.ids, pa.string()),
            "text": pa.array([str(train.texts[row]) for row in cell.fold.held], pa.string()),
            **{name: pa.array(values) for name, values in cell.items.to_columns().items()},
        }
        parts.append(pa.table(columns))
    one = cells[0].items
    metadata = {"labels": json.dumps(one.labels), "target": one.target}
    table = pa.concat_tables(parts, promote_options="permissive").replace_schema_metadata(metadata)
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial)
    partial.replace(path)


def mean_probabilities(
    cells: Sequence[Cell], configuration: str, ids: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold probabilities, float64 [N, K], averaged over repeats and seeds; given labels."""
    rows = []
    given = np.zeros(len(ids), dtype=np.int64)
    for run in runs(cells, configuration, ids):
        assert isinstance(run, Predictions), "only asked where there is one label an item"
        assert run.log_probs is not None, "a predictor of labels has probabilities"
        rows.append(np.exp(run.log_probs))
        given = run.gold
    return np.asarray(np.mean(rows, axis=0)), given


def doubted(
    cells: Sequence[Cell], configuration: str, data: TrainingData, out: Path, *, shown: int
) -> dict[str, Any]:
    """Find the labels that are likely wrong, write them all, and give the facts.

    Why there are none to find (another target, one label) is told in ``why_not``.
    """
    if data.target != "label":
        return {
            "why_not": f"confident learning needs one label an item, and these have '{data.target}'"
        }
    rows, given = mean_probabilities(cells, configuration, list(data.train.ids))
    found = doubts(rows, given)
    lines = [_line(found, place, rows, given, data) for place in range(len(found.rows))]
    partial = out / f"{DOUBTS}.partial"
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    partial.write_text(text, encoding="utf-8")
    partial.replace(out / DOUBTS)
    return {
        "configuration": configuration,
        "file": DOUBTS,
        "found": len(lines),
        "expected": found.expected,
        "items": len(given),
        "listed": lines[:shown],
        "labels": _by_label(found, given, data.labels),
    }


def _line(
    found: Doubts, place: int, rows: np.ndarray, given: np.ndarray, data: TrainingData
) -> dict[str, Any]:
    row, to = int(found.rows[place]), int(found.suggested[place])
    return {
        "id": data.train.ids[row],
        "text": str(data.train.texts[row]),
        "label": data.labels[int(given[row])],
        "suggested": data.labels[to],
        "probability": round(float(rows[row, given[row]]), 6),
        "probability_suggested": round(float(rows[row, to]), 6),
        "margin": round(float(found.margin[place]), 6),
    }


def _by_label(found: Doubts, given: np.ndarray, labels: Sequence[str]) -> list[Mapping[str, Any]]:
    """For each label how many items have it, how many of them are doubted, and the threshold."""
    doubted_of = np.bincount(given[found.rows], minlength=len(labels))
    of = np.bincount(given, minlength=len(labels))
    wrong = np.clip(found.joint.sum(axis=1) - np.diag(found.joint), 0.0, None)
    return [
        {
            "label": label,
            "items": int(of[k]),
            "doubted": int(doubted_of[k]),
            "expected": float(wrong[k] * len(given)),
            "threshold": None if np.isnan(found.thresholds[k]) else float(found.thresholds[k]),
        }
        for k, label in enumerate(labels)
    ]
