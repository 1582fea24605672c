"""Tasks in other tools' formats: what to label goes out, what was said comes in.

- ``label-studio``: a JSON file of tasks with predictions, and beside it the labelling interface
  (``.xml``); in comes what Label Studio exports as JSON.
- ``argilla``: a folder as ``rg.Dataset.from_disk`` reads and ``to_disk`` writes it (Argilla 2).
- ``jsonl``: a row a text, in which ``label`` (``labels`` where there may be several) waits for the
  answer: null is one that wasn't given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, get_args

from gradus.errors import DataError, UsageError, unknown
from gradus.labelling.records import Answer, Task, Tasks
from gradus.panel.exchange import save

Format = Literal["label-studio", "argilla", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file that is being read: what an error names."""

    file: Path
    line: int

    def fault(self, message: str, field: str | None = None) -> DataError:
        """The error about it."""
        return DataError(message, file=self.file, line=self.line, field=field)


class Form(Protocol):
    """A format."""

    def files(self, out: Path) -> list[Path]:
        """What `write` will write.

        Raises:
            UsageError: `out` can't be written to in this format.
        """

    def write(self, tasks: Tasks, out: Path) -> list[Path]:
        """Write the tasks to `out`; the paths written."""

    def read(self, path: Path) -> list[Answer]:
        """What people said, skipped texts included."""


def form(name: str) -> Form:
    """The format of a name.

    Raises:
        UsageError: it isn't known.
    """
    from gradus.labelling.argilla import Argilla
    from gradus.labelling.label_studio import LabelStudio

    forms: dict[str, Form] = {"label-studio": LabelStudio(), "argilla": Argilla(), "jsonl": Rows()}
    if name not in forms:
        raise UsageError(unknown("format", name, FORMATS))
    return forms[name]


def guess(path: Path) -> str:
    """The format of what was labelled, by its look."""
    if path.is_dir() or path.name == "records.json":
        return "argilla"
    return "label-studio" if path.suffix.lower() == ".json" else "jsonl"


class Rows:
    """The project's own rows."""

    def files(self, out: Path) -> list[Path]:
        """The file itself."""
        return [out]

    def write(self, tasks: Tasks, out: Path) -> list[Path]:
        """A line a text."""
        save(
            out, "".join(json.dumps(_row(tasks, t), ensure_ascii=False) + "\n" for t in tasks.tasks)
        )
        return self.files(out)

    def read(self, path: Path) -> list[Answer]:
        """The rows of a file."""
        found = []
        for place, row in json_lines(path):
            several = "labels" in row
            given = row.get("labels" if several else "label")
            who = row.get("who", "")
            found.append(
                Answer(place.line, text_of(row, place), _given(given, place), str(who or ""))
            )
        return found


def _row(tasks: Tasks, task: Task) -> dict[str, Any]:
    said: Any = list(task.suggested) if tasks.several else next(iter(task.suggested), None)
    return {
        "id": task.id,
        "text": task.text,
        "labels" if tasks.several else "label": None,
        "suggested": said,
        "probability": round(task.probability, 6),
        "uncertainty": round(task.uncertainty, 6),
        "model": tasks.model,
    }


def _given(raw: Any, place: Place) -> tuple[str, ...] | None:
    if raw is None or raw == "":
        return None
    if isinstance(raw, str):
        return (raw,)
    if isinstance(raw, list) and all(isinstance(label, str) for label in raw):
        return tuple(raw)
    raise place.fault("is neither a label nor a list of labels", "label")


def text_of(row: Mapping[str, Any], place: Place, field: str = "text") -> str:
    """The text of a row.

    Raises:
        DataError: there is none.
    """
    text = row.get(field)
    if not isinstance(text, str) or not text.strip():
        raise place.fault("holds no text", field)
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise place.fault("holds half a surrogate pair", field)
    return text


def json_lines(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a file of JSON lines, each with its place; blank lines are passed over.

    Raises:
        DataError: the file isn't there, or a line is no object.
    """
    for number, line in enumerate(_read(path).split("\n"), start=1):
        if not line.strip():
            continue
        place = Place(path, number)
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise place.fault(f"not JSON ({error})") from error
        if not isinstance(row, dict):
            raise place.fault("not a JSON object")
        yield place, row


def json_entries(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a JSON list, each with the line that it begins on.

    Raises:
        DataError: the file isn't there, or isn't such a list.
    """
    text = _read(path)
    decoder, at, line, counted = json.JSONDecoder(), _past(text, 0), 1, 0
    if text[at : at + 1] != "[":
        raise DataError("not a JSON list of objects", file=path)
    at = _past(text, at + 1)
    while text[at : at + 1] != "]":
        line, counted = line + text.count("\n", counted, at), at
        place = Place(path, line)
        try:
            row, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise place.fault(f"not JSON ({error})") from error
        if not isinstance(row, dict):
            raise place.fault("not a JSON object")
        yield place, row
        at = _past(text, at)
        if text[at : at + 1] == ",":
            at = _past(text, at + 1)
        elif text[at : at + 1] != "]":
            raise place.fault("the list doesn't go on behind this entry as JSON does")


def _past(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\r", "\n"):
        at += 1
    return at


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError("there is no such file", file=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read ({error})", file=path) from error
