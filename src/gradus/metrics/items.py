"""Item files: one Parquet row an item, so that two checkpoints are compared item by item.

Columns: ``id`` (content hash, hex), ``text``, ``gold``, ``predicted`` (label names), ``log_probs``
(list of float64, natural logarithms, in the order of the labels) and, for parity,
``parent_log_probs``.
The labels stand as JSON in the schema's metadata under ``labels``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gradus.errors import CheckpointError
from gradus.metrics.base import Predictions


def write_items(path: Path, predictions: Predictions, texts: Sequence[str]) -> None:
    """Write the items atomically: the file is whole or absent.

    `texts` has N entries in the order of the predictions.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = predictions.labels
    columns = {
        "id": pa.array(predictions.ids, pa.string()),
        "text": pa.array(texts, pa.string()),
        "gold": pa.array([names[i] for i in predictions.gold], pa.string()),
        "predicted": pa.array([names[i] for i in predictions.predicted], pa.string()),
    }
    for name, rows in (
        ("log_probs", predictions.log_probs),
        ("parent_log_probs", predictions.parent_log_probs),
    ):
        if rows is not None:
            columns[name] = pa.array(rows.tolist(), pa.list_(pa.float64()))
    table = pa.table(columns).replace_schema_metadata({"labels": json.dumps(names)})
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, partial)
    partial.replace(path)


def read_items(path: Path) -> tuple[Predictions, list[str]]:
    """The predictions and the texts of an item file.

    Raises:
        CheckpointError: the file is missing or isn't an item file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        labels = tuple(json.loads(table.schema.metadata[b"labels"]))
    except (OSError, KeyError, TypeError, pa.ArrowInvalid) as error:
        raise CheckpointError(f"{path}: not a readable item file ({error})") from error
    index = {label: i for i, label in enumerate(labels)}

    def rows(name: str) -> np.ndarray | None:
        if name not in table.column_names:
            return None
        return np.asarray(table[name].to_pylist(), dtype=np.float64).reshape(len(table), -1)

    predictions = Predictions(
        gold=np.array([index[v] for v in table["gold"].to_pylist()], dtype=np.int64),
        predicted=np.array([index[v] for v in table["predicted"].to_pylist()], dtype=np.int64),
        log_probs=rows("log_probs"),
        labels=labels,
        ids=tuple(table["id"].to_pylist()),
        parent_log_probs=rows("parent_log_probs"),
    )
    return predictions, table["text"].to_pylist()
