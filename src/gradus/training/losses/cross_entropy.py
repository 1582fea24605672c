"""Loss `cross-entropy`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gradus.training.losses.base import Loss, LossConfig

if TYPE_CHECKING:
    import torch


class CrossEntropyConfig(LossConfig):
    """Smoothing and weights.

    Attributes:
        label_smoothing: share of the target spread evenly over all labels.
        class_weights: what a row's loss is multiplied with, by its label: ``balanced``, or a
            mapping from labels to weights (1 for those it leaves out).
    """

    solvable: ClassVar[bool] = True

    name: Literal["cross-entropy", "cross-entropy.v1"] = "cross-entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1


class CrossEntropy(Loss):
    """The negative log-likelihood of the label, with label smoothing (Szegedy et al. 2016). The
    default.

    With p the probabilities, y the label, s the smoothing, w the weights, K labels, a row has
    ``-(1 - s) w[y] log p[y] - s / K * sum_k w[k] log p[k]``, as `torch.nn.CrossEntropyLoss` has
    it. Divided by the number of rows, not by the sum of their weights. A solved head minimises
    it with its weights, without smoothing.
    """

    Config: ClassVar[type[LossConfig]] = CrossEntropyConfig
    summary: ClassVar[str] = "negative log-likelihood, with label smoothing and class weights"
    example: ClassVar[str] = "{name: cross-entropy, class_weights: balanced, label_smoothing: 0.05}"

    def __call__(
        self, logits: torch.Tensor, gold: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Summed over rows, in nats."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(
            logits,
            gold,
            weight=self.weights,
            label_smoothing=self.config.label_smoothing,
            reduction="sum",
        )
