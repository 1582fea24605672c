"""Prefix tuning: learned keys and values that every layer's attention sees before the text's own.

Legend: v virtual tokens, L layers, h heads of keys and values, k size of a head.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus.training.adapters.base import Adapter, AdapterConfig

if TYPE_CHECKING:
    from gradus.training.adapters.attached import Attached


class PrefixTuningConfig(AdapterConfig):
    """How many keys and values, and what they begin as.

    Attributes:
        tokens: v; every text has that many positions less.
        start: ``vocabulary`` begins with the keys and values that tokens drawn at random have in
            this model (Li & Liang 2021, section 7.4, start with real activations); ``random`` with
            draws from a standard normal distribution.
    """

    name: Literal["prefix-tuning", "prefix-tuning.v1"] = "prefix-tuning"
    tokens: Annotated[int, Field(ge=1)] = 20
    start: Literal["vocabulary", "random"] = "vocabulary"


class PrefixTuning(Adapter):
    """Prefix tuning (Li & Liang 2021), its v x 2 L h k numbers learned directly.

    For families whose attention takes keys and values from before: BERT, RoBERTa, GPT-2, Llama,
    Qwen; not DistilBERT.

    Example::

        adapter: {name: prefix-tuning, tokens: 20}
    """

    Config: ClassVar[type[AdapterConfig]] = PrefixTuningConfig
    summary: ClassVar[str] = "prefix tuning: learned keys and values before every layer's own"
    example: ClassVar[str] = "{name: prefix-tuning, tokens: 20}"
    place = "past"
    stage: ClassVar[Mapping[str, Any]] = {
        "lr": 1e-2,
        "layer_lr_decay": 1.0,
        "weight_decay": 0.0,
        "epochs": 5.0,
    }

    def virtual(self, config: PrefixTuningConfig) -> int:
        """v."""
        return config.tokens

    def peft_config(self, config: PrefixTuningConfig, peft: Any, model: Any) -> Any:
        """Sizes are given, because peft doesn't find them in every family.

        Raises:
            TrainingError: the family takes no keys and values from before.
        """
        from gradus.errors import TrainingError

        if "past_key_values" not in inspect.signature(model.forward).parameters:
            raise TrainingError(
                f"adapter prefix-tuning: a '{model.config.model_type}' model takes no keys and "
                "values from before: use prompt-tuning or lora"
            )
        return peft.PrefixTuningConfig(
            task_type="FEATURE_EXTRACTION",
            num_virtual_tokens=config.tokens,
            token_dim=model.config.hidden_size,
            num_layers=model.config.num_hidden_layers,
            num_attention_heads=model.config.num_attention_heads,
        )

    def start(self, config: PrefixTuningConfig, attached: Attached) -> None:
        """Keys and values of sampled tokens, unless the plan asks for noise."""
        if config.start == "vocabulary":
            from gradus.training.adapters.prefixes import sampled

            attached.set_virtual(sampled(attached.model, config.tokens))
