"""The parts of a data set side by side, as an audit looks at them, without a copy of any text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradus.data.audit.shingles import as_text

if TYPE_CHECKING:
    from gradus.data.dataset import Dataset

FEWEST_CUT: Final = 5
_WORD: Final = re.compile(r"[^\W_]")


@dataclass(frozen=True, slots=True)
class Part:
    """A split, or a sample of real use: N texts.

    Attributes:
        name: of the split; ``dev`` where its halves are joined.
        texts: N texts or tuples of texts.
        labels: int64 [N], indices into the data set's labels; None where labels are no classes.
    """

    name: str
    texts: Sequence[Any]
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.texts)

    def lengths(self) -> np.ndarray:
        """int64 [N]: characters of each text."""
        return np.fromiter((len(as_text(item)) for item in self.texts), np.int64, len(self))


class Joined(Sequence[Any]):
    """The texts of several parts, one part after the other; nothing is copied."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._begins = np.concatenate([[0], np.cumsum([len(part) for part in parts])])

    def __len__(self) -> int:
        return int(self._begins[-1])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        part = int(np.searchsorted(self._begins, index, side="right")) - 1
        return self._parts[part].texts[int(index - self._begins[part])]

    def __iter__(self) -> Iterator[Any]:
        for part in self._parts:
            yield from part.texts


def parts_of(dataset: Dataset) -> list[Part]:
    """The splits in the order in which they are used; joined halves of dev are one part."""
    found: dict[int, Part] = {}
    whole = getattr(dataset, "target", "label") == "label" and len(dataset.labels) > 0
    for name, split in dataset.splits.items():
        if id(split) in found:
            found[id(split)] = Part("dev", split.texts, found[id(split)].labels)
            continue
        kinds = np.asarray(split.labels)
        classes = whole and kinds.ndim == 1 and np.issubdtype(kinds.dtype, np.integer)
        found[id(split)] = Part(name, split.texts, kinds if classes else None)
    return list(found.values())


def count_empty(parts: Sequence[Part]) -> int:
    """How many texts hold neither a letter nor a digit."""
    return sum(_WORD.search(as_text(item)) is None for part in parts for item in part.texts)


def count_cut(lengths: np.ndarray) -> int:
    """How many texts look cut off: those exactly as long as the longest, if they are five or more.

    Texts that a tool before this one has cut at a number of characters pile up at that number.
    """
    if not len(lengths):
        return 0
    longest = int(np.count_nonzero(lengths == lengths.max()))
    return longest if longest >= FEWEST_CUT else 0
