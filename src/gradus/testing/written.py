"""Labelled texts written in every format of the catalog, for the contract of formats."""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Mapping
from pathlib import Path

from gradus.testing.world import Rows


def write_jsonl(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as JSON lines."""
    folder.mkdir()
    path = folder / "rows.jsonl"
    lines = (json.dumps({"text": t, "label": c}, ensure_ascii=False) + "\n" for t, c in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return path, {}


def write_delimited(folder: Path, rows: Rows, delimiter: str) -> tuple[Path, Mapping[str, str]]:
    """`rows` with a header and the delimiter."""
    folder.mkdir()
    path = folder / ("rows.csv" if delimiter == "," else "rows.tsv")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(("sentence", "topic"))
        writer.writerows(rows)
    return path, {"text": "sentence", "label": "topic"}


def write_folders(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as a folder a label, a file a text."""
    for number, (text, label) in enumerate(rows):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number:04}.txt").write_text(text, encoding="utf-8")
    return folder, {}


def write_json(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as one JSON document, objects by id."""
    folder.mkdir()
    path = folder / "rows.json"
    records = {str(i): {"post": {"body": t}, "class": c} for i, (t, c) in enumerate(rows)}
    path.write_text(json.dumps(records, indent=1), encoding="utf-8")
    return path, {"text": "post.body"}


def write_text(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as a file a label, a text a line."""
    folder.mkdir()
    for label in {label for _, label in rows}:
        texts = (text + "\n" for text, of in rows if of == label)
        (folder / f"{label}.txt").write_text("".join(texts), encoding="utf-8")
    return folder, {}


def write_html(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as a folder a label, a page a text; of so short ones no menu could be told apart."""
    for number, (text, label) in enumerate(rows):
        (folder / label).mkdir(parents=True, exist_ok=True)
        page = (
            f"<!doctype html><html><head><title>{number}</title></head>"
            f"<body><article><p>{html.escape(text)}</p></article></body></html>"
        )
        (folder / label / f"{number:04}.html").write_text(page, encoding="utf-8")
    return folder, {}


def write_chat(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as conversations in all three shapes, the label as the reply."""
    folder.mkdir()
    records: list[Mapping[str, object]] = []
    for number, (text, label) in enumerate(rows):
        said = (("user", text), ("assistant", label))
        named = (("human", text), ("gpt", label))
        records.append(
            (
                {"messages": [{"role": role, "content": words} for role, words in said]},
                {"conversations": [{"from": role, "value": words} for role, words in named]},
                {"instruction": text, "input": "", "output": label},
            )[number % 3]
        )
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    (folder / "chats.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder / "chats.jsonl", {}


def write_parquet(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as Parquet, in several row groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    table = pa.table({"text": [text for text, _ in rows], "label": [label for _, label in rows]})
    pq.write_table(table, folder / "rows.parquet", row_group_size=50)
    return folder / "rows.parquet", {}


def write_conll(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as words in columns (IOB2), the first of each text tagged with the label."""
    folder.mkdir()
    lines = ["-DOCSTART- -X- O", ""]
    for text, label in rows:
        first, *others = text.split()
        lines += [f"{first} NN B-{label}", *(f"{word} NN O" for word in others), ""]
    (folder / "rows.conll").write_text("\n".join(lines), encoding="utf-8")
    return folder / "rows.conll", {}


def write_spans(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as JSON lines, the first word of each text a span with the label."""
    folder.mkdir()
    lines = []
    for text, label in rows:
        words = text.split()
        span = {"start": 0, "end": len(words[0]), "label": label}
        lines.append(json.dumps({"text": " ".join(words), "spans": [span]}) + "\n")
    (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder / "rows.jsonl", {}


def write_datasets(folder: Path, rows: Rows) -> tuple[Path, Mapping[str, str]]:
    """`rows` as the datasets library saves them, labels as numbers with names."""
    import datasets  # type: ignore[import-untyped]  # it carries no types

    names = sorted({label for _, label in rows})
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=names)}
    )
    columns = {"text": [text for text, _ in rows], "label": [names.index(c) for _, c in rows]}
    datasets.Dataset.from_dict(columns, features=features).save_to_disk(str(folder))
    return folder, {}
