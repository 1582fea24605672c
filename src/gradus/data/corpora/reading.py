"""From a corpus's sources to a stream of raw documents, one in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from gradus import registry
from gradus.checkpoints.hashing import hash_file, list_files
from gradus.data.config import options_of
from gradus.data.corpora.config import CorpusColumns, CorpusConfig
from gradus.data.formats.base import Format, RawRecord, Tally
from gradus.data.given import by_split
from gradus.data.pool import files_of, find_format
from gradus.data.rows import choose, get_field
from gradus.data.values import Where, as_cell, as_name, as_number, as_text
from gradus.errors import DataError
from gradus.sources import Located, locate_data

Progress = Callable[[int, int, str], None]
"""Called with work done, work in all (bytes or documents) and what is under way."""


class Raw(NamedTuple):
    """A document as its record has it.

    Attributes:
        text: the text, possibly empty.
        domain: as text; None where no field is named.
        language: its code; None where no field is named or the field is empty.
        score: the number that a filter asks for.
        group: what it belongs to, where splits may not tear groups apart.
    """

    text: str
    domain: str | None
    language: str | None
    score: float | None
    group: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """One source of a corpus and what reads it.

    Attributes:
        given: the split that the source is given for; empty where it is the only one.
        located: where it is.
        format: the reader.
        files: the files or folders that it reads, in order.
    """

    given: str
    located: Located
    format: Format
    files: tuple[Path, ...]

    def hashes(self) -> list[list[str]]:
        """Name and SHA-256 of every file that may be read."""
        found = []
        for path in self.files:
            inside = [path / name for name in list_files(path)] if path.is_dir() else [path]
            for file in inside:
                found.append([self._name(file), hash_file(file)])
        return sorted(found)

    def bytes(self) -> int:
        """Size of all files as they are kept."""
        return sum(
            sum((path / name).stat().st_size for name in list_files(path))
            if path.is_dir()
            else path.stat().st_size
            for path in self.files
        )

    def _name(self, file: Path) -> str:
        try:
            return file.relative_to(self.located.path).as_posix()
        except ValueError:
            return file.name


def locate(config: CorpusConfig, folder: Path) -> list[Origin]:
    """The sources of a corpus, found and without the files that are excluded.

    Raises:
        SourceError: a source isn't there.
        DataError: no file is left, or its format can't be told.
    """
    return [_locate(config, given, spec, folder) for given, spec in by_split(config.source).items()]


def _locate(config: CorpusConfig, given: str, spec: Any, folder: Path) -> Origin:
    located = locate_data(spec, folder)
    name = find_format(located) if config.format == "auto" else config.format
    kind: type[Format] = registry.load("formats", name)
    try:
        options = options_of(kind, {**config.options, **located.options}, kind.implies or "label")
    except ValueError as error:
        raise DataError(str(error), file=located.path) from error
    files = tuple(f for f in files_of(located, kind) if not _is_excluded(f, config.exclude))
    if not files:
        raise DataError("'exclude' leaves no file", file=located.path)
    return Origin(given, located, kind(options), files)


def read(origin: Origin, config: CorpusConfig, tally: Tally) -> Iterator[tuple[Path, Raw]]:
    """The documents of a source in order, each with the file it stands in.

    Raises:
        DataError: names file, line and field of the first thing that is broken.
    """
    encodings, columns = config.encodings(), config.columns
    sheet, used = None, None
    for path in origin.files:
        for record in origin.format.records(path, encodings=encodings, tally=tally):
            if _is_excluded(record.sheet.file, config.exclude):
                continue
            if used is None or record.sheet is not sheet:
                sheet, used = record.sheet, _choose(record, columns)
            tally.rows += 1
            yield record.sheet.file, _raw(record, used)


def _choose(record: RawRecord, columns: CorpusColumns) -> CorpusColumns:
    """The fields that are used in this file."""
    found = {"text": choose(columns.text, record, "text")}
    for role in ("domain", "language", "score", "group"):
        name = getattr(columns, role)
        if name is not None:
            found[role] = choose(name, record, role)
    return CorpusColumns(**found)


def _raw(record: RawRecord, used: CorpusColumns) -> Raw:
    file, line = record.sheet.file, record.line

    def where(name: str) -> Where:
        return Where(file, line, name)

    name = used.text or "text"
    text = as_text(get_field(record, name), where(name), allow_empty=True)
    domain = language = score = group = None
    if used.domain is not None:
        domain = as_cell(get_field(record, used.domain), where(used.domain))
    if used.language is not None:
        language = as_cell(get_field(record, used.language), where(used.language)) or None
    if used.score is not None:
        score = as_number(get_field(record, used.score), where(used.score))
    if used.group is not None:
        group = as_name(get_field(record, used.group), where(used.group), "group")
    return Raw(text, domain, language, score, group)


def _is_excluded(file: Path, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(file.name, pattern) for pattern in patterns)
