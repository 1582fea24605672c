"""Ratings in other tools' formats: what to rate goes out, what was said comes in.

- ``label-studio``: a folder with ``tasks.json`` and ``config.xml`` (labelling interface); in comes
  what Label Studio exports as JSON.
- ``argilla``: a folder as ``rg.Dataset.from_disk`` reads and ``to_disk`` writes it (Argilla 2).
- ``jsonl``: the project's own rows, see `gradus.panel.records`.

Nothing that goes out tells who wrote a text. Writings are called by names drawn under the panel's
secret: their ids are digests of writer and text, which whoever sees the text could try writers on.
Attention checks belong to the project's own page and go neither way.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, get_args

from gradus.disk import sync
from gradus.errors import DataError, StorageError, UsageError, unknown
from gradus.panel.records import Mode, Rating, read_ratings, write_ratings

if TYPE_CHECKING:
    from gradus.panel.criteria import Language
    from gradus.writing.records import Samples

Format = Literal["label-studio", "argilla", "jsonl"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
Ids = tuple[str, ...]
"""What one task is about: the id of a writing, or the two of a pair as they are shown."""


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """What is asked of whom about what.

    Attributes:
        mode: single writings or pairs.
        criteria: what is asked for; for pairs, the preference.
        languages: of the questions, one or both.
        tasks: what is shown, in order.
        shown: by id of a writing, its prompt and text.
        names: by id of a writing, what it is called outside.
    """

    mode: Mode
    criteria: tuple[str, ...]
    languages: tuple[Language, ...]
    tasks: tuple[Ids, ...]
    shown: Mapping[str, tuple[str, str]]
    names: Mapping[str, str]

    @classmethod
    def of(
        cls,
        samples: Samples,
        tasks: Sequence[Ids],
        *,
        mode: Mode,
        criteria: Sequence[str],
        named: Callable[[str], str],
        languages: Sequence[Language] = ("en",),
    ) -> Inquiry:
        """The inquiry about these tasks on writings of the samples.

        `named` makes a writing's outside name of its id (`Store.outside`).

        Raises:
            DataError: a task is of a writing that isn't among the samples.
        """
        shown = {one.id: (one.prompt, one.text) for one in samples.writings}
        for task in tasks:
            for one in task:
                if one not in shown:
                    raise DataError(f"the writing {one} isn't among the samples")
        return cls(
            mode=mode,
            criteria=tuple(criteria),
            languages=tuple(languages),
            tasks=tuple(dict.fromkeys(tasks)),
            shown=shown,
            names={one: named(one) for one in shown},
        )

    def data(self, task: Ids) -> dict[str, str]:
        """What a task shows: ``prompt`` and ``text``, or ``prompt``, ``first`` and ``second``."""
        prompt = self.shown[task[0]][0]
        names = ("text",) if self.mode == "likert" else ("first", "second")
        texts = {name: self.shown[one][1] for name, one in zip(names, task, strict=True)}
        return {"prompt": prompt, **texts}

    def mark(self, task: Ids) -> str:
        """What a task is called outside."""
        return "|".join(self.names[one] for one in task)

    def task_of(self, name: str, where: Where) -> Ids:
        """The task that `mark` named.

        Raises:
            DataError: it isn't about writings of this panel.
        """
        ids = tuple(self._ids[one] for one in name.split("|") if one in self._ids)
        if len(ids) != name.count("|") + 1 or len(ids) != (1 if self.mode == "likert" else 2):
            raise where.fault(f"'{name}' names no {self._thing} of this panel", "id")
        return ids

    @cached_property
    def _ids(self) -> Mapping[str, str]:
        return {name: one for one, name in self.names.items()}

    @property
    def _thing(self) -> str:
        return "writing" if self.mode == "likert" else "pair"

    def rating(self, where: Where, task: Ids, criterion: str, **said: Any) -> Rating:
        """One answer about a task.

        Raises:
            DataError: it can't be an answer; names where it stands.
        """
        about: dict[str, Any] = {"writing": task[0]}
        if self.mode == "pairs":
            about = {"pair": (task[0], task[1])}
        try:
            return Rating(criterion=criterion, **about, **said)
        except ValueError as error:
            raise where.fault(str(error), criterion) from error


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file that is being read: what an error names."""

    file: Path
    number: int

    def fault(self, message: str, field: str | None = None) -> DataError:
        """The error about it; the number counts tasks or records from 1."""
        return DataError(f"entry {self.number:,}: {message}", file=self.file, field=field)


class Located(Protocol):
    """Any place in a file that an error can name."""

    def fault(self, message: str, field: str | None = None) -> DataError:
        """The error about it."""


class Form(Protocol):
    """A format: writes an inquiry with what was said so far, and reads what was said."""

    def write(self, inquiry: Inquiry, ratings: Sequence[Rating], out: Path) -> list[Path]:
        """Write to the folder `out`, which exists; the paths written."""

    def read(self, inquiry: Inquiry, path: Path) -> list[Rating]:
        """The ratings of a file or folder; names of raters as they stand there."""


def task_of(rating: Rating) -> Ids:
    """The task that a rating answers."""
    return rating.pair if rating.pair is not None else (str(rating.writing),)


