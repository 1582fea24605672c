"""Item files: one Parquet row an item, so that two checkpoints are compared item by item.

Columns: ``id`` (content hash, hex), ``text``, and those that the items' class gives, for one label
an item ``gold``, ``predicted`` (label names), ``log_probs`` (list of float64, natural logarithms,
in the order of the labels) and, for parity, ``parent_log_probs``. The schema's metadata hold the
labels as JSON under ``labels`` and the target under ``target``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gradus import benchmarks
from gradus.errors import CheckpointError, GradusError
from gradus.metrics.base import Items


def write_items(path: Path, items: Items, texts: Sequence[str]) -> None:
    """Write the items atomically: the file is whole or absent.

    `texts` has N entries in the order of the items.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "id": pa.array(items.ids, pa.string()),
        "text": pa.array([str(text) for text in texts], pa.string()),
        **{name: pa.array(values) for name, values in items.to_columns().items()},
    }
    metadata = {"labels": json.dumps(items.labels), "target": items.target}
    table = pa.table(columns).replace_schema_metadata(metadata)
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, partial)
    partial.replace(path)


def read_items(path: Path) -> tuple[Items, list[str]]:
    """The items and the texts of an item file.

    Raises:
        CheckpointError: the file is missing or isn't an item file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        labels = tuple(json.loads(table.schema.metadata[b"labels"]))
        kind = benchmarks.of(table.schema.metadata.get(b"target", b"label").decode()).items()
        columns = {name: table[name].to_pylist() for name in table.column_names}
        found = kind.from_columns(columns, labels, tuple(columns["id"]))
    except (OSError, KeyError, TypeError, pa.ArrowInvalid, GradusError) as error:
        raise CheckpointError(f"{path}: not a readable item file ({error})") from error
    return found, columns["text"]
