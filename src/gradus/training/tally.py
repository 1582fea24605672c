"""What a language model's losses on dev.select come to: by document, so that they have intervals.

Legend: n targets, D documents of all corpora.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gradus.training.blocks import Blocks

LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True)
class Held:
    """The documents of a corpus's dev.select that are examined while training goes on.

    Attributes:
        blocks: they, cut whole.
        bytes: int64 [D], UTF-8 bytes of each.
        kinds: what the curves break down by: name (``domain=plays``) -> bool [D].
    """

    blocks: Blocks
    bytes: np.ndarray
    kinds: Mapping[str, np.ndarray] = field(default_factory=dict)


class Tally:
    """Sums over targets, kept by document.

    A document's end counts in the loss and the perplexity, not in the bits a byte, whose bytes are
    the text's alone.
    """

    def __init__(self, held: Sequence[Held]) -> None:
        self._held = held
        counts = [len(one.blocks.starts) for one in held]
        self._first = np.cumsum([0, *counts])
        size = int(self._first[-1])
        self._nats, self._text, self._hits = np.zeros(size), np.zeros(size), np.zeros(size)
        self._terms = np.zeros(size, dtype=np.int64)

    def add(
        self,
        corpora: np.ndarray,
        places: np.ndarray,
        targets: np.ndarray,
        nats: np.ndarray,
        hits: np.ndarray,
    ) -> None:
        """Count n targets: which corpus each is of, where it stands there, what it is, its loss and
        whether it was the likeliest."""
        for number, one in enumerate(self._held):
            here = corpora == number
            if not here.any():
                continue
            rows = self._first[number] + one.blocks.document_of(places[here])
            text = targets[here] != one.blocks.stream.end
            np.add.at(self._nats, rows, nats[here])
            np.add.at(self._text, rows, nats[here] * text)
            np.add.at(self._hits, rows, hits[here])
            np.add.at(self._terms, rows, 1)

    def values(self, *, causal: bool) -> dict[str, float]:
        """Curve values: ``select_loss`` in nats a token with its interval, and what follows."""
        every = np.ones(len(self._nats), dtype=np.bool_)
        loss, half = _ratio(self._nats, self._terms)
        found = {"select_loss": loss}
        if half is not None:
            found |= {"select_loss_low": loss - half, "select_loss_high": loss + half}
        found["select_token_perplexity"] = math.exp(min(loss, 700.0))
        found |= self._named("", every, causal)
        for number, one in enumerate(self._held):
            for kind, documents in one.kinds.items():
                rows = np.zeros_like(every)
                rows[self._first[number] : self._first[number + 1]] = documents
                if self._terms[rows].sum():
                    found |= self._named(f"{{{kind}}}", rows, causal)
        return found

    def _named(self, kind: str, rows: np.ndarray, causal: bool) -> dict[str, float]:
        if causal:
            size = np.concatenate([one.bytes for one in self._held])[rows].sum()
            bits = self._text[rows].sum() / math.log(2) / max(1, size)
            return {f"select_bits_per_byte{kind}": float(bits)}
        return {f"select_accuracy{kind}": float(self._hits[rows].sum() / self._terms[rows].sum())}


def _ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float | None]:
    """One sum over another, and half the width of its interval.

    Student's t with the standard error of the linearised ratio (Cochran 1977, section 6.4) over
    documents that count; None for fewer than two. Curves are progress; what is measured afterwards
    has the wider interval of `gradus.stats.ratios`.
    """
    from scipy import stats

    counted = below > 0
    above, below = above[counted], below[counted].astype(np.float64)
    n, whole = len(below), float(below.sum())
    ratio = float(above.sum() / whole)
    if n < 2:
        return ratio, None
    off = above - ratio * below
    error = math.sqrt(float((off**2).sum()) * n / (n - 1)) / whole
    return ratio, float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
