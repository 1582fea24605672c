"""GPT-2: learnt positions, one matrix for queries, keys and values.

Legend: as `gradus.generation.llama`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch.nn.functional import embedding, layer_norm

from gradus.generation.cache import Shape
from gradus.generation.decoder import Attention, Decoder
from gradus.generation.matrix import ROWS, Matrix

Norm = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of a layer."""

    before: Norm
    qkv: Matrix
    out: Matrix
    after: Norm
    wide: Matrix
    narrow: Matrix


class Gpt2Decoder(Decoder):
    """See `Decoder`."""

    def __init__(self, model: Any, dtype: torch.dtype, *, rows: int = ROWS) -> None:
        """Lay out the weights of a ``GPT2LMHeadModel``."""
        base, config = model.transformer, model.config
        size = config.n_embd // config.n_head
        scale = float(base.h[0].attn.scaling)
        self.dtype = dtype
        self.shape = Shape(len(base.h), config.n_head, config.n_head, size, scale)
        self._output = model.get_output_embeddings()
        self.vocabulary = self._output.weight.shape[0]
        self._eps = float(config.layer_norm_epsilon)
        self._act = base.h[0].mlp.act
        self._words = base.wte.weight.detach().to(dtype)
        self._places = base.wpe.weight.detach().to(dtype)
        self._norm = _norm(base.ln_f, dtype)
        self._layers = [
            _Layer(
                before=_norm(layer.ln_1, dtype),
                qkv=_matrix(layer.attn.c_attn, dtype, rows),
                out=_matrix(layer.attn.c_proj, dtype, rows),
                after=_norm(layer.ln_2, dtype),
                wide=_matrix(layer.mlp.c_fc, dtype, rows),
                narrow=_matrix(layer.mlp.c_proj, dtype, rows),
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
        x = (embedding(ids, self._words) + embedding(positions, self._places)).view(rows * new, -1)
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

    @cached_property
    def _head(self) -> Matrix:
        """The vocabulary, which a scorer reads in another way."""
        return Matrix.of(self._output, dtype=self.dtype)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """See `Decoder.logits`."""
        return self._head(hidden).float()


def _norm(layer: Any, dtype: torch.dtype) -> Norm:
    return layer.weight.detach().to(dtype), layer.bias.detach().to(dtype)


def _matrix(layer: Any, dtype: torch.dtype, rows: int) -> Matrix:
    """Of a ``Conv1D``, which keeps its weight the other way round."""
    return Matrix([layer.weight.t()], [layer.bias], dtype, rows)
