"""Llama and what is built like it (Mistral, Qwen 2 and 3): rotary positions, gated layers.

Legend: B rows, T new tokens of a row, N = B T, d hidden size, H heads, K key-value heads, k size
of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import rms_norm, silu

from gradus.generation.cache import Cache, Shape
from gradus.generation.decoder import Attention, Decoder
from gradus.generation.matrix import Layout, Product
from gradus.generation.norms import RmsNorm

# Positions are turned by the same angles however long a text is.
_FIXED = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights of a layer; matrices of the same input are one."""

    before: RmsNorm
    qkv: Product
    turned: torch.Tensor | None
    out: Product
    after: RmsNorm
    wide: Product
    narrow: Product


class LlamaDecoder(Decoder):
    """See `Decoder`."""

    def __init__(self, model: Any, layout: Layout) -> None:
        """Lay out the weights of a ``...ForCausalLM`` of transformers."""
        base, config = model.model, model.config
        attention = base.layers[0].self_attn
        heads, shared = config.num_attention_heads, config.num_key_value_heads
        self.dtype = layout.dtype
        self.shape = Shape(
            len(base.layers), heads, shared, attention.head_dim, float(attention.scaling)
        )
        output = model.get_output_embeddings()
        self.vocabulary = output.weight.shape[0]
        self._eps = float(config.rms_norm_eps)
        self._layers = [self._layer(layer, layout) for layer in base.layers]
        self._words = layout.words(base.embed_tokens)
        self._norm = self._norm_of(base.norm, layout)
        self._head = layout.head(output)
        self._rotary = base.rotary_emb
        self._cos = self._sin = torch.empty(0)

    @staticmethod
    def takes(model: Any) -> bool:
        """Whether the model has the parts, and no others."""
        config = model.config
        rope = getattr(config, "rope_parameters", None) or {}
        layers: Any = getattr(getattr(model, "model", None), "layers", None)
        return (
            layers is not None
            and rope.get("rope_type", "default") in _FIXED
            and getattr(config, "hidden_act", "") == "silu"
            and not getattr(config, "sliding_window", None)
            and hasattr(layers[0], "self_attn")
            and hasattr(layers[0].self_attn, "q_proj")
            and hasattr(layers[0].mlp, "gate_proj")
        )

    def _layer(self, layer: Any, layout: Layout) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        turned = None
        if hasattr(attention, "q_norm"):
            per_head = [attention.q_norm.weight] * self.shape.heads
            per_head += [attention.k_norm.weight] * self.shape.shared
            turned = layout.vector(torch.stack(per_head))
        return _Layer(
            before=self._norm_of(layer.input_layernorm, layout),
            qkv=layout.matrix(attention.q_proj, attention.k_proj, attention.v_proj),
            turned=turned,
            out=layout.matrix(attention.o_proj),
            after=self._norm_of(layer.post_attention_layernorm, layout),
            wide=layout.matrix(mlp.gate_proj, mlp.up_proj),
            narrow=layout.matrix(mlp.down_proj),
        )

    def _norm_of(self, part: Any, layout: Layout) -> RmsNorm:
        return RmsNorm(layout.vector(part.weight), self._eps)

    def _turn_up_to(self, positions: int) -> None:
        """Tables of cosines and sines [positions, 1, k]; the sines' first half is negated."""
        if len(self._cos) >= positions:
            return
        size, half = max(256, positions, 2 * len(self._cos)), self.shape.size // 2
        cos, sin = self._rotary(torch.zeros(1), torch.arange(size)[None])
        sin = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1)
        self._cos = cos[0, :, None].to(self.dtype)
        self._sin = sin[:, None].to(self.dtype)

    def hidden(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: Attention,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """See `Decoder.hidden`."""
        rows, new = ids.shape
        self._turn_up_to(cache.slots)
        flat = positions.reshape(-1)
        turn = self._cos[flat], self._sin[flat]
        x = self._words(ids.reshape(-1))
        for number, layer in enumerate(self._layers):
            h = layer.before(x)
            seen = self._attention(number, h, (rows, new), turn, cache, mask)
            x = layer.out.added(seen, x)
            if new > 1 and number == len(self._layers) - 1 and not cache.every:
                # Behind the last attention only the last token of each row matters.
                x = x.view(rows, new, -1)[:, -1].contiguous()
            h = layer.after(x)
            gate, up = layer.wide(h).chunk(2, dim=-1)
            x = layer.narrow.added(silu(gate).mul_(up), x)
        return self._norm(x)

    def _attention(
        self,
        number: int,
        h: torch.Tensor,
        lengths: tuple[int, int],
        turn: tuple[torch.Tensor, torch.Tensor],
        cache: Attention,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """[N, H k], what the tokens of h [N, d] see; `turn` are their cosines and sines."""
        shape, layer = self.shape, self._layers[number]
        qkv = layer.qkv(h).view(-1, shape.heads + 2 * shape.shared, shape.size)
        first, value = torch.split(qkv, [shape.heads + shape.shared, shape.shared], dim=1)
        if layer.turned is not None:
            first = rms_norm(first, (shape.size,), None, self._eps) * layer.turned
        # Half of a head's values turn with the other half: swapped halves times signed sines.
        cos, sin = turn
        first = torch.addcmul(first * cos, first.roll(shape.size // 2, -1), sin)
        query, key = torch.split(first, [shape.heads, shape.shared], dim=1)
        if lengths[1] == 1 and isinstance(cache, Cache):
            return cache.attend_one(number, query, key, value, mask)
        query, key, value = (part.reshape(*lengths, -1, shape.size) for part in (query, key, value))
        return cache.attend(number, query, key, value, mask)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """See `Decoder.logits`."""
        return self._head(hidden).float()
