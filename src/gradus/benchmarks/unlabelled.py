"""What benchmarks on a corpus share: the items that a split's documents are taken as.

An item is a document. Where a split has few of them, an item is a block of one: so few documents
say nothing about how far another document may lie from them, and the interval is then of these
documents alone, as block bootstraps have it (Künsch 1989).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from gradus.benchmarks.base import Benchmark
from gradus.records import Target

if TYPE_CHECKING:
    from pathlib import Path

    from gradus.data.corpora import Documents
    from gradus.metrics.base import Items
    from gradus.scoring.records import Progress
    from gradus.scoring.text import TextScorer

FEW: Final = 30
"""With fewer documents than these, items are blocks."""
BLOCK: Final = 2000
"""Characters of a block or a few more: one ends where a line or a word does."""
SHOWN: Final = 1000
"""Characters of an item that are kept for readers."""

SLICINGS: Final = ("domain", "language")
"""What results on a corpus are broken down by, where its documents say it."""


@dataclass(frozen=True, slots=True)
class CorpusItems:
    """The N items of a split's D documents.

    Attributes:
        documents: the D documents that are asked about.
        ends: for each document the rising character offsets at which its items end, the last of
            them its length.
        unit: what an item is.
    """

    documents: Documents
    ends: Sequence[Sequence[int]]
    unit: Literal["documents", "blocks"]

    @classmethod
    def of(cls, documents: Documents, sample: int | None = None) -> CorpusItems:
        """The items of the first `sample` documents, which is as good as a random choice."""
        chosen = documents if sample is None else documents[:sample]
        if len(chosen) >= FEW:
            return cls(chosen, [[len(one.text)] for one in chosen], "documents")
        return cls(chosen, [block_ends(one.text, BLOCK) for one in chosen], "blocks")

    def __len__(self) -> int:
        return sum(len(ends) for ends in self.ends)

    @property
    def term(self) -> str:
        """What an item is, as the contract says it."""
        return "documents" if self.unit == "documents" else f"blocks of {BLOCK} characters"

    def spread(self, of: Sequence[Any]) -> list[Any]:
        """One value a document as one an item."""
        return [one for one, ends in zip(of, self.ends, strict=True) for _ in ends]

    def parts(self, row: int) -> list[str]:
        """The texts of document `row`'s items."""
        text = self.documents[row].text
        starts = [0, *self.ends[row]]
        return [text[start:end] for start, end in pairwise(starts)]

    @property
    def ids(self) -> tuple[str, ...]:
        """Each item's document and, for blocks, its number there."""
        found = []
        for row, ends in enumerate(self.ends):
            own = self.documents[row].id
            blocks = self.unit == "blocks"
            found += [f"{own}.{n}" if blocks else own for n in range(len(ends))]
        return tuple(found)

    def shown(self) -> list[str]:
        """The beginning of each item, for a reader."""
        return [part[:SHOWN] for row in range(len(self.ends)) for part in self.parts(row)]

    def members(self) -> dict[str, list[str | None]]:
        """For each slicing that the documents say, the slice of each item."""
        found = {}
        for slicing in SLICINGS:
            own = [getattr(document, slicing) for document in self.documents]
            if any(value is not None for value in own):
                found[slicing] = self.spread(own)
        return found

    def counts(self) -> dict[str, list[int]]:
        """Words (between white space), characters and bytes of each item."""
        found: dict[str, list[int]] = {"words": [], "characters": [], "bytes": []}
        for row in range(len(self.ends)):
            for part in self.parts(row):
                found["words"].append(len(part.split()))
                found["characters"].append(len(part))
                found["bytes"].append(len(part.encode()))
        return found


def block_ends(text: str, size: int) -> list[int]:
    r"""Where the blocks of a text end: after `size` characters, at the next end of line or word.

    An end of line within the next tenth of `size` is taken first, then a space; a text without
    either is cut where it is. What is left at the end joins the last block if it is under half of
    `size`.

    >>> block_ends("ab cd ef gh", 4)
    [6, 11]
    """
    ends: list[int] = []
    start, reach = 0, max(size // 10, 2)
    while len(text) - start >= size + size // 2:
        least = start + size
        window = text[least - 1 : least + reach]
        at = max(window.find("\n"), -1)
        at = window.find(" ") if at < 0 else at
        start = least if at < 0 else least + at
        ends.append(start)
    if not ends or ends[-1] != len(text):
        ends.append(len(text))
    return ends


class CorpusTask(Benchmark):
    """Base of the benchmarks on a split of a corpus.

    Class attributes, beside those of `Benchmark`:
        kind: what is observed, which decides the class of items (`gradus.benchmarks.of`).
        asks: the target of the checkpoints that it can be taken of: ``text`` or ``masked``.
    """

    kind: ClassVar[Target]
    asks: ClassVar[str]

    @classmethod
    @abstractmethod
    def ask(
        cls,
        items: CorpusItems,
        engine: TextScorer,
        *,
        window: int | None,
        stride: int | None,
        journal: Path | None = None,
        progress: Progress | None = None,
    ) -> Items:
        """What the model says of every item; `progress` is told the number of documents done."""

    @classmethod
    @abstractmethod
    def terms(cls, engine: TextScorer, window: int | None, stride: int | None) -> dict[str, str]:
        """What belongs to the numbers' contract beside dtype, back end, tokenizer and items."""

    @classmethod
    def contract(
        cls, items: CorpusItems, engine: TextScorer, window: int | None, stride: int | None
    ) -> dict[str, str]:
        """The whole contract of numbers taken with `engine`."""
        terms = cls.terms(engine, window, stride)
        return {**engine.contract, **terms, "items": items.term}
