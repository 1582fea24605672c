"""What a metric is: a pure function from observations to a number that says what it means.

Legend: N items, K labels, R repeats.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np

Direction = Literal["higher", "lower"]
Interval = Literal["wilson", "bootstrap", "order statistic", "none"]


class Items(ABC):
    """What was predicted on N items, beside what is true of them; one class a target.

    Attributes:
        target: what the items are labelled with.
        labels: the K labels, in index order; none for numbers.
        ids: N content hashes (hex), which pair the items of two checkpoints; () for resamples.
    """

    __slots__ = ()
    target: ClassVar[Target]
    labels: tuple[str, ...]
    ids: tuple[str, ...]

    @abstractmethod
    def __len__(self) -> int:
        """N."""

    @abstractmethod
    def take(self, rows: np.ndarray) -> Self:
        """The items at `rows` (int [M], repeats allowed), without ids: what a bootstrap draws."""

    @abstractmethod
    def joined(self, other: Self) -> Self:
        """The items of both, one after the other, without ids."""

    @abstractmethod
    def relabelled(self, labels: tuple[str, ...]) -> Self:
        """The same items with the same labels in another order."""

    @abstractmethod
    def right(self) -> np.ndarray:
        """bool [N], whether an item is wholly right; for numbers, nearer than the usual error."""

    @abstractmethod
    def gold_equals(self, other: Self) -> np.ndarray:
        """bool [N], whether what is true of an item is the same on both sides."""

    def groups(self) -> np.ndarray | None:
        """int64 [N], which items a bootstrap draws together, from 0; None: each by itself.

        Only of items with ids; resamples have been drawn.
        """
        return None

    @abstractmethod
    def to_columns(self) -> dict[str, list[Any]]:
        """Columns of N JSON-like values each, for an item file."""

    @classmethod
    @abstractmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Self:
        """The items that `to_columns` wrote."""

    @abstractmethod
    def described(self, row: int) -> tuple[str, str, float | None]:
        """What is true of an item, what was predicted, and how probable that was, for a reader."""


@dataclass(frozen=True, slots=True)
class Predictions(Items):
    """One label predicted for each of N items.

    Attributes:
        gold: int64 [N], the true label's index.
        predicted: int64 [N], the predicted label's index.
        log_probs: float64 [N, K] natural logarithms, or None.
        labels: the K labels, in index order.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        parent_log_probs: float64 [N, K] of the parent on the same items; for parity only.
        answered: bool [N], where it didn't abstain; None where it never does.
        confidence: float64 [N], what items are ranked by where that isn't the probability of the
            predicted label; only while two ways of ranking are compared, never kept.
    """

    target: ClassVar[Target] = "label"
    gold: np.ndarray
    predicted: np.ndarray
    log_probs: np.ndarray | None
    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()
    parent_log_probs: np.ndarray | None = None
    answered: np.ndarray | None = None
    confidence: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.gold)

    def take(self, rows: np.ndarray) -> Predictions:
        """See `Items.take`."""

        def at(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[rows]

        return Predictions(
            gold=self.gold[rows],
            predicted=self.predicted[rows],
            log_probs=at(self.log_probs),
            labels=self.labels,
            parent_log_probs=at(self.parent_log_probs),
            answered=at(self.answered),
            confidence=at(self.confidence),
        )

    def joined(self, other: Self) -> Predictions:
        """See `Items.joined`."""
        import numpy as np

        def join(one: np.ndarray | None, two: np.ndarray | None) -> np.ndarray | None:
            return None if one is None or two is None else np.concatenate([one, two])

        return Predictions(
            gold=np.concatenate([self.gold, other.gold]),
            predicted=np.concatenate([self.predicted, other.predicted]),
            log_probs=join(self.log_probs, other.log_probs),
            labels=self.labels,
            parent_log_probs=join(self.parent_log_probs, other.parent_log_probs),
            answered=join(self.answered, other.answered),
            confidence=join(self.confidence, other.confidence),
        )

    def relabelled(self, labels: tuple[str, ...]) -> Predictions:
        """See `Items.relabelled`."""
        import numpy as np

        to = np.array([labels.index(label) for label in self.labels], dtype=np.int64)
        back = np.argsort(to)
        parent = self.parent_log_probs
        return Predictions(
            gold=to[self.gold],
            predicted=to[self.predicted],
            log_probs=None if self.log_probs is None else self.log_probs[:, back],
            labels=labels,
            ids=self.ids,
            parent_log_probs=None if parent is None else parent[:, back],
            answered=self.answered,
            confidence=self.confidence,
        )

    def right(self) -> np.ndarray:
        """See `Items.right`."""
        found: np.ndarray = self.gold == self.predicted
        return found

    def gold_equals(self, other: Self) -> np.ndarray:
        """See `Items.gold_equals`."""
        found: np.ndarray = self.gold == other.gold
        return found

    def to_columns(self) -> dict[str, list[Any]]:
        """``gold`` and ``predicted`` label names; ``log_probs`` and ``answered`` if there are."""
        columns: dict[str, list[Any]] = {
            "gold": [self.labels[i] for i in self.gold],
            "predicted": [self.labels[i] for i in self.predicted],
        }
        for name in ("log_probs", "parent_log_probs"):
            rows = getattr(self, name)
            if rows is not None:
                columns[name] = rows.tolist()
        if self.answered is not None:
            columns["answered"] = self.answered.tolist()
        return columns

    @classmethod
    def from_columns(
        cls, columns: Mapping[str, list[Any]], labels: tuple[str, ...], ids: tuple[str, ...]
    ) -> Predictions:
        """See `Items.from_columns`."""
        import numpy as np

        index = {label: i for i, label in enumerate(labels)}

        def rows(name: str) -> np.ndarray | None:
            if name not in columns:
                return None
            return np.asarray(columns[name], dtype=np.float64).reshape(len(ids), -1)

        return cls(
            gold=np.array([index[v] for v in columns["gold"]], dtype=np.int64),
            predicted=np.array([index[v] for v in columns["predicted"]], dtype=np.int64),
            log_probs=rows("log_probs"),
            labels=labels,
            ids=ids,
            parent_log_probs=rows("parent_log_probs"),
            answered=np.asarray(columns["answered"], bool) if "answered" in columns else None,
        )

    def described(self, row: int) -> tuple[str, str, float | None]:
        """See `Items.described`."""
        predicted = int(self.predicted[row])
        probability = None
        if self.log_probs is not None:
            probability = math.exp(float(self.log_probs[row, predicted]))
        return self.labels[int(self.gold[row])], self.labels[predicted], probability


@dataclass(frozen=True, slots=True)
class Observed:
    """What it costs to run a checkpoint.

    Attributes:
        latency_ms: float64 [R], one text at a time, milliseconds each.
        throughput_texts_s: float64 [R], whole batches, texts a second.
        peak_memory_mb: peak resident memory of a process that loads the checkpoint and predicts,
            in megabytes (10^6 bytes).
        size_mb: bytes of the checkpoint's weights and everything prediction needs, in 10^6 bytes.
    """

    latency_ms: np.ndarray | None = None
    throughput_texts_s: np.ndarray | None = None
    peak_memory_mb: float | None = None
    size_mb: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


class Metric:
    """Base of all metrics. Subclasses are stateless; calling one on observations gives the number.

    Class attributes:
        name: plain name, as a gate writes it.
        unit: ``proportion``, ``nats``, ``ms``, ``MB``, ``texts/s``, ``correlation``.
        direction: which way is better.
        range: least and greatest possible value.
        source: the paper, standard or definition it follows.
        needs: what it is computed from; the benchmark provides it.
        interval: how its confidence interval is found.
        per_label: whether it is asked for as ``name[label]``.
        overall: for one that is `per_label`, whether ``name`` alone asks it of all labels together.
        paired: for proportions, whether `successes` of two checkpoints on the same items stand
            for the same items (recall: yes; precision: no, each has predictions of its own).
        additive: whether the value is a sum over the items, and so grows with their number.
        inflated: whether resamples have larger values than what they are drawn from, as distances
            between distributions do; intervals and tests then take off what drawing adds.
        facts: what else belongs to the number, e.g. how many bins.
        within: the metric that a gate may compare this one with, `METRIC < STEP.THIS`, where it is
            the same quantity under another way of ranking; "" for most.
        bound: keys of the measurement's contract that must agree before two values are compared,
            beyond those that must for every metric.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    direction: ClassVar[Direction]
    range: ClassVar[tuple[float, float]]
    source: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[
        Literal[
            "labels",
            "probabilities",
            "parent",
            "labelsets",
            "labelset probabilities",
            "numbers",
            "spans",
            "texts",
            "greedy",
            "gaps",
            "options",
            "replies",
            "outcomes",
            "writings",
            "latency",
            "throughput",
            "memory",
            "size",
        ]
    ]
    interval: ClassVar[Interval] = "bootstrap"
    per_label: ClassVar[bool] = False
    overall: ClassVar[bool] = False
    paired: ClassVar[bool] = True
    additive: ClassVar[bool] = False
    inflated: ClassVar[bool] = False
    within: ClassVar[str] = ""
    facts: ClassVar[Mapping[str, Any]] = {}
    bound: ClassVar[tuple[str, ...]] = ()

    def __init__(self, label: int | None = None) -> None:
        """`label` is the label's index, for metrics that are `per_label`."""
        self.label = label

    @classmethod
    def asked_of(cls, items: Items) -> bool:
        """Whether these items hold what it is computed from; else it isn't measured on them.

        Only asked where a benchmark has the metric but not all of its items need what it takes,
        as texts of which greedy decoding wasn't asked.
        """
        return True

    def __call__(self, observed: Any) -> float:
        """The value on `Items` (or `Observed` for costs); NaN where it is undefined."""
        raise NotImplementedError

    def successes(self, predictions: Any) -> np.ndarray | None:
        """bool [M] over the items that a proportion is a share of, else None.

        M is N, or the number of items in the subset that the proportion is taken over
        (`recall[sport]`: the items whose true label is sport). Only asked where `interval` is
        ``wilson``; the value is `of_share` of its mean.
        """
        return None

    def of_share(self, share: float) -> float:
        """The value that belongs to a mean of `successes`: rising, the identity for most."""
        return share

    def viewed(self, items: Any) -> Any:
        """The items on which the metric that this one is compared `within` has this one's value.

        With ``aurc < tuned.aurc_margin`` both sides are viewed, and then tested as `aurc` is. What
        is compared with itself may bring both sides to one scale here.
        """
        return items

    def weighted(self, predictions: Any, weights: np.ndarray) -> np.ndarray | None:
        """The values [D] under D weightings of the items (float64 [D, N]), all at once.

        A resample is the weighting by how often each item was drawn. None, as here, says that
        the metric has no such form; a bootstrap then calls it on one resample after the other.
        """
        return None

    def influence(self, predictions: Any, weights: np.ndarray) -> np.ndarray | None:
        """How far each item moves the value, float64 [D, N], under D weightings of the items.

        The derivative of the value by the item's share of the weight, whose mean under the
        weighting is 0 (Hampel 1974): the sum of its squares over N squared estimates the variance.
        None, as here, says that the metric has no such form.
        """
        return None
