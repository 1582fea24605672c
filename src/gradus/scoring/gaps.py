"""Gaps in texts, filled by a masked language model.

Legend: N texts, T tokens of a window, G gaps of it, V vocabulary.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gradus.errors import UsageError
from gradus.scoring.journal import answered
from gradus.scoring.records import Progress
from gradus.scoring.seam import encode_bare

if TYPE_CHECKING:
    from gradus.scoring.text import TextScorer

STRETCH = 256
"""Texts whose windows are held at a time."""


class Filled(NamedTuple):
    """How a text's gaps were filled.

    Attributes:
        nats: summed log-likelihood of the hidden tokens, 0 or less.
        tokens: how many they are.
        correct: at how many of them the hidden token was the most probable one.
    """

    nats: float
    tokens: int
    correct: int


class Gapped(NamedTuple):
    """One window of a text.

    Attributes:
        text: which text it is of.
        ids: int64 [T], the tokens as they are, those around the window included.
        gaps: int64 [G], rising places of those that are hidden.
    """

    text: int
    ids: np.ndarray
    gaps: np.ndarray


def fill_all(
    engine: TextScorer,
    texts: Iterable[str],
    names: Sequence[str],
    *,
    window: int,
    share: float,
    journal: Path | None = None,
    progress: Progress | None = None,
) -> list[Filled]:
    """What is said of the gaps in each of N texts, in their order.

    Args:
        engine: a masked language model.
        texts: N texts, taken one after the other.
        names: what each is called in the journal.
        window: most tokens in one pass, those that the tokenizer adds included.
        share: of a window's own tokens, how many are hidden; at least one is.
        journal: a JSONL file; what stands there isn't asked again.
        progress: called with the number of texts done.

    Raises:
        UsageError: a causal model, or a window without room for a token.
    """
    masked = engine.masked
    cut = Cutter(engine.tokenizer, window, share)

    def ask(places: Sequence[int]) -> Iterator[tuple[int, Filled]]:
        held: list[tuple[int, str]] = []
        wanted = set(places)
        for place, text in enumerate(texts):
            if place in wanted:
                held.append((place, text))
            if len(held) == STRETCH:
                yield from _filled(masked, cut, held)
                held = []
        yield from _filled(masked, cut, held)

    settings = [window, share]
    found = answered(
        "gaps",
        engine.identity,
        [[name, *settings] for name in names],
        ask,
        journal=journal,
        progress=progress,
    )
    return [Filled(*one) for one in found]


def _filled(
    masked: Any, cut: Cutter, held: Sequence[tuple[int, str]]
) -> Iterator[tuple[int, Filled]]:
    """Place and answer of each text that is held."""
    windows = list(cut([text for _, text in held]))
    sums = np.zeros((len(held), 3))
    for number, nats, right in masked.fill([(one.ids, one.gaps) for one in windows]):
        sums[windows[number].text] += (nats.sum(), len(nats), right.sum())
    for (place, _), (nats, tokens, right) in zip(held, sums.tolist(), strict=True):
        yield place, Filled(nats, int(tokens), int(right))


class Cutter:
    """Cuts texts into windows and chooses their gaps."""

    def __init__(self, tokenizer: Any, window: int, share: float) -> None:
        """Find what the tokenizer puts around a text.

        Raises:
            UsageError: the window has no room for a token of a text.
        """
        coded = tokenizer("a", return_special_tokens_mask=True, return_attention_mask=False)
        ids, own = coded["input_ids"], np.flatnonzero(np.array(coded["special_tokens_mask"]) == 0)
        first, last = (int(own[0]), int(own[-1]) + 1) if len(own) else (len(ids), len(ids))
        self._before, self._after = list(ids[:first]), list(ids[last:])
        self._room = window - len(self._before) - len(self._after)
        if self._room < 1:
            raise UsageError(f"a window of {window} tokens has no room for one of the text")
        self._tokenizer, self._share = tokenizer, share

    def __call__(self, texts: Sequence[str]) -> Iterator[Gapped]:
        """The windows of every text; a text without tokens has none."""
        for text, row in enumerate(encode_bare(self._tokenizer, texts)):
            for start in range(0, len(row), self._room):
                own = row[start : start + self._room]
                ids = np.array([*self._before, *own, *self._after], dtype=np.int64)
                yield Gapped(text, ids, len(self._before) + gaps(own, self._share))


def gaps(ids: Sequence[int], share: float) -> np.ndarray:
    """Which of T tokens are hidden: rising places, int64 [G], that follow from the tokens alone.

    >>> gaps([5, 6, 7, 8, 9, 10, 11], 0.15).tolist() == gaps([5, 6, 7, 8, 9, 10, 11], 0.15).tolist()
    True
    """
    digest = hashlib.sha256(np.array(ids, dtype="<i8").tobytes()).digest()
    draw = np.random.Generator(np.random.PCG64(int.from_bytes(digest, "little")))
    count = max(1, round(share * len(ids)))
    return np.sort(draw.choice(len(ids), size=count, replace=False)).astype(np.int64)
