"""Quality of a classifier on texts with any number of labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from gradus.benchmarks.base import Benchmark
from gradus.benchmarks.classify import Decided, align
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.data.dataset import Split
    from gradus.metrics.labelsets import LabelSets
    from gradus.predict.base import Predictor


class MultilabelBenchmark(Benchmark):
    """Every text gets a probability for each label; those that reach the threshold are said."""

    name: ClassVar[str] = "multilabel.v1"
    summary: ClassVar[str] = "texts of a split with any number of labels, each a decision"
    protocol: ClassVar[str] = (
        "Each text of the split (or of the stated sample, chosen by content hash) gets a "
        "log-probability for each of the data set's labels; the labels whose probability is at "
        "least the checkpoint's threshold for them are the prediction, which may be empty. A "
        "label that the checkpoint doesn't know has probability 0."
    )
    metrics: ClassVar[tuple[str, ...]] = (
        "multilabel_f1_micro",
        "multilabel_f1_macro",
        "multilabel_f1_samples",
        "multilabel_precision_micro",
        "multilabel_recall_micro",
        "subset_accuracy",
        "hamming_loss",
        "auroc_macro",
        "average_precision_macro",
        "multilabel_log_loss",
        "multilabel_f1",
        "auroc",
        "average_precision",
    )
    target: ClassVar[Target | None] = "labels"
    compared: ClassVar[tuple[str, ...]] = (
        "multilabel_f1_micro",
        "multilabel_f1_macro",
        "multilabel_log_loss",
    )

    @classmethod
    def items(cls) -> type[LabelSets]:
        """Sets of labels."""
        from gradus.metrics.labelsets import LabelSets

        return LabelSets

    @classmethod
    def outputs(
        cls, predictor: Predictor, split: Split, progress: Callable[[int], None] | None = None
    ) -> Decided:
        """Log-probabilities and the checkpoint's thresholds."""
        return Decided(predictor.log_probs(split.texts, progress=progress), predictor.thresholds)

    @classmethod
    def observe(
        cls, outputs: Any, own: Sequence[str], split: Split, labels: Sequence[str]
    ) -> LabelSets:
        """Labels are matched by name; bare log-probabilities are held against one half."""
        import numpy as np

        from gradus.metrics.labelsets import LabelSets

        decided = outputs if isinstance(outputs, Decided) else Decided(outputs, [0.5] * len(own))
        log_probs = align(np.asarray(decided.log_probs, dtype=np.float64), own, labels)
        thresholds = dict(zip(own, decided.thresholds, strict=True))
        least = np.array([thresholds.get(label, 0.5) for label in labels])
        return LabelSets(
            gold=np.asarray(split.labels, dtype=bool),
            predicted=np.exp(log_probs) >= least,
            log_probs=log_probs,
            labels=tuple(labels),
            ids=tuple(split.ids),
        )
