"""What a loss of the catalog is. Imports nothing heavy: a plan is checked with it.

Legend: F rows of logits (a text each, or a word each), K labels, d width of the features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.errors import TrainingError, unknown
from gradus.training.choice import ChoiceConfig

if TYPE_CHECKING:
    import torch

Weight = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, slots=True)
class Classes:
    """The K labels that logits stand for, and how many rows of train have each."""

    names: tuple[str, ...]
    counts: tuple[int, ...]


class LossConfig(ChoiceConfig):
    """Base of every loss's config.

    Attributes:
        class_weights: what a row's loss is multiplied with, by its label: ``balanced`` for rows
            over labels times the label's rows, or a mapping from labels to weights (1 for those
            it leaves out).

    Class attributes:
        solvable: whether `gradus.training.solver` minimises it.
        needs_layers: whether it does nothing of its own where the head alone trains.
        couples: whether a row's loss depends on the other rows of its batch.
    """

    solvable: ClassVar[bool] = False
    needs_layers: ClassVar[bool] = False
    couples: ClassVar[bool] = False

    class_weights: Literal["balanced"] | Mapping[str, Weight] | None = None


class Loss(ABC):
    """A loss over labels, for every objective that turns features into logits.

    Class attributes:
        Config: its typed config; what a stage writes under ``loss`` beside ``name``.
        summary: one line for `gradus ls`.
        example: ``loss:`` as it stands in a stage, in YAML.

    Attributes:
        config: the config.
        weights: float32 [K], the labels' weights; None where all are 1.
    """

    Config: ClassVar[type[LossConfig]]
    summary: ClassVar[str]
    example: ClassVar[str]

    def __init__(self, config: Any, classes: Classes | None) -> None:
        """`classes` is None where the objective tells no labels apart.

        Raises:
            TrainingError: a weight is given to a label that the data don't have.
        """
        self.config = config
        self.weights = label_weights(config, classes)

    @property
    def smoothing(self) -> float:
        """Its label smoothing, for tasks that have a loss of their own; 0 where it has none."""
        return float(getattr(self.config, "label_smoothing", 0.0))

    @abstractmethod
    def __call__(
        self, logits: torch.Tensor, gold: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """The loss summed over rows, in nats: a scalar.

        Args:
            logits: float32 [F, K].
            gold: int64 [F], the rows' labels.
            features: float32 [F, d], what the logits were made from.
        """


def label_weights(config: Any, classes: Classes | None) -> torch.Tensor | None:
    """float32 [K] from `class_weights`; None where nothing is weighed.

    ``balanced`` is scikit-learn's: over the rows of train the weights' mean is 1. A label without
    rows in train has 1.

    Raises:
        TrainingError: a weight is given to a label that the data don't have.
    """
    asked = config.class_weights
    if asked is None:
        return None
    import torch

    if classes is None:
        raise TrainingError(
            f"loss: {config.name}: class_weights: this objective doesn't weigh labels"
        )
    if asked == "balanced":
        rows, present = sum(classes.counts), sum(count > 0 for count in classes.counts)
        weights = [rows / (present * count) if count else 1.0 for count in classes.counts]
    else:
        for name in asked:
            if name not in classes.names:
                told = unknown("label", name, classes.names)
                raise TrainingError(f"loss: {config.name}: class_weights: {told}")
        weights = [asked.get(name, 1.0) for name in classes.names]
    return torch.tensor(weights, dtype=torch.float32)
