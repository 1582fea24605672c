"""Quality of a classifier on labelled texts."""

from __future__ import annotations

from typing import ClassVar

from gradus.benchmarks.base import Benchmark


class ClassifyBenchmark(Benchmark):
    """Every text of a split is classified once; the most probable label is the prediction."""

    name: ClassVar[str] = "classify.v1"
    summary: ClassVar[str] = "labelled texts of a split, classified one by one"
    protocol: ClassVar[str] = (
        "Each text of the split (or of the stated sample, chosen by content hash) gets "
        "log-probabilities for the data set's labels; the most probable is the prediction, the "
        "first in label order on a tie. A label that the checkpoint doesn't know has probability 0."
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
        "log_loss",
        "ece",
        "precision",
        "recall",
        "f1",
    )
