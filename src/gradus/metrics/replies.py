"""What a language model writes in answer to N prompts, beside what people wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.metrics.base import Items
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Replies(Items):
    """Texts written for N prompts.

    Attributes:
        texts: N texts, as written, stop strings cut off.
        references: N tuples of at least one text that would be right.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        labels: none.
        nats: float64 [N], log-likelihoods of the first references; None where nobody asked.
    """

    target: ClassVar[Target] = "reply"

    texts: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    ids: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    nats: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Replies:
        """See `Items.take`."""
        return Replies(
            tuple(self.texts[i] for i in rows),
            tuple(self.references[i] for i in rows),
            nats=None if self.nats is None else self.nats[rows],
        )

    def joined(self, other: Self) -> Replies:
        """See `Items.joined`."""
        import numpy as np

        nats = None
        if self.nats is not None and other.nats is not None:
            nats = np.concatenate([self.nats, other.nats])
        return Replies(self.texts + other.texts, self.references + other.references, nats=nats)

    def relabelled(self, labels: tuple[str, ...]) -> Replies:
        """Themselves: replies have no labels."""
        return self

    def right(self) -> np.ndarray:
        """bool [N], whether a reply is one of its references, spaces around it aside."""
        import numpy as np

        return np.array(
            [
                text.strip() in {reference.strip() for reference in references}
                for text, references in zip(self.texts, self.references, strict=True)
            ],
            dtype=np.bool_,
        )

    def gold_equals(self, other: Replies) -> np.ndarray:
        """See `Items.gold_equals`."""
        import numpy as np

        pairs = zip(self.references, other.references, strict=True)
        return np.array([one == two for one, two in pairs], dtype=np.bool_)

    def to_columns(self) -> dict[str, list[Any]]:
        """``reply``, ``references`` and, where they are known, ``nats``."""
        nats = {} if self.nats is None else {"nats": self.nats.tolist()}
        return {
            "reply": list(self.texts),
            "references": [list(r) for r in self.references],
            **nats,
        }

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Replies:
        """See `Items.from_columns`."""
        import numpy as np

        return cls(
            tuple(columns["reply"]),
            tuple(tuple(r) for r in columns["references"]),
            ids,
            nats=np.array(columns["nats"], dtype=np.float64) if "nats" in columns else None,
        )

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`; replies come without a probability."""
        return self.references[row][0], self.texts[row], None
