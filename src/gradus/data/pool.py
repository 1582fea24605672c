"""The distinct texts of one source, before they are split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradus import registry
from gradus.data.config import DataConfig
from gradus.data.formats.base import Format, Row, Tally
from gradus.data.splits import content_id
from gradus.errors import DataError
from gradus.sources import Located, locate_data


@dataclass(slots=True)
class Pool:
    """Distinct texts of one source, in file order, and what reading it showed.

    `texts`, `labels`, `files` and `lines` have N entries each and `index` maps an id to its
    position. Of rows with the same text the first is kept; `duplicates` counts the others, and
    `conflicts` those of them whose label differs from the first's.
    """

    located: Located
    format: str
    texts: list[str] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    rows: int = 0
    duplicates: int = 0
    conflicts: int = 0
    distinct: int = 0
    elsewhere: int = 0

    def add(self, row: Row) -> None:
        """Take a row in, or count it as a duplicate."""
        self.rows += 1
        item = content_id(row.text)
        known = self.index.get(item)
        if known is not None:
            self.duplicates += 1
            self.conflicts += self.labels[known] != row.label
            return
        self.index[item] = len(self.texts)
        self.texts.append(row.text)
        self.labels.append(row.label)
        self.files.append(row.file)
        self.lines.append(row.line)

    def drop(self, ids: Collection[str]) -> None:
        """Leave out texts that stand in another split, counted in `elsewhere`."""
        before = len(self.index)
        self.index = {item: row for item, row in self.index.items() if item not in ids}
        self.elsewhere += before - len(self.index)

    def limit(self, most: int | None) -> None:
        """Keep at most the `most` texts whose ids are least."""
        if most is not None and len(self.index) > most:
            self.index = {item: self.index[item] for item in sorted(self.index)[:most]}

    def label_of(self) -> dict[str, str]:
        """Id -> label name of the texts that are left."""
        return {item: self.labels[row] for item, row in self.index.items()}


def read_pool(spec: Mapping[str, Any], config: DataConfig, folder: Path) -> Pool:
    """Read one source whole.

    Raises:
        SourceError: there is nothing where the source points.
        DataError: the first thing that is broken, with file, line and field.
    """
    located = locate_data(spec, folder)
    name = find_format(located.path) if config.format == "auto" else config.format
    reader: Format = registry.load("formats", name)()
    pool = Pool(located, registry.plain(name))
    rows = reader.rows(
        located.path, columns=config.columns, encodings=config.encodings(), tally=pool.tally
    )
    for row in rows:
        pool.add(row)
    pool.distinct = len(pool.index)
    if not pool.distinct:
        raise DataError("holds no rows", file=located.path)
    return pool


def find_format(path: Path) -> str:
    """The format that ``auto`` stands for: by the file's suffix; a folder is `folders`.

    Raises:
        DataError: no format has that suffix.
    """
    if path.is_dir():
        return "folders"
    known: list[str] = []
    for name in registry.names("formats"):
        found: type[Format] = registry.load("formats", name)
        if path.suffix.lower() in found.suffixes:
            return found.name
        known += found.suffixes
    raise DataError(
        f"the suffix '{path.suffix}' says no format: write 'format: …' (known suffixes: "
        f"{', '.join(known)})",
        file=path,
    )