def form(name: str) -> Form:
    """The format of a name.

    Raises:
        UsageError: it isn't known.
    """
    from gradus.panel.argilla import Argilla
    from gradus.panel.label_studio import LabelStudio

    forms: dict[str, Form] = {"label-studio": LabelStudio(), "argilla": Argilla(), "jsonl": Rows()}
    if name not in forms:
        raise UsageError(unknown("format", name, FORMATS))
    return forms[name]


def write(name: str, inquiry: Inquiry, ratings: Sequence[Rating], out: Path) -> list[Path]:
    """Write an inquiry, with the ratings that are there, in the format `name`; the paths written.

    Tasks that only ratings have (a pair in the other order) are written too. `out` is a folder,
    made if need be.

    Raises:
        UsageError: the format isn't known, or can't hold these ratings.
        DataError: a rating is of a writing that isn't among the samples.
    """
    said = [rating for rating in ratings if not rating.check]
    for rating in said:
        missing = next((one for one in task_of(rating) if one not in inquiry.shown), None)
        if missing is not None:
            raise DataError(f"a rating is of the writing {missing}, which isn't in this panel")
    tasks = tuple(dict.fromkeys((*inquiry.tasks, *(task_of(rating) for rating in said))))
    made = form(name)
    out.mkdir(parents=True, exist_ok=True)
    return made.write(replace(inquiry, tasks=tasks), said, out)


def read(name: str, inquiry: Inquiry, path: Path) -> list[Rating]:
    """The ratings of a file or folder in the format `name`.

    Raises:
        UsageError: the format isn't known.
        DataError: it is broken, or about something else; names file, entry and field.
    """
    found = form(name).read(inquiry, path)
    seen: set[tuple[str, Ids, str]] = set()
    for rating in found:
        key = (rating.rater, task_of(rating), rating.criterion)
        if key in seen:
            raise DataError(
                f"'{rating.rater}' answered about {rating.criterion} of {inquiry.mark(key[1])} "
                "twice: keep one of the two",
                file=path,
            )
        seen.add(key)
    return found


def repeated(ratings: Sequence[Rating], known: Sequence[Rating]) -> frozenset[str]:
    """The raters of whom `known` has every answer under the same name.

    They went out with ``--answers`` and would count twice.
    """

    def said(rating: Rating) -> tuple[str, Ids, str, float]:
        return rating.rater, task_of(rating), rating.criterion, rating.value

    there = {said(rating) for rating in known}
    new = {rating.rater for rating in ratings if said(rating) not in there}
    return frozenset({rating.rater for rating in ratings} - new)


def renamed(ratings: Sequence[Rating], prefix: str) -> tuple[list[Rating], dict[str, str]]:
    """The ratings with raters called PREFIX-1, PREFIX-2 ..., and who is who.

    Names elsewhere may be e-mail addresses, which have no place in a run's folder.
    """
    names = sorted({rating.rater for rating in ratings})
    new = {name: f"{prefix}-{number}" for number, name in enumerate(names, start=1)}
    return [replace(rating, rater=new[rating.rater]) for rating in ratings], new


class Rows:
    """The project's own rows."""

    def write(self, inquiry: Inquiry, ratings: Sequence[Rating], out: Path) -> list[Path]:
        """``ratings.jsonl`` and, for whoever asks elsewhere, ``tasks.jsonl``."""
        tasks, said = out / "tasks.jsonl", out / "ratings.jsonl"
        rows = [{"id": inquiry.mark(task), **inquiry.data(task)} for task in inquiry.tasks]
        save(tasks, "".join(json.dumps(row) + "\n" for row in rows))
        write_ratings(said, [_about(rating, inquiry.mark(task_of(rating))) for rating in ratings])
        return [tasks, said]

    def read(self, inquiry: Inquiry, path: Path) -> list[Rating]:
        """The rows of a file, or of ``ratings.jsonl`` in a folder."""
        file = path / "ratings.jsonl" if path.is_dir() else path
        found = []
        for number, rating in enumerate(read_ratings(file), start=1):
            if rating.check:
                continue
            where = Where(file, number)
            if rating.criterion not in inquiry.criteria:
                raise where.fault(unknown("criterion", rating.criterion, inquiry.criteria))
            ids = inquiry.task_of("|".join(task_of(rating)), where)
            found.append(_about(rating, "|".join(ids)))
        return found


def _about(rating: Rating, name: str) -> Rating:
    """The rating, with what it is about called `name`."""
    if rating.pair is None:
        return replace(rating, writing=name)
    first, second = name.split("|")
    return replace(rating, pair=(first, second))


def save(path: Path, text: str) -> None:
    """Write a file that is there as a whole or not at all; a missing folder is made.

    A file that stood there keeps its mode, and a link goes on leading to it.

    Raises:
        StorageError: it can't be written.
    """
    real = path.resolve()
    part = real.with_name(real.name + ".part")
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="")
        if real.exists():
            shutil.copymode(real, part)
        sync(part)
        part.replace(real)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(f"{path}: can't be written ({error.strerror})") from error


def load(path: Path) -> list[dict[str, Any]]:
    """A JSON list of objects.

    Raises:
        DataError: it isn't there, or is something else.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError("there is no such file", file=path) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read ({error})", file=path) from error
    except ValueError as error:
        raise DataError(f"not JSON ({error})", file=path) from error
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise DataError("not a JSON list of objects", file=path)
    return raw
