"""Item files: one Parquet row an item, so that two checkpoints are compared item by item.

Columns: ``id`` (content hash, hex), ``text``, and those that the items' class gives, for one label
an item ``gold``, ``predicted`` (label names), ``log_probs`` (list of float64, natural logarithms,
in the order of the labels) and, for parity, ``parent_log_probs``. The schema's metadata hold the
labels as JSON under ``labels`` and the target under ``target``.

Where a step was repeated with several seeds there is one row a seed and item, seed after seed, with
the seed's number, from 1, in the column ``seed``; the metadata then say under ``chosen`` whose
checkpoint later steps take.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from gradus import benchmarks
from gradus.errors import CheckpointError, GradusError
from gradus.metrics.base import Items
from gradus.metrics.repeated import Repeated, Seen, one_of, runs_of


def write_items(path: Path, items: Seen, texts: Sequence[str]) -> None:
    """Write the items atomically: the file is whole or absent.

    `texts` has N entries in the order of the items.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    metadata = {"labels": json.dumps(items.labels), "target": items.target}
    parts = []
    for number, run in enumerate(runs_of(items), start=1):
        columns = {
            "id": pa.array(run.ids, pa.string()),
            "text": pa.array([str(text) for text in texts], pa.string()),
            **{name: pa.array(values) for name, values in run.to_columns().items()},
        }
        if isinstance(items, Repeated):
            columns["seed"] = pa.array([number] * len(run), pa.int32())
        parts.append(pa.table(columns))
    if isinstance(items, Repeated):
        metadata["chosen"] = str(items.chosen + 1)
    table = pa.concat_tables(parts, promote_options="permissive").replace_schema_metadata(metadata)
    partial = path.with_suffix(".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, partial)
    partial.replace(path)


def read_items(path: Path) -> tuple[Items, list[str]]:
    """The items and the texts of an item file; of several seeds, those of the chosen one.

    Raises:
        CheckpointError: the file is missing or isn't an item file.
    """
    seen, texts = read_seen(path)
    return one_of(seen), texts


def read_seen(path: Path) -> tuple[Seen, list[str]]:
    """The items, of every seed where there are several, and the texts of an item file.

    Raises:
        CheckpointError: the file is missing or isn't an item file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata
        labels = tuple(json.loads(metadata[b"labels"]))
        kind = benchmarks.of(metadata.get(b"target", b"label").decode()).items()
        columns = {name: table[name].to_pylist() for name in table.column_names}
        if "seed" not in columns:
            return kind.from_columns(columns, labels, tuple(columns["id"])), columns["text"]
        size = columns["seed"].count(1)
        runs = []
        for start in range(0, len(columns["id"]), size):
            part = {name: values[start : start + size] for name, values in columns.items()}
            runs.append(kind.from_columns(part, labels, tuple(part["id"])))
        seen = Repeated(tuple(runs), int(metadata[b"chosen"]) - 1)
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowInvalid, GradusError) as error:
        raise CheckpointError(f"{path}: not a readable item file ({error})") from error
    return seen, columns["text"][:size]
