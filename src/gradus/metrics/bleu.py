# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""BLEU of a corpus, by the package sacrebleu.

Legend: N items, D weightings. An item's statistics are ten numbers: its length, that of the
reference nearest in length, matched n-grams and n-grams of the orders 1 to 4. The corpus's BLEU is
a function of their sums, so a resample costs one matrix product.
"""

from __future__ import annotations

from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

from gradus.errors import MissingExtra
from gradus.metrics.base import Metric
from gradus.metrics.replies import Replies

if TYPE_CHECKING:
    import numpy as np

ORDERS = 4


def _signature() -> str:
    try:
        version = metadata.version("sacrebleu")
    except metadata.PackageNotFoundError:
        version = "absent"
    return f"case:mixed|eff:no|tok:13a|smooth:exp|version:{version}"


@cache
def _scorer() -> Any:
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise MissingExtra("sacrebleu", "generation", "BLEU") from error
    # The order matters to a sentence's own score alone, which isn't used.
    return BLEU(effective_order=True)


@lru_cache(maxsize=65_536)
def _statistics(reply: str, references: tuple[str, ...]) -> tuple[int, ...]:
    found = _scorer().sentence_score(reply, list(references))
    return (found.sys_len, found.ref_len, *found.counts, *found.totals)


def statistics(replies: Replies) -> np.ndarray:
    """float64 [N, 10], what the corpus's BLEU is made of, as said at the top."""
    import numpy as np

    pairs = zip(replies.texts, replies.references, strict=True)
    rows = [_statistics(text, references) for text, references in pairs]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 2 + 2 * ORDERS)


def bleu(sums: np.ndarray) -> np.ndarray:
    """float64 [D], BLEU of summed statistics [D, 10]; 0 where no n-gram of some order is there.

    Smoothing ``exp`` (Chen and Cherry 2014, method 3; mteval-v13a): the k-th order without a match
    counts as 1 / 2^k matches.
    """
    import numpy as np

    length, wanted = sums[:, 0], sums[:, 1]
    hits, totals = sums[:, 2 : 2 + ORDERS], sums[:, 2 + ORDERS :]
    missed = np.cumsum(hits == 0, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        counted = np.where(hits > 0, hits, 0.5**missed)
        precision = np.log(counted / totals).mean(axis=1)
        penalty = np.where(length < wanted, 1 - wanted / length, 0.0)
        values = 100 * np.exp(np.minimum(penalty, 0.0) + precision)
    none = ~(hits > 0).any(axis=1) | (totals == 0).any(axis=1)
    return np.where(none, 0.0, values)


class Bleu(Metric):
    """BLEU of all replies together, 0 to 100; NaN without items.

    Precisions are pooled over the corpus before they are multiplied: it is no mean over items.
    Tokens are those of mteval-v13a, which doesn't cut Chinese or Japanese into words.
    """

    name = "bleu"
    unit = "points"
    direction = "higher"
    range = (0.0, 100.0)
    source = "Papineni et al. (2002), BLEU; Post (2018), A call for clarity in reporting BLEU"
    summary = "replies: BLEU of the corpus (sacrebleu, 13a), 0 to 100"
    needs = "replies"
    facts = {"signature": _signature()}  # noqa: RUF012  # declared as a ClassVar by the base
    bound = ("format", "decoding")

    def __call__(self, observed: Replies) -> float:
        import numpy as np

        if not len(observed):
            return float("nan")
        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Replies, weights: np.ndarray) -> np.ndarray:
        return bleu(weights @ statistics(predictions))
