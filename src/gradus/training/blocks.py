"""A tokenised corpus cut into blocks, and batches of blocks.

The corpus is one stream: each document's tokens, behind each the token that ends a document where
the tokenizer has one. A causal model is also shown that token before the first document, so that
every token of a document is predicted from something.

Legend: T tokens of a batch, n tokens of a block, N blocks, D documents.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Protocol

import numpy as np
import torch

from gradus.errors import TrainingError
from gradus.training.masking import Masking
from gradus.training.packing import Batch, Layout

NONE: Final = -100
"""The target where nothing is predicted."""
FEW: Final = 20
"""A corpus of fewer blocks is cut so that none is left over."""


class Stream(Protocol):
    """Tokens of a corpus; `gradus.data.corpora.Shards` is one.

    Attributes:
        total: number of tokens, those between documents counted.
        lengths: int64 [D], of each document with its end.
        end: the token behind each document; None where there is none.
    """

    @property
    def total(self) -> int: ...  # noqa: D102  # said above

    @property
    def lengths(self) -> np.ndarray: ...  # noqa: D102  # said above

    @property
    def end(self) -> int | None: ...  # noqa: D102  # said above

    def ids(self, start: int, stop: int) -> np.ndarray:
        """Tokens `start` to `stop` of the stream."""
        ...


@dataclass(frozen=True, slots=True)
class LanguageBatch(Batch):
    """A batch with what is to be predicted at each of its tokens.

    Attributes:
        targets: int64 [T], `NONE` where nothing is.
        places: int64 [T], where in the stream the target stands.
        owners: int64 [T], which of `rows`, by its place there, a token belongs to.
    """

    targets: torch.Tensor = field(kw_only=True)
    places: np.ndarray = field(kw_only=True)
    owners: np.ndarray = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens that see one another: int64 [n] each."""

    ids: np.ndarray
    targets: np.ndarray
    places: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutting:
    """How a stream is cut.

    Attributes:
        apart: whether a document sees nothing of another.
        seed: of where the cuts are and what is drawn.
        whole: for evaluation: cut always alike, and what is left over is a shorter block. For
            training all blocks are equally long, and each epoch is cut in other places.
        documents: only so many, from the first; None for all.
    """

    apart: bool = False
    seed: int = 0
    whole: bool = False
    documents: int | None = None


class Blocks(ABC):
    """N blocks of a stream; the protocol of what a training stage reads.

    Attributes:
        stream: the corpus.
        size: tokens of a block.
        lengths: int64 [N].
        keys: none; a block has no digest of its own.
    """

    keys: tuple[str, ...] = ()

    def __init__(self, stream: Stream, size: int, how: Cutting, *, room: int, lead: int) -> None:
        """Cut `stream` into blocks of `size` tokens, of which `room` are the stream's own.

        `lead` tokens of the stream stand before the first that is cut.

        Raises:
            TrainingError: there is nothing to cut.
        """
        self.stream, self.size, self.how, self._room = stream, size, how, room
        begins = np.cumsum(stream.lengths) - stream.lengths
        self.starts: np.ndarray = begins[: how.documents]
        total = stream.total if len(self.starts) == len(begins) else int(begins[len(self.starts)])
        usable = total - lead
        if usable < 1:
            raise TrainingError("the corpus has no tokens to train on")
        count, rest = divmod(usable, room)
        if how.whole or not count:
            lengths = [room] * count + [rest] * bool(rest)
            self._slack = 0
        else:
            # One block fewer, where that is little, leaves room for other cuts in each epoch.
            spare = count > FEW
            lengths = [room] * (count - spare)
            self._slack = min(rest + room * spare, room - 1)
        self.usable = usable
        self._epoch, self._shift = 0, 0
        self.lengths = np.array(lengths, dtype=np.int64) + (size - room)
        self.begin_epoch(0)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def total(self) -> int:
        """Tokens in all blocks."""
        return int(self.lengths.sum())

    def begin_epoch(self, epoch: int) -> None:
        """Move the cuts to where this epoch has them, and draw what is drawn anew."""
        self._epoch = epoch
        if not self.how.whole and self._slack:
            draw = np.random.Generator(np.random.PCG64([self.how.seed, epoch]))
            self._shift = int(draw.integers(self._slack + 1))

    def batch(self, rows: Sequence[int] | np.ndarray) -> LanguageBatch:
        """The blocks `rows`: in their order where each is of a piece, else parts by length."""
        given = np.asarray(rows, dtype=np.int64)
        return assemble(given, [self.segments(int(row)) for row in given])

    def segments(self, row: int) -> list[Segment]:
        """What sees one another in a block: all of it, or each document's part."""
        start = self._shift + row * self._room
        stop = min(start + self._room, self._shift + self.usable)
        cuts = [start, *self._cuts(start, stop), stop]
        rng = np.random.Generator(np.random.PCG64([self.how.seed, self._epoch, row]))
        found = [self._segment(low, high, rng) for low, high in pairwise(cuts) if high > low]
        return [part for part in found if len(part.ids)]

    def _cuts(self, start: int, stop: int) -> list[int]:
        """Where documents begin inside a block, when they are kept apart."""
        if not self.how.apart:
            return []
        low, high = np.searchsorted(self.starts, [start + 1, stop])
        return [int(place) for place in self.starts[low:high]]

    def document_of(self, places: np.ndarray) -> np.ndarray:
        """int64, the document that each place of the stream belongs to; an end to its own."""
        return np.searchsorted(self.starts, places, side="right") - 1

    @abstractmethod
    def _segment(self, start: int, stop: int, rng: np.random.Generator) -> Segment:
        """The tokens from `start` to `stop` of what is cut, with their targets."""


