"""A family's forward pass without what training and generality cost it.

Legend: B rows, T new tokens of a row, d hidden size, V vocabulary, S slots.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import torch

from gradus.generation.cache import Cache, Shape
from gradus.generation.matrix import ROWS, Layout

PROBE_TOLERANCE = 1e-4


class Attention(Protocol):
    """What new tokens see, and where their keys and values go: `Cache`, or the row of a scorer.

    Attributes:
        slots: positions are below it.
        every: whether all tokens' hidden states are wanted; else only the last of each row.
    """

    @property
    def slots(self) -> int: ...  # noqa: D102  # said above

    @property
    def every(self) -> bool: ...  # noqa: D102  # said above

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """As `Cache.attend`."""
        ...


class Decoder(ABC):
    """Weights of a causal language model, laid out for writing or scoring.

    Attributes:
        dtype: of weights and hidden states.
        shape: of its attention.
        vocabulary: V.
    """

    dtype: torch.dtype
    shape: Shape
    vocabulary: int

    @abstractmethod
    def hidden(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: Attention,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Hidden states [B, d] of the last tokens of `ids` (int64 [B, T]), before the head.

        Where `cache` wants every token's, [B T, d]. `positions` (int64 [B, T]) are the tokens'
        places in their texts.
        """

    @abstractmethod
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """float32 [B, V]."""

    def feed(self, ids: torch.Tensor, positions: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Hidden states [B, d] of the last tokens; the cache then holds the new ones."""
        found = self.hidden(ids, positions, cache, cache.mask(ids.shape[1]))
        cache.end += ids.shape[1]
        return found


def of(
    model: Any, dtype: torch.dtype, *, rows: int = ROWS, layout: Layout | None = None
) -> Decoder | None:
    """The decoder for a model of transformers; None for a family that has none.

    Its matrices are laid out for products with so many `rows`, or as `layout` says. Whether it
    computes what the model does is found out by trying in float32, see `agrees`.
    """
    from gradus.generation.gpt2 import Gpt2Decoder
    from gradus.generation.llama import LlamaDecoder

    for kind in (LlamaDecoder, Gpt2Decoder):
        if kind.takes(model):
            try:
                exact = kind(model, Layout(torch.float32, rows))
                if not agrees(exact, model):
                    return None
                if layout is None and dtype == torch.float32:
                    return exact
                return kind(model, layout or Layout(dtype, rows))
            except (AttributeError, KeyError, TypeError, ValueError, RuntimeError, IndexError):
                # A model of the family's name whose layers are built in another way.
                return None
    return None


@torch.inference_mode()
def agrees(decoder: Decoder, model: Any) -> bool:
    """Whether a prompt, a second one beside it and steps after them give the model's own logits."""
    usable = min(decoder.vocabulary, 64)
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(0, usable, (2, 9), generator=draw)
    expected = model(input_ids=ids, use_cache=False).logits.float()
    cache = Cache(decoder.shape, decoder.dtype)
    cache.begin(2, 9)
    places = torch.arange(9).expand(2, 9)
    found = [decoder.logits(decoder.feed(ids[:, :5], places[:, :5], cache))]
    found.append(decoder.logits(decoder.feed(ids[:, 5:7], places[:, 5:7], cache)))
    found += [
        decoder.logits(decoder.feed(ids[:, t : t + 1], places[:, t : t + 1], cache)) for t in (7, 8)
    ]
    seen, wanted = torch.stack(found, dim=1), expected[:, [4, 6, 7, 8]]
    if seen.shape != wanted.shape:
        return False
    scale = (wanted - wanted.mean(dim=-1, keepdim=True)).abs().max()
    return bool((seen - wanted).abs().max() <= PROBE_TOLERANCE * scale)
