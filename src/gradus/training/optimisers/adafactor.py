"""Optimiser `adafactor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from gradus.training.optimisers.base import Member, Optimiser, OptimiserConfig, settings

if TYPE_CHECKING:
    import torch

# torch bounds the mean square of gradients from below by its epsilon, 1.2e-7 by default, which
# gradients of fine-tuning often don't reach; the paper adds 1e-30 to the squares.
SMALLEST: Final = 1e-15
RELATIVE: Final = 1e-3


class AdafactorConfig(OptimiserConfig):
    """Second moment and step size.

    Attributes:
        decay: the second moment's decay at update t is ``1 - t ** -decay``.
        clip: greatest root-mean-square of an update before its rate.
        relative: whether a rate is a share of the weights' root-mean-square, as in the paper
            (at least of 1e-3: a head that begins at zero hardly moves), or a rate like AdamW's.
    """

    name: Literal["adafactor", "adafactor.v1"] = "adafactor"
    decay: Annotated[float, Field(gt=0, le=1)] = 0.8
    clip: Annotated[float, Field(ge=1)] = 1.0
    relative: bool = False


class Adafactor(Optimiser):
    """A second moment kept as a row and a column of each matrix (Shazeer & Stern 2018), torch's
    form: no first moment, so the memory beside the weights is next to nothing.

    The rate is never above ``1 / sqrt(t)`` at update t. Where ``relative`` is off, matrices and
    vectors whose root-mean-square is above 1 still move in proportion to it.
    """

    Config: ClassVar[type[OptimiserConfig]] = AdafactorConfig
    summary: ClassVar[str] = "second moment by rows and columns; hardly any memory"
    example: ClassVar[str] = "{name: adafactor, relative: false}"

    def build(self, config: Any, members: Sequence[Member]) -> Sequence[torch.optim.Optimizer]:
        """One optimiser for all."""
        import torch

        made = torch.optim.Adafactor(
            settings(members),
            beta2_decay=-config.decay,
            eps=(SMALLEST, RELATIVE if config.relative else 1.0),
            d=config.clip,
        )
        return (made,)
