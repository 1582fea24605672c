"""LoRA, and DoRA: products of two thin matrices added to frozen weights.

Legend: r rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.training.adapters.base import Adapter, AdapterConfig

Names = Annotated[tuple[str, ...], Field(min_length=1)]


class LoraConfig(AdapterConfig):
    """The size and place of the thin matrices.

    Attributes:
        rank: r.
        alpha: the product is scaled by ``alpha / rank``.
        dropout: rate before the first matrix, in training; the stage's `dropout` doesn't touch it.
        targets: ``all-linear`` for every linear layer of every block, or names such as
            ``[query, value]``.
        dora: learn the norm of each output's weights apart from their direction.
        merge: add the product to the weights at the end: a checkpoint without an adapter.
    """

    name: Literal["lora", "lora.v1"] = "lora"
    rank: Annotated[int, Field(ge=1)] = 16
    alpha: Annotated[float, Field(gt=0)] = 32.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Literal["all-linear"] | Names = "all-linear"
    dora: bool = False
    merge: bool = False


class Lora(Adapter):
    """LoRA (Hu et al. 2022); with `dora`, DoRA (Liu et al. 2024).

    A frozen weight W becomes ``W + alpha / r * B A`` with B zero at the start, so that training
    begins with the model as it was.

    Example::

        adapter: {name: lora, rank: 16, alpha: 32, targets: all-linear}
    """

    Config: ClassVar[type[AdapterConfig]] = LoraConfig
    summary: ClassVar[str] = "LoRA and DoRA: thin matrices beside frozen weights; merges"
    example: ClassVar[str] = "{name: lora, rank: 16, alpha: 32, targets: all-linear}"
    place = "weights"
    stage: ClassVar[Mapping[str, Any]] = {"lr": 2e-3, "layer_lr_decay": 1.0, "epochs": 5.0}

    def peft_config(self, config: LoraConfig, peft: Any, model: Any) -> Any:
        """Targets by their full names, so that nothing outside the blocks is touched."""
        from gradus.training.adapters.targets import resolve, transposed

        targets = resolve(model, config.targets)
        return peft.LoraConfig(
            task_type="FEATURE_EXTRACTION",
            r=config.rank,
            lora_alpha=config.alpha,
            lora_dropout=config.dropout,
            use_dora=config.dora,
            target_modules=targets,
            fan_in_fan_out=transposed(model, targets),
        )
