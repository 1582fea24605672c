"""Loss `focal`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gradus.training.losses.base import Loss, LossConfig

if TYPE_CHECKING:
    import torch


class FocalConfig(LossConfig):
    """Focus and weights.

    Attributes:
        gamma: how much rows that are classified well already are weighed down; 0 for not at all.
        class_weights: what a row's loss is multiplied with, by its label (the paper's alpha):
            ``balanced``, or a mapping from labels to weights (1 for those it leaves out).
    """

    name: Literal["focal", "focal.v1"] = "focal"
    gamma: Annotated[float, Field(ge=0)] = 2.0


class Focal(Loss):
    """The focal loss (Lin et al. 2017, equation 5, over K labels by softmax): a row counts the
    less, the better it is classified.

    With p the probability of the row's label and w the label's weight, a row has
    ``-w (1 - p) ** gamma * log p``. There is no label smoothing in it.
    """

    Config: ClassVar[type[LossConfig]] = FocalConfig
    summary: ClassVar[str] = "cross-entropy in which rows that are right already count little"
    example: ClassVar[str] = "{name: focal, gamma: 2.0}"

    def __call__(
        self, logits: torch.Tensor, gold: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Summed over rows, in nats."""
        import torch
        from torch.nn.functional import cross_entropy

        each = cross_entropy(logits, gold, reduction="none")
        # 1 - p from log p without cancellation; at exactly 0 its power may have no finite slope.
        missed = (-torch.expm1(-each)).clamp_min(torch.finfo(each.dtype).tiny)
        focused = missed**self.config.gamma * each
        if self.weights is not None:
            focused = focused * self.weights[gold]
        summed: torch.Tensor = focused.sum()
        return summed
