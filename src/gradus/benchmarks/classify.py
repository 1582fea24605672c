"""Quality of a classifier on labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from gradus.benchmarks.base import Benchmark
from gradus.errors import ContractError
from gradus.records import Target

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.dataset import Split
    from gradus.metrics.base import Predictions
    from gradus.predict.base import Predictor


class Decided(NamedTuple):
    """Log-probabilities [N, K] and K thresholds, see `Predictor.thresholds`.

    Below `abstain_below` the checkpoint gives no answer.
    """

    log_probs: np.ndarray
    thresholds: Sequence[float]
    abstain_below: float | None = None


class ClassifyBenchmark(Benchmark):
    """Every text of a split is classified once; the most probable label is the prediction."""

    name: ClassVar[str] = "classify.v1"
    summary: ClassVar[str] = "labelled texts of a split, classified one by one"
    protocol: ClassVar[str] = (
        "Each text of the split (or of the stated sample, chosen by content hash) gets "
        "log-probabilities for the data set's labels; the most probable is the prediction (where "
        "the checkpoint has thresholds, the one that is the greatest multiple of its own), the "
        "first in label order on a tie. Where the checkpoint abstains the prediction counts all "
        "the same, but for coverage and selective_accuracy. A label that the checkpoint doesn't "
        "know has probability 0."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "accuracy",
        "balanced_accuracy",
        "precision_macro",
        "precision_micro",
        "precision_weighted",
        "recall_macro",
        "recall_micro",
        "recall_weighted",
        "f1_macro",
        "f1_micro",
        "f1_weighted",
        "mcc",
        "cohen_kappa",
        "top_3_accuracy",
        "top_5_accuracy",
        "auroc_macro",
        "average_precision_macro",
        "log_loss",
        "brier",
        "ece",
        "ece_debiased",
        "aurc",
        "aurc_margin",
        "aurc_random",
        "coverage",
        "selective_accuracy",
        "precision",
        "recall",
        "f1",
    )
    target: ClassVar[Target | None] = "label"
    compared: ClassVar[tuple[str, ...]] = ("accuracy", "f1_macro", "log_loss")

    @classmethod
    def items(cls) -> type[Predictions]:
        """One label an item."""
        from gradus.metrics.base import Predictions

        return Predictions

    @classmethod
    def outputs(
        cls, predictor: Predictor, split: Split, progress: Callable[[int], None] | None = None
    ) -> Decided:
        """Log-probabilities [N, K of the checkpoint], thresholds, and below what it abstains."""
        rows = predictor.log_probs(split.texts, progress=progress)
        return Decided(rows, predictor.thresholds, predictor.abstain_below)

    @classmethod
    def observe(
        cls, outputs: Any, own: Sequence[str], split: Split, labels: Sequence[str]
    ) -> Predictions:
        """Labels are matched by name; one that the checkpoint doesn't know has probability 0.

        Of bare log-probabilities the most probable label is the prediction.
        """
        import numpy as np

        from gradus.metrics.base import Predictions
        from gradus.predict.base import decide

        decided = outputs if isinstance(outputs, Decided) else Decided(outputs, (0.5,) * len(own))
        log_probs = align(np.asarray(decided.log_probs, dtype=np.float64), own, labels)
        least = dict(zip(own, decided.thresholds, strict=True))
        predicted = decide(log_probs, [least.get(label, 0.5) for label in labels])
        answered = None
        if decided.abstain_below is not None:
            sure = np.exp(log_probs[np.arange(len(log_probs)), predicted])
            answered = sure >= decided.abstain_below
        return Predictions(
            gold=np.asarray(split.labels, dtype=np.int64),
            predicted=predicted,
            answered=answered,
            log_probs=log_probs,
            labels=tuple(labels),
            ids=tuple(split.ids),
        )


def align(rows: np.ndarray, own: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Columns of `rows` [N, len(own)] brought into the order of `wanted`; absent ones are -inf.

    Raises:
        ContractError: no label is shared.
    """
    import numpy as np

    if tuple(own) == tuple(wanted):
        return rows
    position = {label: i for i, label in enumerate(own)}
    if not set(wanted) & set(position):
        raise ContractError(
            f"the checkpoint's labels ({', '.join(own[:5])}) and the data set's "
            f"({', '.join(wanted[:5])}) have none in common"
        )
    aligned = np.full((len(rows), len(wanted)), -np.inf)
    for column, label in enumerate(wanted):
        if label in position:
            aligned[:, column] = rows[:, position[label]]
    return aligned
