"""What a metric is: a pure function from observations to a number that says what it means.

Legend: N items, K labels, R repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    import numpy as np

Direction = Literal["higher", "lower"]
Interval = Literal["wilson", "bootstrap", "order statistic", "none"]


@dataclass(frozen=True, slots=True)
class Predictions:
    """Predictions on N items.

    Attributes:
        gold: int64 [N], the true label's index.
        predicted: int64 [N], the predicted label's index.
        log_probs: float64 [N, K] natural logarithms, or None.
        labels: the K labels, in index order.
        ids: N content hashes (hex); what pairs the items of two checkpoints.
        parent_log_probs: float64 [N, K] of the parent on the same items; for parity only.
    """

    gold: np.ndarray
    predicted: np.ndarray
    log_probs: np.ndarray | None
    labels: tuple[str, ...]
    ids: tuple[str, ...] = ()
    parent_log_probs: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.gold)

    def take(self, rows: np.ndarray) -> Predictions:
        """The items at `rows` (int [M], repeats allowed), without ids: what a bootstrap draws."""
        return Predictions(
            gold=self.gold[rows],
            predicted=self.predicted[rows],
            log_probs=None if self.log_probs is None else self.log_probs[rows],
            labels=self.labels,
            parent_log_probs=None if self.parent_log_probs is None else self.parent_log_probs[rows],
        )


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
        paired: for proportions, whether `successes` of two checkpoints on the same items stand
            for the same items (recall: yes; precision: no, each has predictions of its own).
        facts: what else belongs to the number, e.g. how many bins.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    direction: ClassVar[Direction]
    range: ClassVar[tuple[float, float]]
    source: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[
        Literal["labels", "probabilities", "parent", "latency", "throughput", "memory", "size"]
    ]
    interval: ClassVar[Interval] = "bootstrap"
    per_label: ClassVar[bool] = False
    paired: ClassVar[bool] = True
    facts: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, label: int | None = None) -> None:
        """`label` is the label's index, for metrics that are `per_label`."""
        self.label = label

    def __call__(self, observed: Any) -> float:
        """The value on `Predictions` (or `Observed` for costs); NaN where it is undefined."""
        raise NotImplementedError

    def successes(self, predictions: Predictions) -> np.ndarray | None:
        """bool [M] over the items that a proportion is a share of, else None.

        M is N, or the number of items in the subset that the proportion is taken over
        (`recall[sport]`: the items whose true label is sport). Only asked where `interval` is
        ``wilson``; the value is `of_share` of its mean.
        """
        return None

    def of_share(self, share: float) -> float:
        """The value that belongs to a mean of `successes`: rising, the identity for most."""
        return share

    def weighted(self, predictions: Predictions, weights: np.ndarray) -> np.ndarray | None:
        """The values [D] under D weightings of the items (float64 [D, N]), all at once.

        A resample is the weighting by how often each item was drawn. None, as here, says that
        the metric has no such form; a bootstrap then calls it on one resample after the other.
        """
        return None
