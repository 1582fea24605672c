"""GPT-2: learnt positions, one matrix for queries, keys and values.

Legend: as `gradus.generation.llama`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import layer_norm

from gradus.generation.cache import Shape
from gradus.generation.decoder import Attention, Decoder
from gradus.generation.matrix import Layout, Product

Norm = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of a layer."""

    before: Norm
    qkv: Product
    out: Product
    after: Norm
    wide: Product
    narrow: Product


class Gpt2Decoder(Decoder):
    """See `Decoder`."""

    def __init__(self, model: Any, layout: Layout) -> None:
        """Lay out the weights of a ``GPT2LMHeadModel``."""
        base, config = model.transformer, model.config
        size = config.n_embd // config.n_head
        scale = float(base.h[0].attn.scaling)
        self.dtype = layout.dtype
        self.shape = Shape(len(base.h), config.n_head, config.n_head, size, scale)
        output = model.get_output_embeddings()
        self.vocabulary = output.weight.shape[0]
        self._head = layout.head(output)
        self._eps = float(config.layer_norm_epsilon)
        self._act = base.h[0].mlp.act
        self._words = layout.words(base.wte)
        self._places = layout.vector(base.wpe.weight)
        self._norm = _norm(base.ln_f, layout)
        self._layers = [
            _Layer(
                before=_norm(layer.ln_1, layout),
                qkv=layout.turned(layer.attn.c_attn),
                out=layout.turned(layer.attn.c_proj),
                after=_norm(layer.ln_2, layout),
                wide=layout.turned(layer.mlp.c_fc),
                narrow=layout.turned(layer.mlp.c_proj),
            )
            for layer in base.h
        ]

    @staticmethod
    def takes(model: Any) -> bool:
        """Whether the model has the parts, and no others."""
        config = model.config
        return (
            getattr(config, "model_type", "") == "gpt2"
            and hasattr(model, "transformer")
            and not getattr(config, "add_cross_attention", False)
            and not getattr(config, "scale_attn_by_inverse_layer_idx", False)
        )

    def hidden(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: Attention,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """See `Decoder.hidden`."""
        rows, new = ids.shape
        shape = self.shape
        x = self._words(ids.reshape(-1)) + self._places[positions.reshape(-1)]
        wide = (x.shape[-1],)
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(layer_norm(x, wide, *layer.before, self._eps))
            query, key, value = (
                part.reshape(rows, new, shape.heads, shape.size) for part in qkv.chunk(3, dim=-1)
            )
            x = layer.out.added(cache.attend(number, query, key, value, mask), x)
            if new > 1 and number == len(self._layers) - 1 and not cache.every:
                # Behind the last attention only the last token of each row matters.
                x = x.view(rows, new, -1)[:, -1].contiguous()
            h = self._act(layer.wide(layer_norm(x, wide, *layer.after, self._eps)))
            x = layer.narrow.added(h, x)
        return layer_norm(x, wide, *self._norm, self._eps)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """See `Decoder.logits`."""
        return self._head(hidden).float()


def _norm(layer: Any, layout: Layout) -> Norm:
    return layout.vector(layer.weight), layout.vector(layer.bias)
