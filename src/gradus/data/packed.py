"""Sequences that hold a million short items in little memory.

A Python string takes some 50 bytes beside its characters, an id in hexadecimal 113; a million rows
as lists of such objects are half a gigabyte. Here N texts are one block of UTF-8 with their ends,
ids are 32 bytes each, and a split is a view: row numbers into what its data set shares.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, Generic, Self, TypeVar, overload

import numpy as np

from gradus.data.conversations import Conversation
from gradus.records import Pair

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)
_CHUNK = 8192
Rows = np.ndarray | Sequence[int]


class View(Sequence[T]):
    """A sequence that makes its items when asked; M items out of a store, in any order."""

    __slots__ = ("_rows",)
    __hash__ = None  # type: ignore[assignment]  # equal to any sequence of the same items

    def __init__(self, rows: Rows) -> None:
        self._rows = np.asarray(rows, dtype=np.int64)

    @abstractmethod
    def _at(self, row: int) -> T:
        """The item in that row of the store."""

    @abstractmethod
    def _like(self, rows: np.ndarray) -> Self:
        """A view of other rows of the same store."""

    def take(self, rows: Rows) -> Self:
        """The items at `rows`, in that order; nothing is copied but row numbers."""
        return self._like(self._rows[np.asarray(rows, dtype=np.int64)])

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> T | Self:
        if isinstance(index, slice):
            return self._like(self._rows[index])
        return self._at(self._rows.item(index))

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[T]:
        for start in range(0, len(self._rows), _CHUNK):
            for row in self._rows[start : start + _CHUNK].tolist():
                yield self._at(row)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    def __repr__(self) -> str:
        head = ", ".join(repr(item) for item in self[:3])
        return f"<{len(self):,} items: {head}{', ...' if len(self) > 3 else ''}>"


class TextStore:
    """Texts in one block of UTF-8, to which more can be added.

    A pair of texts is kept as the pair it is, a conversation with its turns.
    """

    __slots__ = ("_block", "_cuts", "_ends", "_turns")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._block = bytearray()
        self._ends = array("q", [0])
        self._cuts: dict[int, int] = {}
        self._turns: dict[int, tuple[tuple[str, int], ...]] = {}
        for text in texts:
            self.add(text, text.encode())

    def add(self, text: str, content: bytes) -> None:
        """Add a text; `content` is its UTF-8."""
        if isinstance(text, Pair):
            self._cuts[len(self)] = len(text.first.encode())
        elif isinstance(text, Conversation):
            self._turns[len(self)] = tuple((role, len(said)) for role, said in text.turns)
        self._block += content
        self._ends.append(len(self._block))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def at(self, row: int) -> str:
        """The text in that row."""
        start, end = self._ends[row], self._ends[row + 1]
        if row in self._cuts:
            cut = start + self._cuts[row]
            return Pair(self._block[start:cut].decode(), self._block[cut + 1 : end].decode())
        text = self._block[start:end].decode()
        if row in self._turns:
            turns, at = [], 0
            for role, length in self._turns[row]:
                at += len(role) + 2  # the role and ": "
                turns.append((role, text[at : at + length]))
                at += length + 2  # the blank line between turns
            return Conversation(turns)
        return text


class Texts(View[str]):
    """Texts of a store."""

    __slots__ = ("_store",)

    def __init__(self, store: TextStore, rows: Rows | None = None) -> None:
        super().__init__(np.arange(len(store)) if rows is None else rows)
        self._store = store

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """A store of its own with those texts."""
        return cls(TextStore(texts))

    def _at(self, row: int) -> str:
        return self._store.at(row)

    def _like(self, rows: np.ndarray) -> Self:
        return type(self)(self._store, rows)


class Ids(View[str]):
    """Content hashes in hexadecimal, kept as 32 bytes.

    Args:
        digests: uint8 [N, 32].
        copies: int32 [N], 0 for the first text of its content, 1 for its first copy, ...; copies
            of a text have ``-1``, ``-2``, ... after the hash.
        rows: int64 [M].
    """

    __slots__ = ("_copies", "_digests")

    def __init__(self, digests: np.ndarray, copies: np.ndarray, rows: Rows | None = None) -> None:
        super().__init__(np.arange(len(digests)) if rows is None else rows)
        self._digests, self._copies = digests, copies

    def _at(self, row: int) -> str:
        copy = self._copies.item(row)
        text: str = self._digests[row].tobytes().hex()
        return f"{text}-{copy}" if copy else text

    def _like(self, rows: np.ndarray) -> Self:
        return type(self)(self._digests, self._copies, rows)


class RangeStore:
    """For each item, pairs (start, end) of whole numbers, to which more can be added."""

    __slots__ = ("_ends", "_flat")

    def __init__(self) -> None:
        self._flat = array("i")
        self._ends = array("q", [0])

    def add(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Add the pairs of one item."""
        for pair in pairs:
            self._flat.extend(pair)
        self._ends.append(len(self._flat))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def at(self, row: int) -> tuple[tuple[int, int], ...]:
        """The pairs of the item in that row."""
        flat = self._flat[self._ends[row] : self._ends[row + 1]]
        return tuple(zip(flat[::2], flat[1::2], strict=True))


class Ranges(View[Sequence[tuple[int, int]]]):
    """Pairs (start, end) by item, of a store."""

    __slots__ = ("_store",)

    def __init__(self, store: RangeStore, rows: Rows | None = None) -> None:
        super().__init__(np.arange(len(store)) if rows is None else rows)
        self._store = store

    def _at(self, row: int) -> tuple[tuple[int, int], ...]:
        return self._store.at(row)

    def _like(self, rows: np.ndarray) -> Self:
        return type(self)(self._store, rows)


class Interned(Generic[H]):
    """Values of which many are equal: each distinct one once, and a code for every item.

    Attributes:
        distinct: the values, in the order in which they first came.
    """

    __slots__ = ("_codes", "_index", "distinct")

    def __init__(self) -> None:
        self.distinct: list[H] = []
        self._index: dict[H, int] = {}
        self._codes = array("i")

    def add(self, value: H) -> None:
        """Add the value of one more item."""
        code = self._index.get(value)
        if code is None:
            code = self._index[value] = len(self.distinct)
            self.distinct.append(value)
        self._codes.append(code)

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, row: int) -> H:
        return self.distinct[self._codes[row]]

    @property
    def codes(self) -> np.ndarray:
        """int32 [N], indices into `distinct`; a copy."""
        return np.array(self._codes, dtype=np.int32)


def take(items: Sequence[Any], rows: Rows) -> Sequence[Any]:
    """The items at `rows`; a view gives a view, anything else a list."""
    return items.take(rows) if isinstance(items, View) else [items[int(i)] for i in rows]
