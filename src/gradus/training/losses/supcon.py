"""Loss `supcon`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from gradus.training.losses.base import LossConfig
from gradus.training.losses.cross_entropy import CrossEntropy, CrossEntropyConfig

if TYPE_CHECKING:
    import torch


class SupConConfig(CrossEntropyConfig):
    """The contrastive term's part, and the cross-entropy's options.

    Attributes:
        weight: what the contrastive term is multiplied with beside the cross-entropy.
        temperature: what cosines are divided by.
        label_smoothing: share of the target spread evenly over all labels; in the cross-entropy.
        class_weights: what a row's cross-entropy is multiplied with, by its label: ``balanced``,
            or a mapping from labels to weights (1 for those it leaves out).
    """

    solvable: ClassVar[bool] = False
    needs_layers: ClassVar[bool] = True
    couples: ClassVar[bool] = True

    name: Literal["supcon", "supcon.v1"] = "supcon"  # type: ignore[assignment]  # another name
    weight: Annotated[float, Field(gt=0)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 0.1


class SupCon(CrossEntropy):
    """Cross-entropy plus supervised contrast (Khosla et al. 2020, the form L_out, equation 2;
    beside cross-entropy as in Gunel et al. 2021): features of the same label are drawn together,
    those of others pushed apart.

    The features, brought to length 1, are compared within a batch. With z the features, t the
    temperature, P(i) the other rows with the label of row i, row i has the mean over p in P(i) of
    ``-log(exp(z_i z_p / t) / sum_{a != i} exp(z_i z_a / t))``, and nothing where P(i) is empty: a
    batch should hold several rows of a label, so many labels want a larger ``batch_size``
    (``accumulate`` doesn't widen the comparison). There are neither augmented views nor a
    projection between features and contrast.
    """

    Config: ClassVar[type[LossConfig]] = SupConConfig
    summary: ClassVar[str] = "cross-entropy plus supervised contrast of the features"
    example: ClassVar[str] = "{name: supcon, weight: 0.5, temperature: 0.1}"

    def __call__(
        self, logits: torch.Tensor, gold: torch.Tensor, features: torch.Tensor
    ) -> torch.Tensor:
        """Both terms summed over rows, in nats."""
        contrast = supervised_contrast(features, gold, self.config.temperature)
        total: torch.Tensor = super().__call__(logits, gold, features) + (
            self.config.weight * contrast
        )
        return total


def supervised_contrast(
    features: torch.Tensor, gold: torch.Tensor, temperature: float
) -> torch.Tensor:
    """The contrastive term summed over the F rows: a scalar; 0 where no label stands twice.

    Args:
        features: float [F, d], of any length.
        gold: int64 [F].
        temperature: above 0.
    """
    import torch
    from torch.nn.functional import normalize

    unit = normalize(features, dim=-1)
    itself = torch.eye(len(gold), dtype=torch.bool, device=gold.device)
    likeness = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)
    positive = (gold[:, None] == gold[None, :]) & ~itself
    others = positive.sum(1)
    paired = others > 0
    if not bool(paired.any()):
        return features.sum() * 0.0
    log_share = likeness - likeness.logsumexp(dim=1, keepdim=True)
    each = log_share.masked_fill(~positive, 0.0).sum(1)
    return -(each[paired] / others[paired]).sum()
