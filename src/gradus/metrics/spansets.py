"""Spans predicted in texts, and the counts that their metrics are made of.

Legend: N items, K span types, D weightings; `hits` are the spans of a type that are both true and
predicted, start, end and type alike, `gold` the true ones, `predicted` the predicted ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from gradus.metrics.base import Items, Metric
from gradus.metrics.counts import Counts, ratio
from gradus.records import Span, Target

if TYPE_CHECKING:
    import numpy as np

Spans = tuple[Span, ...]
OTHER_EXTENT: Final = "other extent"
NO_SPAN: Final = "no span"


@dataclass(frozen=True, slots=True)
class SpanSets(Items):
    """The spans of N texts: what they hold and what was found.

    Attributes:
        gold: N tuples of spans.
        predicted: N tuples of spans.
        hits, gold_counts, predicted_counts: float64 [N, K].
        labels: the K span types.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        texts: N texts, for readers; () where they aren't at hand.
    """

    target: ClassVar[Target] = "spans"
    gold: tuple[Spans, ...]
    predicted: tuple[Spans, ...]
    hits: np.ndarray
    gold_counts: np.ndarray
    predicted_counts: np.ndarray
    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        gold: Sequence[Spans],
        predicted: Sequence[Spans],
        labels: Sequence[str],
        ids: Sequence[str] = (),
        texts: Sequence[str] = (),
    ) -> SpanSets:
        """Count the spans; a predicted type that isn't among the labels is counted nowhere.

        A span that is predicted twice counts once.
        """
        index = {label: k for k, label in enumerate(labels)}
        kept = [tuple(s for s in of if s.label in index) for of in predicted]
        both = [tuple(set(a) & set(b)) for a, b in zip(gold, kept, strict=True)]
        return cls(
            gold=tuple(tuple(of) for of in gold),
            predicted=tuple(kept),
            hits=_counted(both, index),
            gold_counts=_counted(gold, index),
            predicted_counts=_counted([tuple(set(of)) for of in kept], index),
            labels=tuple(labels),
            ids=tuple(ids),
            texts=tuple(texts),
        )

    def __len__(self) -> int:
        return len(self.gold)

    def counts(self, weights: np.ndarray | None = None) -> Counts:
        """Counts [K] of all items, or [D, K] under weights [D, N]."""
        parts = (self.hits, self.gold_counts, self.predicted_counts)
        if weights is None:
            return Counts(*(part.sum(axis=0) for part in parts))
        return Counts(*(weights @ part for part in parts))

    def take(self, rows: np.ndarray) -> SpanSets:
        """See `Items.take`."""
        order = rows.tolist()
        return SpanSets(
            gold=tuple(self.gold[i] for i in order),
            predicted=tuple(self.predicted[i] for i in order),
            hits=self.hits[rows],
            gold_counts=self.gold_counts[rows],
            predicted_counts=self.predicted_counts[rows],
            labels=self.labels,
            texts=tuple(self.texts[i] for i in order) if self.texts else (),
        )

    def joined(self, other: Self) -> SpanSets:
        """See `Items.joined`."""
        import numpy as np

        return SpanSets(
            gold=self.gold + other.gold,
            predicted=self.predicted + other.predicted,
            hits=np.concatenate([self.hits, other.hits]),
            gold_counts=np.concatenate([self.gold_counts, other.gold_counts]),
            predicted_counts=np.concatenate([self.predicted_counts, other.predicted_counts]),
            labels=self.labels,
        )

    def relabelled(self, labels: tuple[str, ...]) -> SpanSets:
        """See `Items.relabelled`."""
        order = [self.labels.index(label) for label in labels]
        return SpanSets(
            gold=self.gold,
            predicted=self.predicted,
            hits=self.hits[:, order],
            gold_counts=self.gold_counts[:, order],
            predicted_counts=self.predicted_counts[:, order],
            labels=labels,
            ids=self.ids,
            texts=self.texts,
        )

    def right(self) -> np.ndarray:
        """bool [N]: all spans found and no other."""
        missed = self.gold_counts - self.hits
        invented = self.predicted_counts - self.hits
        found: np.ndarray = (missed + invented).sum(axis=1) == 0
        return found

    def gold_equals(self, other: Self) -> np.ndarray:
        """See `Items.gold_equals`."""
        import numpy as np

        return np.array(
            [set(a) == set(b) for a, b in zip(self.gold, other.gold, strict=True)], dtype=bool
        )

    def to_columns(self) -> dict[str, list[Any]]:
        """``gold`` and ``predicted``: lists of start, end, label, the predicted with score."""
        return {
            "gold": [[_plain(s, scored=False) for s in of] for of in self.gold],
            "predicted": [[_plain(s, scored=True) for s in of] for of in self.predicted],
        }

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> SpanSets:
        """See `Items.from_columns`."""
        gold, predicted = ([_spans(of) for of in columns[name]] for name in ("gold", "predicted"))
        return cls.of(gold, predicted, labels, ids, columns.get("text", ()))

    def confused(self) -> Counter[tuple[str, str]]:
        """What true spans that were not found were taken for, and how often.

        A pair of types has the same extent on both sides. A span of the right type that overlaps
        the true one is ``TYPE, other extent``; what stands alone on its side faces ``no span``.
        """
        found: Counter[tuple[str, str]] = Counter()
        for gold, predicted in zip(self.gold, self.predicted, strict=True):
            found.update(_errors(set(gold) - set(predicted), set(predicted) - set(gold)))
        return found

    def described(self, row: int) -> tuple[str, str, float | None]:
        """The spans that differ, or all where none does, and how probable the predicted ones are.

        The probability is the product of the scores of what was predicted, None without scores.
        """
        gold, predicted = self.gold[row], self.predicted[row]
        text = self.texts[row] if self.texts else None
        missed = [s for s in gold if s not in set(predicted)]
        invented = [s for s in predicted if s not in set(gold)]
        differs = bool(missed or invented)
        scores = [s.score for s in predicted if s.score is not None]
        return (
            _said(missed if differs else gold, text),
            _said(invented if differs else predicted, text),
            math.prod(scores) if scores and len(scores) == len(predicted) else None,
        )


def _errors(missed: set[Span], invented: set[Span]) -> list[tuple[str, str]]:
    """The pairs of `SpanSets.confused` in one text."""
    pairs, left = [], sorted(invented)
    for span in sorted(missed):
        alike = [s for s in left if (s.start, s.end) == (span.start, span.end)]
        touching = [
            s for s in left if s.label == span.label and s.start < span.end and span.start < s.end
        ]
        if alike:
            pairs.append((span.label, alike[0].label))
        elif touching:
            pairs.append((span.label, f"{span.label}, {OTHER_EXTENT}"))
        else:
            pairs.append((span.label, NO_SPAN))
        if alike or touching:
            left.remove((alike or touching)[0])
    return [*pairs, *((NO_SPAN, span.label) for span in left)]


def _counted(spans: Sequence[Spans], index: Mapping[str, int]) -> np.ndarray:
    """float64 [N, K]: spans by type."""
    import numpy as np

    rows = [i for i, of in enumerate(spans) for _ in of]
    kinds = [index[s.label] for of in spans for s in of]
    counts = np.zeros((len(spans), len(index)))
    np.add.at(counts, (np.array(rows, dtype=np.int64), np.array(kinds, dtype=np.int64)), 1.0)
    return counts


def _plain(span: Span, *, scored: bool) -> dict[str, Any]:
    plain: dict[str, Any] = {"start": span.start, "end": span.end, "label": span.label}
    return {**plain, "score": span.score} if scored else plain


def _spans(plain: Sequence[Mapping[str, Any]] | None) -> Spans:
    return tuple(
        Span(int(s["start"]), int(s["end"]), str(s["label"]), s.get("score")) for s in plain or ()
    )


def _said(spans: Sequence[Span], text: str | None) -> str:
    def one(span: Span) -> str:
        where = f"{span.start}-{span.end}" if text is None else text[span.start : span.end]
        return f"{where} [{span.label}]"

    return ", ".join(one(span) for span in spans) or "none"


class SpanMetric(Metric):
    """A function of the counts of all types together, or of one: ``span_f1``, ``span_f1[PER]``.

    A span counts as found when start, end and type are right, as in the CoNLL shared tasks (Tjong
    Kim Sang and De Meulder 2003; the script conlleval). Undefined values are NaN, where conlleval
    prints 0. Intervals come from resampling whole texts, as the spans of a text aren't independent.
    """

    unit = "proportion"
    direction = "higher"
    range = (0.0, 1.0)
    source = "Tjong Kim Sang and De Meulder (2003), CoNLL-2003 shared task; conlleval"
    needs = "spans"
    per_label = True
    overall = True

    def trials(self, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """[...] spans that hits are counted against: the value is hits / trials."""
        raise NotImplementedError

    def of_counts(self, hits: np.ndarray, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        """The values [...] of counts [...]; NaN where undefined."""
        return ratio(hits, self.trials(gold, predicted))

    def _value(self, counts: Counts) -> np.ndarray:
        parts = (counts.hits, counts.gold, counts.predicted)
        if self.label is not None:
            return self.of_counts(*(part[..., self.label] for part in parts))
        return self.of_counts(*(part.sum(axis=-1) for part in parts))

    def __call__(self, observed: SpanSets) -> float:
        """The value on all items."""
        return float(self._value(observed.counts()))

    def weighted(self, predictions: SpanSets, weights: np.ndarray) -> np.ndarray:
        """See `Metric.weighted`."""
        return self._value(predictions.counts(weights))

    def by_text(self, items: SpanSets) -> tuple[np.ndarray, np.ndarray]:
        """Hits and trials of each text, float64 [N] each."""
        parts = (items.hits, items.gold_counts, items.predicted_counts)
        if self.label is not None:
            hits, gold, predicted = (part[:, self.label] for part in parts)
        else:
            hits, gold, predicted = (part.sum(axis=1) for part in parts)
        return hits, self.trials(gold, predicted)