class CausalBlocks(Blocks):
    """Every token is predicted from those before it in its block."""

    def __init__(self, stream: Stream, size: int, how: Cutting) -> None:
        """As `Blocks`; a stream without ends loses its first target, for want of a token before."""
        self._lead = int(stream.end is None)
        super().__init__(stream, size, how, room=size, lead=self._lead)

    def _cuts(self, start: int, stop: int) -> list[int]:
        # Cuts are counted in targets, and the first target lies `lead` into the stream.
        return [
            place - self._lead for place in super()._cuts(start + self._lead, stop + self._lead)
        ]

    def _segment(self, start: int, stop: int, rng: np.random.Generator) -> Segment:
        first = start + self._lead
        stretch = self.stream.ids(max(first - 1, 0), stop + self._lead).astype(np.int64)
        if first == 0:
            assert self.stream.end is not None
            stretch = np.concatenate([[self.stream.end], stretch])
        places = np.arange(first, stop + self._lead)
        targets = stretch[1:].copy()
        if self.how.apart and self.stream.end is None:
            # The last token of one document says nothing of the next one's first.
            targets[np.isin(places, self.starts)] = NONE
        return Segment(stretch[:-1], targets, places)


class MaskedBlocks(Blocks):
    """Some tokens are hidden, and filled in from both sides.

    Each stretch of text stands between the tokenizer's tokens for that, as it will in fine-tuning.
    """

    def __init__(
        self,
        stream: Stream,
        size: int,
        how: Cutting,
        *,
        masking: Masking,
        around: tuple[int | None, int | None],
    ) -> None:
        """As `Blocks`; `around` are the tokens before and after a text, None where there is none.

        Raises:
            TrainingError: a block has no room for text.
        """
        self._masking = masking
        self._front, self._back = (
            np.array([] if token is None else [token], dtype=np.int64) for token in around
        )
        edges = len(self._front) + len(self._back)
        if size <= edges:
            raise TrainingError(f"block is {size}, of which {edges} are special: raise it")
        super().__init__(stream, size, how, room=size - edges, lead=0)

    def _segment(self, start: int, stop: int, rng: np.random.Generator) -> Segment:
        text = self.stream.ids(start, stop).astype(np.int64)
        places = np.arange(start, stop)
        if self.how.apart and self.stream.end is not None:
            own = text != self.stream.end
            text, places = text[own], places[own]
            if not len(text):
                return Segment(text, text, places)
        seen, chosen = self._masking.draw(text, rng)
        front, back = self._front, self._back
        nothing = [np.full(len(edge), NONE) for edge in (front, back)]
        before, after = (np.full(len(edge), -1) for edge in (front, back))
        return Segment(
            np.concatenate([front, seen, back]),
            np.concatenate([nothing[0], np.where(chosen, text, NONE), nothing[1]]),
            np.concatenate([before, places, after]),
        )


