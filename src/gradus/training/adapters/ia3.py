"""IA3: vectors that scale keys, values and what a feed-forward layer takes in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from gradus.training.adapters.base import Adapter, AdapterConfig

Names = Annotated[tuple[str, ...], Field(min_length=1)]

# Keys, values and the second matrix of the feed-forward layer (Liu et al. 2022, section 3.3),
# by ``model_type``; the last of each is the one whose input is scaled.
_BERT: Final = ("key", "value", "layer.*.output.dense")
_LLAMA: Final = ("k_proj", "v_proj", "down_proj")
USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "electra": _BERT,
    "distilbert": ("k_lin", "v_lin", "lin2"),
    "gpt2": ("c_attn", "mlp.c_proj"),
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma2": _LLAMA,
    "gemma3_text": _LLAMA,
}


class Ia3Config(AdapterConfig):
    """Which products are scaled.

    Attributes:
        targets: names of linear layers; left out, keys, values and the feed-forward layer's second
            matrix, where the model's family is known.
        feedforward: those of `targets` whose input is scaled instead of their output.
        merge: multiply the vectors into the weights at the end: a checkpoint without an adapter.
    """

    name: Literal["ia3", "ia3.v1"] = "ia3"
    targets: Names | None = None
    feedforward: tuple[str, ...] = ()
    merge: bool = False

    @model_validator(mode="after")
    def _subset(self) -> Ia3Config:
        strangers = [name for name in self.feedforward if name not in (self.targets or ())]
        if strangers:
            raise ValueError(f"feedforward: {', '.join(strangers)} must stand in targets too")
        return self


class Ia3(Adapter):
    """IA3 (Liu et al. 2022): one vector a product, all ones at the start.

    Example::

        adapter: ia3
    """

    Config: ClassVar[type[AdapterConfig]] = Ia3Config
    summary: ClassVar[str] = "IA3: vectors that scale keys, values and feed-forward input; merges"
    example: ClassVar[str] = "{name: ia3}"
    place = "weights"
    # Decay would pull the vectors to nought; what they should stay near is one.
    stage: ClassVar[Mapping[str, Any]] = {
        "lr": 2e-2,
        "layer_lr_decay": 1.0,
        "weight_decay": 0.0,
        "epochs": 5.0,
    }

    def peft_config(self, config: Ia3Config, peft: Any, model: Any) -> Any:
        """The family's usual targets, or those of the plan.

        Raises:
            TrainingError: the family isn't known and the plan names no targets.
        """
        from gradus.errors import TrainingError
        from gradus.training.adapters.targets import linear_names, resolve, short, transposed

        targets, scaled = config.targets, config.feedforward
        if targets is None:
            family = str(getattr(model.config, "model_type", "?"))
            if family not in USUAL:
                raise TrainingError(
                    f"adapter ia3: which layers of a '{family}' model hold keys and values isn't "
                    "known: name them with targets and feedforward; its linear layers are "
                    f"{', '.join(short(linear_names(model)))}"
                )
            targets, scaled = USUAL[family], USUAL[family][-1:]
        names = resolve(model, targets)
        return peft.IA3Config(
            task_type="FEATURE_EXTRACTION",
            target_modules=names,
            feedforward_modules=resolve(model, scaled) if scaled else [],
            fan_in_fan_out=transposed(model, names),
        )
