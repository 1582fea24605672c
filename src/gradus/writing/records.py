"""Writings and samples, and the folders that hold them and what was said of them.

A folder of samples is a checkpoint of kind ``samples``:

    samples.jsonl   one writing a line, writer after writer, by prompt and number
    gradus.json     the manifest, written last; its facts say how the writings were made

Steps that have writings judged leave folders of kinds of their own. What metrics shall be computed
from their answers stands there in ``columns.json``: for each column a number or null for each
writing, by its id.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from gradus.errors import CheckpointError, DataError, UsageError, unknown
from gradus.records import CheckpointRef, Record

KIND: Final = "samples"
"""Of the checkpoint."""
HUMAN: Final = "human"
"""The writer that is no model: what stands in the corpus after each prompt."""
FILE: Final = "samples.jsonl"
COLUMNS: Final = "columns.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing(Record):
    """One text by a writer to a prompt.

    Attributes:
        id: 16 hex digits from writer, prompt, number and text.
        writer: a checkpoint's name in the plan, or ``human``.
        prompt_id: 12 hex digits, the same for every writer.
        prompt: what the writer was given.
        text: what the writer added, without the prompt.
        number: from 0, which of the writer's texts to this prompt it is.
        source: what names and numbers of the text must agree with, beside the prompt; None where
            the prompt is all there is.
        ended: whether the writer stopped by itself, before the limit of tokens.
        tokens: how many tokens the writer wrote; 0 for people.
    """

    id: str
    writer: str
    prompt_id: str
    prompt: str
    text: str
    number: int
    source: str | None
    ended: bool
    tokens: int

    @classmethod
    def of(
        cls,
        *,
        writer: str,
        prompt: str,
        text: str,
        number: int = 0,
        source: str | None = None,
        ended: bool = True,
        tokens: int = 0,
    ) -> Self:
        """A writing with its ids.

        >>> Writing.of(writer="base", prompt="Once", text=" upon a time").prompt_id
        'e8e384476d33'
        """
        prompt_id = prompt_mark(prompt)
        return cls(
            id=_mark([writer, prompt_id, number, text], 16),
            writer=writer,
            prompt_id=prompt_id,
            prompt=prompt,
            text=text,
            number=number,
            source=source,
            ended=ended,
            tokens=tokens,
        )

    @property
    def item(self) -> str:
        """What it is an answer to: prompt and number, the same for every writer."""
        return f"{self.prompt_id}/{self.number}"


def prompt_mark(prompt: str) -> str:
    """The 12 hex digits that name a prompt."""
    return _mark([prompt], 12)


def _mark(parts: Sequence[Any], digits: int) -> str:
    raw = json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))
    # Lone surrogates can't be encoded otherwise, and a byte-level model may write halves.
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:digits]


class Samples:
    """All writings that one step collected.

    Attributes:
        writings: writer after writer, each by prompt and number.
        writers: in the plan's order, people last.
        prompts: ids of the prompts, in the order in which they were given.
        digest: SHA-256 (hex) over the writings.
    """

    def __init__(self, writings: Iterable[Writing]) -> None:
        """Any order; writers and prompts keep the one in which they first occur.

        Raises:
            UsageError: two writings of a writer answer the same item.
        """
        given = list(writings)
        order = list(dict.fromkeys(one.writer for one in given))
        self.writers = tuple(sorted(order, key=lambda writer: writer == HUMAN))
        self.prompts = tuple(dict.fromkeys(one.prompt_id for one in given))
        writer_at = {writer: i for i, writer in enumerate(self.writers)}
        prompt_at = {prompt: i for i, prompt in enumerate(self.prompts)}
        self.writings = tuple(
            sorted(given, key=lambda w: (writer_at[w.writer], prompt_at[w.prompt_id], w.number))
        )
        seen: set[tuple[str, str]] = set()
        for one in self.writings:
            if (one.writer, one.item) in seen:
                raise UsageError(
                    f"two writings of '{one.writer}' have the number {one.number} and the same "
                    f"prompt ({one.prompt[:60]!r}): give each prompt once"
                )
            seen.add((one.writer, one.item))
        self._of = {
            writer: tuple(w for w in self.writings if w.writer == writer) for writer in self.writers
        }
        rows = [one.to_json() for one in self.writings]
        self.digest = _mark(rows, 64)

    def __len__(self) -> int:
        return len(self.writings)

    def of(self, writer: str) -> tuple[Writing, ...]:
        """A writer's writings, by prompt and number: the same order for every writer.

        Raises:
            UsageError: nobody of that name wrote.
        """
        if writer not in self._of:
            raise UsageError(unknown("writer", writer, self.writers))
        return self._of[writer]


def write_samples(
    folder: Path,
    samples: Samples,
    *,
    facts: Mapping[str, Any],
    parents: Sequence[CheckpointRef] = (),
) -> CheckpointRef:
    """Save samples as a checkpoint of kind ``samples``.

    Args:
        folder: where it shall stand.
        samples: what was written.
        facts: JSON; how it was written.
        parents: the writers' checkpoints.

    Raises:
        StorageError: the folder can't be written.
    """
    from gradus.checkpoints import save_checkpoint

    def write(partial: Path) -> None:
        lines = (json.dumps(one.to_json(), ensure_ascii=True) for one in samples.writings)
        (partial / FILE).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")

    return save_checkpoint(
        folder,
        kind=KIND,
        labels=(),
        preprocessing={},
        parents=parents,
        facts={**facts, "samples": samples.digest},
        write=write,
    )


def read_samples(folder: Path) -> Samples:
    """The samples of a folder that `write_samples` made.

    Raises:
        CheckpointError: it is no folder of samples, or the manifest is broken.
        DataError: a line can't be read; names file, line and field.
    """
    from gradus.checkpoints import read_manifest

    manifest = read_manifest(Path(folder))
    if manifest.kind != KIND:
        raise CheckpointError(
            f"{folder}: holds a checkpoint of kind '{manifest.kind}', not {KIND}; "
            "name a step 'sample'"
        )
    return Samples(parse_writings(Path(folder) / FILE))


_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "id": (str,),
    "writer": (str,),
    "prompt_id": (str,),
    "prompt": (str,),
    "text": (str,),
    "number": (int,),
    "source": (str, type(None)),
    "ended": (bool,),
    "tokens": (int,),
}


def parse_writings(path: Path) -> list[Writing]:
    """The writings of a file with one JSON object a line.

    Raises:
        DataError: the file can't be read, or a line is no writing; names file, line and field.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"can't be read ({error})", file=path) from error
    if lines == [""]:
        raise DataError("holds no writing", file=path)
    return [parse_writing(line, path, number) for number, line in enumerate(lines, start=1)]


