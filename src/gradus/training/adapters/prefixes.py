"""What a prefix begins as: the keys and values that real tokens have in the model.

Legend: v virtual tokens, L layers, h heads of keys and values, k size of a head.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from gradus.errors import TrainingError
from gradus.training import packing
from gradus.training.backbone import position_start
from gradus.training.packing import Layout, laid_out

_ATTENTION = "gradus_prefix"


@torch.no_grad()
def sampled(model: nn.Module, tokens: int) -> torch.Tensor:
    """Keys and values [v, 2 L h k] of v tokens drawn at random, as peft lays them out.

    Raises:
        TrainingError: the model's attention can't be listened to.
    """
    from transformers import AttentionInterface

    kept: list[torch.Tensor] = []

    def listening(
        module: nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
        **options: Any,
    ) -> tuple[torch.Tensor, None]:
        # [1, h, v, k] each, in the order of the layers.
        kept.extend(x[0].transpose(0, 1).reshape(tokens, -1) for x in (key, value))
        return packing.packed_attention(module, query, key, value, mask, **options)

    config: Any = model.config
    before = config._attn_implementation
    AttentionInterface.register(_ATTENTION, listening)
    vocabulary = model.get_input_embeddings().num_embeddings  # type: ignore[operator]  # nn.Module types attributes as tensors
    ids = torch.randint(0, vocabulary, (1, tokens))
    positions = torch.arange(tokens)[None] + position_start(model)
    model.set_attn_implementation(_ATTENTION)  # type: ignore[operator]  # as above
    try:
        with laid_out(Layout(((1, tokens),))):
            model(input_ids=ids, position_ids=positions)
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise TrainingError(
            f"adapter prefix-tuning: the keys and values of tokens can't be read off this model "
            f"({error}): set start: random"
        ) from error
    finally:
        model.set_attn_implementation(before)  # type: ignore[operator]  # as above
    return torch.cat(kept, dim=1)
