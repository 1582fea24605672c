"""Classification: one label a text, or several, from pooled hidden states through a linear head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gradus import benchmarks
from gradus.objectives.base import COSTS, ObjectiveConfig
from gradus.objectives.thresholds import NEUTRAL, Threshold
from gradus.objectives.vectors import HEAD_FILE, VectorConfig, VectorObjective
from gradus.records import Target

if TYPE_CHECKING:
    from gradus.objectives.pooled import PooledTask

__all__ = ["HEAD_FILE", "Classify", "ClassifyConfig"]


class ClassifyConfig(VectorConfig):
    """How texts are read and labels are told.

    Attributes:
        threshold: for data with several labels a text: the probability from which on a label is
            said. A number; ``global`` for the one threshold, ``per-label`` for one a label, with
            the greatest F1 on dev.select.
    """

    name: Literal["classify", "classify.v1"] = "classify"
    threshold: Threshold = NEUTRAL


class Classify(VectorObjective):
    """Minimise the cross-entropy of the label (with label smoothing, Szegedy et al. 2016).

    Encoders and causal models alike: the hidden states of a text are pooled into one vector,
    which a linear head turns into K logits. Over data with ``target: labels`` each label is a
    decision of its own: sigmoid outputs, binary cross-entropy, a threshold that the checkpoint
    keeps. A checkpoint that was classified with the same labels keeps its head; with other labels
    it gets a new one.

    Example::

        objective: {name: classify, pooling: mean, normalise: true}
    """

    Config: ClassVar[type[ObjectiveConfig]] = ClassifyConfig
    summary: ClassVar[str] = "one label a text, or several: pooled hidden states, linear head"
    example: ClassVar[str] = "{name: classify, pooling: mean, normalise: true}"
    targets: ClassVar[tuple[Target, ...]] = ("label", "labels")

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """What single labels and sets of labels are measured by, and the costs of predicting."""
        judged = (metric for target in cls.targets for metric in benchmarks.of(target).metrics)
        return frozenset({*judged, *COSTS})

    def task(self, config: Any, target: Target) -> type[PooledTask]:
        """Softmax over one label, or a sigmoid for each of several."""
        if target == "labels":
            from gradus.objectives.multilabel import MultilabelTask

            return MultilabelTask
        from gradus.objectives.classification import ClassifyTask

        return ClassifyTask