def parse_writing(line: str, path: Path, number: int) -> Writing:
    """The writing of one line of a file.

    Raises:
        DataError: names file, line and field.
    """
    try:
        raw = json.loads(line)
    except ValueError as error:
        raise DataError(f"not valid JSON ({error})", file=path, line=number) from error
    if not isinstance(raw, dict):
        raise DataError("not a JSON object", file=path, line=number)
    for name, kinds in _TYPES.items():
        if name not in raw:
            raise DataError("is missing", file=path, line=number, field=name)
        value = raw[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            said = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
            raise DataError(
                f"is {json.dumps(value)[:40]}, not of type {said}",
                file=path,
                line=number,
                field=name,
            )
    odd = sorted(set(raw) - set(_TYPES))
    if odd:
        raise DataError("isn't a field of a writing", file=path, line=number, field=odd[0])
    made = Writing(**raw)
    whole = Writing.of(
        **{
            field.name: raw[field.name]
            for field in dataclasses.fields(Writing)
            if field.name not in ("id", "prompt_id")
        }
    )
    if made != whole:
        raise DataError(
            "doesn't fit the rest of the line: it was changed after it was written",
            file=path,
            line=number,
            field="id" if made.id != whole.id else "prompt_id",
        )
    return made


def write_columns(folder: Path, columns: Mapping[str, Mapping[str, float | None]]) -> None:
    """Write ``columns.json``: by column, a number or None for each writing's id.

    For steps that have writings judged, to be called while their checkpoint is being saved; metrics
    that ask for these columns are then taken of each writer.

    Raises:
        ValueError: a number isn't finite; say None where there is none.
    """
    for name, values in columns.items():
        if any(value is not None and not math.isfinite(value) for value in values.values()):
            raise ValueError(f"column '{name}' holds a number that isn't finite")
    text = json.dumps({name: dict(values) for name, values in columns.items()}, sort_keys=True)
    (folder / COLUMNS).write_text(text + "\n", encoding="utf-8")


def read_columns(folder: Path) -> dict[str, dict[str, float | None]]:
    """What `write_columns` wrote: by column, a number or None by writing id.

    Raises:
        CheckpointError: the file is missing or broken.
    """
    path = Path(folder) / COLUMNS
    try:
        raw = json.loads(path.read_bytes())
        return {
            str(name): {
                str(writing): None if value is None else float(value)
                for writing, value in values.items()
            }
            for name, values in raw.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: not readable columns of writings ({error})") from error
