"""The one place that turns a record's fields into a row, as target, columns and filter say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gradus.data.conversations import Conversation, Reply
from gradus.data.fields import ColumnsConfig, FilterConfig
from gradus.data.formats.base import Format, RawRecord, Row, Sheet, Tally
from gradus.data.values import (
    Where,
    as_cell,
    as_name,
    as_names,
    as_number,
    as_spans,
    as_text,
    join_words,
    split_words,
    tagged,
)
from gradus.errors import DataError
from gradus.records import Pair, Span, Target
from gradus.sources.base import listing

USUAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "text": ("text",),
    "label": ("label", "category", "class"),
    "labels": ("labels", "label", "categories", "category", "classes", "class"),
    "number": ("label", "score", "value", "rating", "number"),
    "spans": ("spans", "entities", "label"),
    "reply": ("reply", "response", "output", "completion", "answer"),
}
"""The names of fields that are found without being said, by role."""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_ABSENT: Final = object()
Words = tuple[tuple[int, int], ...]


class _Fields(NamedTuple):
    """The fields of one file that are used."""

    text: tuple[str, ...]
    label: str | None
    group: str | None
    keep: tuple[str, ...]
    where: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes rows of records.

    Attributes:
        target: what the texts are labelled with; None leaves labels unread, and they are "".
        columns: which fields hold what.
        filter: which rows are left out, counted in the tally.
        tally: takes the counts.
        fixed: the format's fields have fixed names.
        prompt: how a text is put to a language model, with ``{text}``; None for as it is.
    """

    target: Target | None
    columns: ColumnsConfig
    filter: FilterConfig
    tally: Tally
    fixed: bool = False
    prompt: str | None = None

    def rows(self, records: Iterator[RawRecord]) -> Iterator[Row]:
        """The rows that the filter leaves, in order.

        Raises:
            DataError: names file, line and field of the first thing that is broken.
        """
        sheet: Sheet | None = None
        used: _Fields | None = None
        for record in records:
            if used is None or record.sheet is not sheet:
                sheet = record.sheet
                if used is None or not self.fixed:
                    used = self._choose(record)
            self.tally.rows += 1
            row = self._row(record, used)
            if row is not None:
                yield row

    def _choose(self, record: RawRecord) -> _Fields:
        """The fields that are used in this file."""
        texts = [choose(name, record, "text") for name in self.columns.texts() or (None,)]
        label = None
        if self.target == "label" and self.fixed and "label" not in record.fields:
            raise DataError(
                "the texts have no labels: name where they come from, e.g. 'options: {label: "
                "folder}'",
                file=record.sheet.file,
            )
        if self.target is not None:
            label = choose(self.columns.label, record, self.target, "label")
        return _Fields(
            text=tuple(texts),
            label=label,
            group=self.columns.group and choose(self.columns.group, record, "group"),
            keep=tuple(choose(name, record, "column to keep") for name in self.columns.keep),
            where=tuple(choose(name, record, "filter") for name in self.filter.where),
        )

    def _row(self, record: RawRecord, used: _Fields) -> Row | None:
        fields, sheet, line = record
        file = sheet.file
        for name in used.where:
            cell = as_cell(get_field(record, name), Where(file, line, name))
            if cell not in {as_cell(v, Where(file, line, name)) for v in self.filter.where[name]}:
                self.tally.filtered[f"where.{name}"] += 1
                return None
        for name in used.text:
            if name not in fields:
                get_field(record, name)
        raw: Any = ""
        label_at = Where(file, line, used.label)
        if used.label is not None:
            raw = fields[used.label] if used.label in fields else get_field(record, used.label)
        if self.target == "label":
            bins = self.columns.bins
            raw = bins.name_of(as_number(raw, label_at)) if bins else as_name(raw, label_at)
            if raw in self.filter.drop_labels:
                self.tally.filtered["drop_labels"] += 1
                return None
        text, words = self._text(record, used.text)
        reason = self._too_short_or_long(text)
        if reason:
            self.tally.filtered[reason] += 1
            return None
        label: Any = raw
        if self.target == "labels":
            label = self._wanted(as_names(raw, label_at, self.columns.separator), str)
        elif self.target == "number":
            label = as_number(raw, label_at)
        elif self.target == "spans":
            label, words = self._spans(raw, text, words, label_at)
        elif self.target == "reply":
            label = Reply(as_text(raw, label_at))
            if self.prompt is not None:
                text = self._asked(text, label_at)
        return Row(
            text,
            label,
            file,
            line,
            words,
            {name: as_cell(get_field(record, name), Where(file, line, name)) for name in used.keep}
            if used.keep
            else _NOTHING,
            used.group
            and as_name(get_field(record, used.group), Where(file, line, used.group), "group"),
        )

    def _asked(self, text: str, where: Where) -> str:
        if isinstance(text, Conversation):
            raise where.error("'prompt' asks about a text, and this is a conversation: drop it")
        return (self.prompt or "{text}").format(text=str(text))

    def _text(self, record: RawRecord, names: tuple[str, ...]) -> tuple[str, Words | None]:
        """The text, and where its words are if it came as words."""
        fields, sheet, line = record
        empty_allowed = bool(self.filter.min_chars or self.filter.min_words)
        found = []
        for name in names:
            value = fields[name] if name in fields else get_field(record, name)
            where = Where(sheet.file, line, None if self.fixed else name)
            if self.target == "spans" and isinstance(value, list | tuple):
                return join_words(value, where)
            found.append(as_text(value, where, allow_empty=empty_allowed))
        if empty_allowed and any(not text or text.isspace() for text in found):
            return "", None  # left out by the filter
        return (found[0] if len(found) == 1 else Pair(found[0], found[1])), None

    def _spans(
        self, raw: Any, text: str, words: Words | None, where: Where
    ) -> tuple[tuple[Span, ...], Words]:
        is_tags = isinstance(raw, list | tuple) and bool(raw) and isinstance(raw[0], str)
        if words is not None and (is_tags or not raw):
            spans = tagged(raw, words, where)
        else:
            spans, trimmed = as_spans(raw, text, where)
            self.tally.trimmed += trimmed
        spans = self._wanted(spans, lambda span: span.label)
        return spans, split_words(text, spans) if words is None else words

    def _wanted(self, items: tuple[Any, ...], name: Callable[[Any], str]) -> tuple[Any, ...]:
        """Labels or spans without those that aren't wanted."""
        if not self.filter.drop_labels:
            return items
        left = tuple(item for item in items if name(item) not in self.filter.drop_labels)
        self.tally.filtered["drop_labels"] += len(items) - len(left)
        return left

    def _too_short_or_long(self, text: str) -> str | None:
        rule = self.filter
        if not text:
            return "min_words" if rule.min_chars is None else "min_chars"
        if rule.min_chars is not None and len(text) < rule.min_chars:
            return "min_chars"
        if rule.max_chars is not None and len(text) > rule.max_chars:
            return "max_chars"
        if rule.min_words is None and rule.max_words is None:
            return None
        words = len(text.split())
        if words < (rule.min_words or 0):
            return "min_words"
        return "max_words" if rule.max_words is not None and words > rule.max_words else None


