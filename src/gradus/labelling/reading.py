"""What people said, as rows of labelled data; whatever can't become one is named by its line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradus.errors import UsageError
from gradus.labelling.forms import form, guess, json_lines, text_of
from gradus.labelling.pool import plainly
from gradus.labelling.records import Answer
from gradus.panel.exchange import save

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Remark:
    """A line of the file that was labelled, and what is to be said of it."""

    line: int
    message: str


@dataclass(slots=True)
class Merged:
    """What became of the answers.

    Attributes:
        rows: new rows, text and labels.
        same: texts that stand there already with the same labels.
        skipped: lines without an answer.
        conflicts: lines whose answers disagree with one another, or with what stands there.
        unknown: lines with a label that isn't known.
    """

    rows: list[tuple[str, Labels]] = field(default_factory=list)
    same: int = 0
    skipped: list[Remark] = field(default_factory=list)
    conflicts: list[Remark] = field(default_factory=list)
    unknown: list[Remark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Existing:
    """A file of labelled rows: which labels each text has, and in which line; all its labels."""

    rows: dict[str, tuple[int, Labels]]
    labels: frozenset[str]
    several: bool | None


def existing(path: Path, *, text: str = "text") -> Existing:
    """What a file of JSON lines holds; nothing where it isn't there.

    Raises:
        DataError: a line is broken, or has no text or no label.
        UsageError: it is another kind of file.
    """
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise UsageError(f"{path}: answers are written as JSON lines; name a .jsonl file")
    rows: dict[str, tuple[int, Labels]] = {}
    several: bool | None = None
    if path.exists():
        for place, row in json_lines(path):
            raw = row.get("labels", row.get("label"))
            if not isinstance(raw, str | list) or not all(isinstance(one, str) for one in raw):
                raise place.fault("holds no label", "label")
            several = bool(several) or isinstance(raw, list)
            labels = (raw,) if isinstance(raw, str) else tuple(sorted(raw))
            rows.setdefault(plainly(text_of(row, place, text)), (place.line, labels))
    return Existing(rows, frozenset(one for _, of in rows.values() for one in of), several)


def read_answers(path: Path, form_name: str = "auto") -> list[Answer]:
    """The answers of a file or folder.

    Raises:
        UsageError: the format isn't known.
        DataError: the file is broken; names its line.
    """
    return form(guess(path) if form_name == "auto" else form_name).read(path)


def merge(
    answers: Sequence[Answer],
    there: Existing,
    into: Path,
    known: frozenset[str],
    *,
    several: bool = False,
) -> Merged:
    """The new rows, and what is to be said of all others.

    Of several answers to one text that agree, one row is made; of those that don't, none. A text is
    skipped only where nobody answered. `known` are the labels that may be given; any where empty.
    `several` says that a text may have any number of them.
    """
    found = Merged()
    by_text: dict[str, list[Answer]] = {}
    for answer in answers:
        by_text.setdefault(plainly(answer.text), []).append(answer)
    for mark, said in by_text.items():
        given = [answer for answer in said if answer.labels is not None]
        strange = [(a, one) for a in given for one in a.labels or () if known and one not in known]
        if not given:
            found.skipped.append(Remark(said[0].line, "skipped"))
        elif strange:
            found.unknown += [
                Remark(a.line, f"unknown label '{one}'; known are {_listed(sorted(known))}")
                for a, one in strange
            ]
        elif not several and (odd := next((a for a in given if len(a.labels or ()) != 1), None)):
            told = f"has {_named(odd.labels or ())}, where each text has one label"
            found.conflicts.append(Remark(odd.line, told))
        else:
            _one_text(mark, given, there, into, found)
    return found


def _one_text(
    mark: str, given: Sequence[Answer], there: Existing, into: Path, found: Merged
) -> None:
    by_labels: dict[Labels, Answer] = {}
    for answer in given:
        by_labels.setdefault(tuple(sorted(set(answer.labels or ()))), answer)
    if len(by_labels) > 1:
        told = "; ".join(
            f"{_named(labels)}{f' ({a.who})' if a.who else ''} in line {a.line}"
            for labels, a in by_labels.items()
        )
        found.conflicts.append(Remark(given[0].line, f"people disagree: {told}"))
        return
    ((labels, answer),) = by_labels.items()
    if mark not in there.rows:
        found.rows.append((answer.text, labels))
        return
    line, before = there.rows[mark]
    if before == labels:
        found.same += 1
    else:
        found.conflicts.append(
            Remark(
                answer.line,
                f"{_named(labels)}, but {into}, line {line}, has the text as {_named(before)}",
            )
        )


def write(merged: Merged, into: Path, *, several: bool, text: str = "text") -> None:
    """Put the new rows behind those of the file, whole or not at all."""
    # As it stands, whatever ends its lines.
    before = into.read_bytes().decode("utf-8") if into.exists() else ""
    if before and not before.endswith("\n"):
        before += "\n"
    lines = [json.dumps(_row(*row, several, text), ensure_ascii=False) for row in merged.rows]
    if lines:
        save(into, before + "".join(f"{line}\n" for line in lines))


def _row(text: str, labels: Labels, several: bool, field_name: str) -> dict[str, Any]:
    return {field_name: text, **({"labels": list(labels)} if several else {"label": labels[0]})}


def _named(labels: Labels) -> str:
    return " and ".join(f"'{one}'" for one in labels) or "no label"


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, and {len(names) - most} more"