def assemble(rows: np.ndarray, blocks: Sequence[Sequence[Segment]]) -> LanguageBatch:
    """The segments of `blocks` end to end, those of one length beside one another."""
    parts = [part for block in blocks for part in block]
    owners = np.repeat(np.arange(len(blocks)), [len(block) for block in blocks])
    lengths = np.array([len(part.ids) for part in parts], dtype=np.int64)
    order = np.argsort(lengths, kind="stable")
    ordered = [parts[i] for i in order]
    return LanguageBatch(
        rows=rows,
        layout=Layout.of(lengths[order].tolist()),
        ids=torch.from_numpy(np.concatenate([part.ids for part in ordered])),
        targets=torch.from_numpy(np.concatenate([part.targets for part in ordered])),
        places=np.concatenate([part.places for part in ordered]),
        owners=np.repeat(owners[order], lengths[order]),
    )


class Joined:
    """Blocks of several corpora, one corpus after the other.

    Attributes:
        parts: each corpus's blocks.
        lengths: int64 [N].
    """

    keys: tuple[str, ...] = ()

    def __init__(self, parts: Sequence[Blocks]) -> None:
        self.parts = tuple(parts)
        counts = [len(part) for part in parts]
        self._part = np.repeat(np.arange(len(parts)), counts)
        self._row = np.concatenate([np.arange(count) for count in counts])
        self.lengths = np.concatenate([part.lengths for part in parts])

    def __len__(self) -> int:
        return len(self._part)

    @property
    def total(self) -> int:
        """Tokens of all blocks."""
        return int(self.lengths.sum())

    def part_of(self, rows: np.ndarray) -> np.ndarray:
        """int64, which corpus each of `rows` is of."""
        found: np.ndarray = self._part[rows]
        return found

    def batch(self, rows: Sequence[int] | np.ndarray) -> LanguageBatch:
        """The blocks `rows`."""
        given = np.asarray(rows, dtype=np.int64)
        pairs = zip(self._part[given], self._row[given], strict=True)
        return assemble(given, [self.parts[part].segments(int(row)) for part, row in pairs])


class Mixture(Joined):
    """Blocks of several corpora, each with its share of every epoch; what training reads.

    An epoch has as many blocks as the corpora together. A corpus is gone through in passes of its
    own, each shuffled; one that is asked for more than it has in an epoch begins its next pass.
    """

    def __init__(self, parts: Sequence[Blocks], weights: Sequence[float], seed: int) -> None:
        """`weights` are the shares, in any unit."""
        super().__init__(parts)
        self._seed, self._epoch = seed, 0
        self.quotas = _rounded(np.asarray(weights, dtype=np.float64), len(self))
        self._part = np.repeat(np.arange(len(parts)), self.quotas)
        # In training all blocks of a corpus are equally long.
        self.lengths = np.repeat([part.lengths[0] for part in parts], self.quotas)
        self.begin_epoch(0)

    @property
    def epoch(self) -> int:
        """The epoch under way."""
        return self._epoch

    def begin_epoch(self, epoch: int) -> None:
        """Settle which blocks this epoch has, and where they are cut."""
        self._epoch, rows = epoch, []
        for number, (part, quota) in enumerate(zip(self.parts, self.quotas.tolist(), strict=True)):
            part.begin_epoch(epoch)
            first, last = epoch * quota, (epoch + 1) * quota
            passes = range(first // len(part), -(-last // len(part)))
            order = [np.array([], dtype=np.int64), *(self._pass(number, each) for each in passes)]
            offset = first - passes.start * len(part)
            rows.append(np.concatenate(order)[offset : offset + quota])
        self._row = np.concatenate(rows)

    def _pass(self, part: int, number: int) -> np.ndarray:
        draw = np.random.Generator(np.random.PCG64([self._seed, part, number]))
        return draw.permutation(len(self.parts[part]))


def _rounded(weights: np.ndarray, total: int) -> np.ndarray:
    """int64, `total` shared out by `weights`: what is left over goes to the largest remainders."""
    exact = weights / weights.sum() * total
    found: np.ndarray = np.floor(exact).astype(np.int64)
    short = total - int(found.sum())
    found[np.argsort(-(exact - found), kind="stable")[:short]] += 1
    return found
