"""Answers on disk as soon as they are known, so that an interrupted evaluation goes on.

A journal is a JSONL file. Each line has the ``key`` of an item (a digest of what was asked, of
whom and how) and its ``answer``; one file may hold answers of several engines and methods. A line
is complete when its line end is there: what a killed process left of its last line is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from gradus.checkpoints.hashing import hash_json
from gradus.errors import DataError, StorageError
from gradus.scoring.records import Progress

Asked = Callable[[Sequence[int]], Iterator[tuple[int, Any]]]


class Journal:
    """The answers of one call.

    Attributes:
        known: key -> answer, for the keys that were asked for and stand in the file.
    """

    def __init__(self, path: Path, keys: Iterable[str] | None = None) -> None:
        """Read what the file at `path` knows of `keys` (None: all it knows); it needn't exist.

        Raises:
            DataError: a line that isn't the last can't be read.
            StorageError: the file can't be read or written.
        """
        self._path = path
        wanted = None if keys is None else set(keys)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.known, whole = _read(path, wanted) if path.exists() else ({}, 0)
            self._file: BinaryIO = path.open("ab")
            self._file.truncate(whole)
        except OSError as error:
            raise StorageError(f"{path}: the journal can't be opened ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, key: str, answer: Any) -> None:
        """Append an answer; it stands in the file, not in a buffer, when this returns."""
        line = json.dumps({"key": key, "answer": answer}, separators=(",", ":")) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise StorageError(f"{self._path}: the journal can't be written ({error})") from error
        self.known[key] = answer


def key_of(method: str, contract: Mapping[str, str], item: Any) -> str:
    """Digest of what is asked (`method`, `item`: JSON) and of whom (`contract`), 32 hex digits."""
    return hash_json([method, dict(contract), item])[:32]


def _read(path: Path, keys: set[str] | None) -> tuple[dict[str, Any], int]:
    """Answers to `keys` (None: all), and how many bytes of the file are whole lines."""
    known: dict[str, Any] = {}
    whole = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                found = json.loads(line)
                key, answer = found["key"], found["answer"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    f"not a line of a journal ({error}); remove the file to score anew",
                    file=path,
                    line=number,
                ) from error
            if keys is None or key in keys:
                known[key] = answer
    return known, whole


def answered(
    method: str,
    contract: Mapping[str, str],
    items: Sequence[Any],
    ask: Asked,
    *,
    journal: Path | None,
    progress: Progress | None,
) -> list[Any]:
    """The answers to `items` (JSON) in their order, from the journal or from `ask`.

    `ask` is called with the places of the items that are left and gives place and answer (JSON) of
    each, in any order.
    """
    if journal is None:
        return _collect([None] * len(items), range(len(items)), ask, progress, None)
    keys = [key_of(method, contract, item) for item in items]
    with Journal(journal, keys) as book:
        found = [book.known.get(key) for key in keys]
        left = [place for place, answer in enumerate(found) if answer is None]
        return _collect(found, left, ask, progress, lambda p, a: book.add(keys[p], a))


def _collect(
    found: list[Any],
    left: Sequence[int],
    ask: Asked,
    progress: Progress | None,
    note: Callable[[int, Any], None] | None,
) -> list[Any]:
    """`found` with what `ask` says of the places `left`."""
    done = len(found) - len(left)
    if progress is not None and done:
        progress(done)
    for place, answer in ask(left):
        found[place] = answer
        if note is not None:
            note(place, answer)
        done += 1
        if progress is not None:
            progress(done)
    return found
