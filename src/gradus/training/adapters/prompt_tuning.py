"""Prompt tuning: learned vectors that stand before every text's own tokens.

Legend: v virtual tokens, d hidden size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.training.adapters.base import Adapter, AdapterConfig


class PromptTuningConfig(AdapterConfig):
    """How many vectors, and what they begin as.

    Attributes:
        tokens: v; every text has that many positions less.
        start: ``vocabulary`` begins with the embeddings of tokens drawn at random (Lester et al.
            2021, section 3.2); ``random`` with draws from a standard normal distribution.
    """

    name: Literal["prompt-tuning", "prompt-tuning.v1"] = "prompt-tuning"
    tokens: Annotated[int, Field(ge=1)] = 20
    start: Literal["vocabulary", "random"] = "vocabulary"


class PromptTuning(Adapter):
    """Prompt tuning (Lester et al. 2021): v x d numbers are all that is learned below the head.

    Hidden states of the virtual tokens are left out of what a text gives.

    Example::

        adapter: {name: prompt-tuning, tokens: 20}
    """

    Config: ClassVar[type[AdapterConfig]] = PromptTuningConfig
    summary: ClassVar[str] = "prompt tuning: learned vectors before every text's own tokens"
    example: ClassVar[str] = "{name: prompt-tuning, tokens: 20}"
    place = "input"
    stage: ClassVar[Mapping[str, Any]] = {
        "lr": 1e-2,
        "layer_lr_decay": 1.0,
        "weight_decay": 0.0,
        "epochs": 5.0,
    }

    def virtual(self, config: PromptTuningConfig) -> int:
        """v."""
        return config.tokens

    def peft_config(self, config: PromptTuningConfig, peft: Any, model: Any) -> Any:
        """Sizes are given, because peft doesn't find them in every family."""
        start = {"vocabulary": "SAMPLE_VOCAB", "random": "RANDOM"}[config.start]
        return peft.PromptTuningConfig(
            task_type="FEATURE_EXTRACTION",
            num_virtual_tokens=config.tokens,
            prompt_tuning_init=start,
            token_dim=model.config.hidden_size,
            num_layers=model.config.num_hidden_layers,
            num_attention_heads=model.config.num_attention_heads,
        )
