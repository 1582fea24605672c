"""The items on which two models disagree most.

How well a model does on an item is its merit, larger is better, in a unit that the kind of item
decides; two models disagree by the difference of their merits. Texts to a prompt have none: of
them nothing is right or wrong.

Legend: N items, K labels or options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.special import log_softmax

from gradus.metrics.base import Items, Predictions
from gradus.metrics.gaps import Gaps
from gradus.metrics.labelsets import LabelSets
from gradus.metrics.numbers import Numbers
from gradus.metrics.options import Options
from gradus.metrics.outcomes import MEAN, Outcomes
from gradus.metrics.replies import Replies
from gradus.metrics.spansets import SpanSets
from gradus.metrics.texts import Texts
from gradus.metrics.token_f1 import TokenF1

UNITS: Final = {
    "label": "probability of the true label",
    "labels": "mean probability of the truth",
    "number": "absolute error",
    "spans": "F1 of the item",
    "text": "nats",
    "option": "probability of the right option",
    "reply": "F1 of the words",
    "outcome": "the first mean",
    "masked": "mean probability of a hidden token",
    "writing": "none",
}
"""What a merit is measured in, by the items' target."""


def merit(items: Items) -> np.ndarray:
    """float64 [N], how well each item is done; larger is better. Units as in `UNITS`."""
    of: Callable[[Items], np.ndarray] = _MERITS[items.target]
    return of(items)


def _of_label(items: Items) -> np.ndarray:
    assert isinstance(items, Predictions)
    if items.log_probs is None:
        return items.right().astype(np.float64)
    return np.asarray(np.exp(items.log_probs[np.arange(len(items)), items.gold]))


def _of_labels(items: Items) -> np.ndarray:
    assert isinstance(items, LabelSets)
    said = np.exp(np.minimum(items.log_probs, 0.0))
    return np.asarray(np.where(items.gold, said, 1 - said).mean(axis=1))


def _of_number(items: Items) -> np.ndarray:
    assert isinstance(items, Numbers)
    return np.asarray(-np.abs(items.gold - items.predicted))


def _of_spans(items: Items) -> np.ndarray:
    assert isinstance(items, SpanSets)
    hits, all_of = (
        of.sum(axis=1) for of in (items.hits, items.gold_counts + items.predicted_counts)
    )
    # A text without spans in which none is found is wholly right.
    return np.where(all_of > 0, 2 * hits / np.maximum(all_of, 1), 1.0)


def _of_text(items: Items) -> np.ndarray:
    assert isinstance(items, Texts)
    return items.nats


def _of_option(items: Items) -> np.ndarray:
    assert isinstance(items, Options)
    scores = np.where(np.isnan(items.nats), -np.inf, items.nats)
    shares = np.exp(log_softmax(scores, axis=1))
    return np.asarray(shares[np.arange(len(items)), items.gold])


def _of_reply(items: Items) -> np.ndarray:
    assert isinstance(items, Replies)
    return TokenF1().per_item(items)


def _of_outcome(items: Items) -> np.ndarray:
    """By the first name that is a mean; where none is, nobody does better than anybody."""
    assert isinstance(items, Outcomes)
    means = [i for i, kind in enumerate(items.aggregations) if kind == MEAN]
    if not means:
        return np.zeros(len(items))
    column = items.values[:, means[0]]
    return np.asarray(-column if items.lower[means[0]] else column)


def _of_masked(items: Items) -> np.ndarray:
    assert isinstance(items, Gaps)
    return np.asarray(np.exp(items.nats / np.maximum(items.tokens, 1)))


_MERITS: Final[dict[str, Callable[[Items], np.ndarray]]] = {
    "label": _of_label,
    "labels": _of_labels,
    "number": _of_number,
    "spans": _of_spans,
    "text": _of_text,
    "option": _of_option,
    "reply": _of_reply,
    "outcome": _of_outcome,
    "masked": _of_masked,
}


def disagreements(first: Items, second: Items, most: int) -> list[tuple[int, float]]:
    """Rows and merit of the first less that of the second, the largest differences first.

    Both have the same N items in the same order; at most `most` rows, none without a difference,
    equal ones in the items' order. None of items without a merit.
    """
    if first.target not in _MERITS:
        return []
    gaps = merit(first) - merit(second)
    gaps = np.where(np.isfinite(gaps), gaps, 0.0)
    order = np.argsort(-np.abs(gaps), kind="stable")[:most]
    return [(int(row), float(gaps[row])) for row in order if gaps[row] != 0]
