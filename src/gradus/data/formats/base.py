"""What a format is: a streaming reader from a file or folder to records."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

from pydantic import BaseModel, ConfigDict

from gradus.records import Span, Target


class Row(NamedTuple):
    """One labelled text and where it stands.

    Attributes:
        text: the text; a `Pair` where two belong together.
        label: one name; several names; a number; spans, in order of their start.
        file: where it stands.
        line: in that file, from 1.
        words: (start, end) of the text's words in characters, where the target is spans.
        columns: further fields that are kept, as text.
        group: what the text belongs to, where splits may not tear groups apart.
    """

    text: str
    label: str | tuple[str, ...] | float | tuple[Span, ...]
    file: Path
    line: int
    words: tuple[tuple[int, int], ...] | None = None
    columns: Mapping[str, str] = MappingProxyType({})
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the records of one file have in common.

    Attributes:
        file: the file.
        names_line: the line that names the fields; None where every record does.
        doubled: names that two fields bear, so that neither can be meant.
    """

    file: Path
    names_line: int | None = None
    doubled: frozenset[str] = frozenset()


class RawRecord(NamedTuple):
    """Fields by name, as a file has them, and the line (or row) from 1 that they begin on."""

    fields: Mapping[str, Any]
    sheet: Sheet
    line: int


@dataclass(slots=True)
class Tally:
    """What a reader saw.

    Attributes:
        files: number of files.
        encodings: files by encoding.
        strays: files not in the first encoding.
        filtered: rows left out, or labels taken off, by the filter's key.
        rows: rows read, those that are left out among them.
        trimmed: spans that had white space at an end, which was taken off.
        facts: what a format has to say about its files, by name; JSON.
    """

    files: int = 0
    encodings: Counter[str] = field(default_factory=Counter)
    strays: list[str] = field(default_factory=list)
    filtered: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    trimmed: int = 0
    facts: dict[str, Any] = field(default_factory=dict)

    def count(self, path: Path, encoding: str, encodings: Sequence[str]) -> None:
        """Note that a file was read in an encoding, the first of `encodings` or a later one."""
        self.files += 1
        self.encodings[encoding] += 1
        if encoding != encodings[0]:
            self.strays.append(str(path))


class FormatConfig(BaseModel):
    """Base of every format's own options; a format without any has none but these."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Format(ABC):
    """A data format. Readers hold one record at a time.

    Class attributes:
        name: plain name, as a plan writes it.
        summary: one line for `gradus ls`.
        example: a data set in this format as it stands in a plan, in YAML.
        suffixes: the file suffixes that ``format: auto`` recognises, in lower case.
        implies: the target of data in this format, where it can have no other.
        folder: whether a folder is read as one; else as the files of these suffixes in it.
        fixed: whether the fields have fixed names, so that ``columns`` can't rename them.
        Config: the format's own options, ``options:`` in a plan.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    example: ClassVar[str]
    suffixes: ClassVar[tuple[str, ...]] = ()
    implies: ClassVar[Target | None] = None
    folder: ClassVar[bool] = False
    fixed: ClassVar[bool] = False
    Config: ClassVar[type[FormatConfig]] = FormatConfig

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Config() if options is None else options

    @abstractmethod
    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """The records in file order; `encodings` None stands for the format's own default.

        Raises:
            DataError: names the file, the line and the field of the first thing that is broken.
        """