def read_rows(
    reader: Format,
    files: Sequence[Path],
    *,
    target: Target | None = "label",
    columns: ColumnsConfig | None = None,
    filter: FilterConfig | None = None,
    encodings: Sequence[str] | None = None,
    tally: Tally | None = None,
    prompt: str | None = None,
) -> Iterator[Row]:
    """The rows of files or folders in one format, one after the other.

    Raises:
        DataError: names file, line and field of the first thing that is broken.
    """
    tally, columns = tally or Tally(), columns or ColumnsConfig()
    if reader.fixed and (columns.text is not None or columns.label is not None):
        raise DataError(
            f"the fields of the format {reader.name} have fixed names: drop 'columns' but for "
            "group and keep",
            file=files[0],
        )
    maker = RowMaker(
        target, columns, filter or FilterConfig(), tally, fixed=reader.fixed, prompt=prompt
    )

    def records() -> Iterator[RawRecord]:
        for file in files:
            yield from reader.records(file, encodings=encodings, tally=tally)

    return maker.rows(records())


def choose(wanted: str | None, record: RawRecord, role: str, key: str | None = None) -> str:
    """The field for a role: as configured, else by its usual name.

    Raises:
        DataError: there is none, or more than one.
    """
    present, sheet = record.fields, record.sheet
    line = record.line if sheet.names_line is None else sheet.names_line
    what = {"number": "number", "spans": "spans", "labels": "labels"}.get(role, role)
    if wanted is not None:
        if wanted in sheet.doubled:
            raise _doubled(wanted, sheet, line)
        if wanted in present or _look(present, wanted) is not _ABSENT:
            return wanted
        near = get_close_matches(wanted, list(present), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {listing(present)}"
        raise DataError(
            f"no such column for the {what}: {hint}", file=sheet.file, line=line, field=wanted
        )
    names = USUAL_NAMES[role]
    found = [name for name in present if name.strip().lower() in names]
    if len(found) == 1:
        if found[0] in sheet.doubled:
            raise _doubled(found[0], sheet, line)
        return found[0]
    if found:
        problem = f"{len(found)} columns could hold the {what}, {listing(found)}"
    else:
        usual = " or ".join(f"'{name}'" for name in names)
        problem = f"no column called {usual} for the {what}; there are {listing(present)}"
    raise DataError(
        f"{problem}: name it with 'columns: {{{key or role}: …}}'", file=sheet.file, line=line
    )


def _doubled(name: str, sheet: Sheet, line: int) -> DataError:
    return DataError("two columns have this name", file=sheet.file, line=line, field=name)


def get_field(record: RawRecord, name: str) -> Any:
    """The field's value, inside nested records where the name has dots.

    Raises:
        DataError: the record hasn't got it.
    """
    found = _look(record.fields, name)
    if found is _ABSENT:
        raise DataError(
            f"is missing; the record has {listing(record.fields) or 'no fields'}",
            file=record.sheet.file,
            line=record.line,
            field=name,
        )
    return found


def _look(fields: Mapping[str, Any], name: str) -> Any:
    if name in fields:
        return fields[name]
    found: Any = fields
    for part in name.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list | tuple) and part.isdigit() and int(part) < len(found):
            found = found[int(part)]
        else:
            return _ABSENT
    return found
