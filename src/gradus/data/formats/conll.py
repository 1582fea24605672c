"""Columns of words and chunk tags, as in the shared tasks of CoNLL-2000, 2002 and 2003."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field

from gradus.data.formats.base import Format, FormatConfig, RawRecord, Sheet, Tally
from gradus.data.formats.files import decode_lines
from gradus.data.tags import Scheme, SchemeFinder, TagError, breaks, parse_tag
from gradus.errors import DataError
from gradus.records import Target

_DOCUMENT = "-DOCSTART-"


class ConllConfig(FormatConfig):
    """Which columns hold what, and how tags are read.

    Attributes:
        word: column of the words, from 0; negative ones count from the end.
        tag: column of the tags.
        scheme: iob1, iob2 or iobes; ``auto`` finds it out from all tags of a file.
        comments: lines that begin with this are passed over, e.g. ``#`` in CoNLL-U files.
    """

    word: int = 0
    tag: int = -1
    scheme: Literal["auto", "iob1", "iob2", "iobes"] = "auto"
    comments: str | None = Field(default=None, min_length=1)


class _Sentence(NamedTuple):
    """One sentence: its words, their tags and lines, and the number of its document from 0."""

    words: list[str]
    tags: list[str]
    lines: list[int]
    document: int


class Conll(Format):
    """One word a line, its chunk tag in another column, a blank line after each sentence.

    Columns are parted by tabs where a line has one, else by spaces. ``-DOCSTART-`` lines begin a
    document; the field ``document`` has its number, for ``columns: {group: document}``. A text is
    its words joined by single spaces. Tags are read as conlleval reads them; those that break the
    rules of their scheme are counted in the facts.
    """

    name: ClassVar[str] = "conll"
    summary: ClassVar[str] = "one word a line with its chunk tag (IOB1, IOB2 or IOBES), in columns"
    example: ClassVar[str] = (
        "{source: {file: eng.train}, format: conll, options: {tag: 3, scheme: iob1}}"
    )
    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".iob", ".iob2", ".bio")
    implies: ClassVar[Target | None] = "spans"
    fixed: ClassVar[bool] = True
    Config: ClassVar[type[FormatConfig]] = ConllConfig
    options: ConllConfig

    def records(
        self, path: Path, *, encodings: Sequence[str] | None, tally: Tally
    ) -> Iterator[RawRecord]:
        """One record a sentence; the file is read twice, once for the scheme."""
        tried = tuple(encodings or ("utf-8",))
        finder = SchemeFinder()
        for sentence in self._sentences(path, tried, Tally()):
            finder.see(sentence.tags, sentence.lines)
        try:
            found = finder.scheme() if self.options.scheme == "auto" else self.options.scheme
        except TagError as error:
            raise DataError(str(error), file=path) from error
        sheet, sentences, documents, odd = Sheet(path), 0, set(), 0
        for sentence in self._sentences(path, tried, tally):
            sentences += 1
            documents.add(sentence.document)
            odd += breaks(sentence.tags, found)
            fields = {
                "text": sentence.words,
                "spans": sentence.tags,
                "document": f"{path.name}:{sentence.document}",
            }
            yield RawRecord(fields, sheet, sentence.lines[0])
        if not sentences:
            raise DataError("the file has no sentence", file=path)
        self._report(tally, path, found, sentences, len(documents), odd)

    def _report(
        self, tally: Tally, path: Path, scheme: Scheme, sentences: int, documents: int, odd: int
    ) -> None:
        name = path.name if path.name not in tally.facts else str(path)
        tally.facts[name] = {
            "scheme": scheme,
            "scheme_is": "detected" if self.options.scheme == "auto" else "declared",
            "sentences": sentences,
            "documents": documents,
            "tags_against_the_scheme": odd,
        }

    def _sentences(self, path: Path, encodings: Sequence[str], tally: Tally) -> Iterator[_Sentence]:
        width: int | None = None
        document, started = 0, False
        words: list[str] = []
        tags: list[str] = []
        lines: list[int] = []
        for number, line in enumerate(decode_lines(path, encodings, tally), start=1):
            if self.options.comments and line.startswith(self.options.comments):
                continue
            cells = _cells(line)
            ends = not cells or cells[0] == _DOCUMENT
            if ends and words:
                yield _Sentence(words, tags, lines, document)
                words, tags, lines = [], [], []
            if ends:
                document += bool(cells) and started
                continue
            started = True
            if width is None:
                width = len(cells)
            elif len(cells) != width:
                raise DataError(
                    f"{len(cells)} columns, but the lines before have {width}",
                    file=path,
                    line=number,
                )
            words.append(_cell(cells, self.options.word, "word", path, number))
            tags.append(_tag(_cell(cells, self.options.tag, "tag", path, number), path, number))
            lines.append(number)
        if words:
            yield _Sentence(words, tags, lines, document)


def _cells(line: str) -> list[str]:
    """The columns of a line; none for a blank one.

    Only spaces and tabs part columns: other white space (U+00A0, U+3000) occurs within words.
    """
    if not line.strip(" \t\r\n"):
        return []
    content = line.rstrip("\r\n")
    return content.split("\t") if "\t" in content else [c for c in content.split(" ") if c]


def _cell(cells: list[str], column: int, role: str, path: Path, line: int) -> str:
    if not -len(cells) <= column < len(cells):
        raise DataError(
            f"there is no column {column}, the line has {len(cells)} (from 0): correct 'options: "
            f"{{{role}: {column}}}'",
            file=path,
            line=line,
            field=role,
        )
    if not cells[column].strip():
        raise DataError(f"the {role} is empty", file=path, line=line, field=role)
    return cells[column]


def _tag(tag: str, path: Path, line: int) -> str:
    try:
        parse_tag(tag)
    except TagError as error:
        raise DataError(str(error), file=path, line=line, field="tag") from error
    return tag
