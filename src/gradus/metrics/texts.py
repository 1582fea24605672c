"""How probable a language model finds N texts, or the targets within them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np

UNITS = ("tokens", "words", "characters", "bytes")


@dataclass(frozen=True, slots=True)
class Texts(Items):
    """Log-likelihoods of N texts (documents, blocks of one, or targets after a context).

    Counts are those of the text as the benchmark defines its units, whatever the tokenizer; only
    `tokens` is the tokenizer's. One stored total an item is what every unit is converted from.

    Attributes:
        nats: float64 [N], the summed log-likelihood of each, in nats (0 or less).
        tokens: int64 [N], tokens that were scored.
        words: int64 [N], canonical words.
        characters: int64 [N], characters (code points).
        bytes: int64 [N], bytes in UTF-8.
        greedy: bool [N], whether every scored token was the most probable one; None where that
            wasn't asked.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        labels: none.
    """

    target: ClassVar[Target] = "text"

    nats: np.ndarray
    tokens: np.ndarray
    words: np.ndarray
    characters: np.ndarray
    bytes: np.ndarray
    greedy: np.ndarray | None = None
    ids: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.nats)

    def take(self, rows: np.ndarray) -> Texts:
        """See `Items.take`."""
        counts: dict[str, Any] = {name: getattr(self, name)[rows] for name in UNITS}
        greedy = None if self.greedy is None else self.greedy[rows]
        return Texts(nats=self.nats[rows], greedy=greedy, **counts)

    def joined(self, other: Self) -> Texts:
        """See `Items.joined`."""
        import numpy as np

        counts: dict[str, Any] = {
            n: np.concatenate([getattr(self, n), getattr(other, n)]) for n in UNITS
        }
        greedy = None
        if self.greedy is not None and other.greedy is not None:
            greedy = np.concatenate([self.greedy, other.greedy])
        return Texts(nats=np.concatenate([self.nats, other.nats]), greedy=greedy, **counts)

    def relabelled(self, labels: tuple[str, ...]) -> Texts:
        """Themselves: texts have no labels."""
        return self

    def right(self) -> np.ndarray:
        """bool [N], `greedy`; where it wasn't asked, whether a text is likelier than the median.

        The second is what lists of items are sorted by: nats a byte.
        """
        import numpy as np

        if self.greedy is not None:
            return self.greedy
        rate = self.nats / np.maximum(self.bytes, 1)
        found: np.ndarray = rate >= (np.median(rate) if len(rate) else 0.0)
        return found

    def gold_equals(self, other: Texts) -> np.ndarray:
        """bool [N], whether it is the same amount of text: characters and bytes agree."""
        found: np.ndarray = (self.characters == other.characters) & (self.bytes == other.bytes)
        return found

    def to_columns(self) -> dict[str, list[Any]]:
        """``nats``, the counts and, where it was asked, ``greedy``."""
        columns = {name: getattr(self, name).tolist() for name in ("nats", *UNITS)}
        if self.greedy is not None:
            columns["greedy"] = self.greedy.tolist()
        return columns

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Texts:
        """See `Items.from_columns`."""
        import numpy as np

        greedy = columns.get("greedy")
        counts: dict[str, Any] = {name: np.asarray(columns[name], np.int64) for name in UNITS}
        return cls(
            nats=np.asarray(columns["nats"], np.float64),
            greedy=None if greedy is None else np.asarray(greedy, np.bool_),
            ids=ids,
            **counts,
        )

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`: how much text, how likely it is, and its mean probability."""
        import math

        tokens = max(int(self.tokens[row]), 1)
        nats = float(self.nats[row])
        return f"{self.bytes[row]} bytes", f"{nats:.2f} nats", math.exp(nats / tokens)
