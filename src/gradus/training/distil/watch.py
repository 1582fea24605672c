"""Hidden states and attention of a backbone, taken while it runs.

Legend: T tokens of a packed batch, d hidden size, h heads, k size of a head, B texts.

A model is never asked to return them: a hook on each layer and a look at what attention is called
with give the same numbers, with their gradients, and cost nothing where nobody looks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from gradus.errors import TrainingError
from gradus.training import packing
from gradus.training.backbone import Backbone
from gradus.training.distil.losses import Heads
from gradus.training.packing import Layout

ATTENTION = "gradus_watched"
# Which watch a module's attention is told to, and as which layer.
_watched: WeakKeyDictionary[nn.Module, tuple[Watch, int]] = WeakKeyDictionary()


@dataclass(slots=True)
class Seen:
    """What one run of a backbone showed.

    Attributes:
        hidden: layer -> its output [T, d].
        attention: layer -> what its attention was called with: query, key, value [h, T, k], scale,
            whether it is causal, and its window.
    """

    hidden: dict[int, torch.Tensor] = field(default_factory=dict)
    attention: dict[int, tuple[torch.Tensor, ...]] = field(default_factory=dict)
    settings: dict[int, tuple[float, bool, int | None]] = field(default_factory=dict)

    def heads(self, layer: int, layout: Layout) -> list[Heads]:
        """A layer's attention, run by run."""
        scale, causal, window = self.settings[layer]
        parts = (list(layout.split(row, 1)) for row in self.attention[layer])
        return [
            Heads(q, k, v, scale, _seen(q.shape[2], causal, window))
            for q, k, v in zip(*parts, strict=True)
        ]


class Watch:
    """Looks at some layers of a backbone, between `open` and `close`.

    Attributes:
        seen: of the last run since `forget`.
    """

    def __init__(
        self, backbone: Backbone, *, hidden: Collection[int] = (), attention: Collection[int] = ()
    ) -> None:
        """`hidden` and `attention` are the layers that are looked at.

        Raises:
            TrainingError: attention is asked for, of an architecture that doesn't run packed.
        """
        self.backbone, self.seen = backbone, Seen()
        self._hidden, self._attention = sorted(hidden), sorted(attention)
        self._handles: list[Any] = []
        if self._attention and not backbone.packs:
            kind = getattr(backbone.model.config, "model_type", type(backbone.model).__name__)
            raise TrainingError(
                f"the attention of architecture '{kind}' can't be looked at: leave the losses "
                "attention and relations out"
            )

    def open(self) -> None:
        """Begin to look."""
        layers = self.backbone.groups.layers
        for k in self._hidden:
            self._handles.append(layers[k].register_forward_hook(self._keep(k)))
        if self._attention:
            _register()
            self.backbone.model.set_attn_implementation(ATTENTION)  # type: ignore[operator]  # nn.Module types attributes as tensors
        for k in self._attention:
            for module in layers[k].modules():
                _watched[module] = (self, k)

    def close(self) -> None:
        """Look no more; the model is as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._attention:
            self.backbone.model.set_attn_implementation(packing.ATTENTION)  # type: ignore[operator]  # as above
        for k in self._attention:
            for module in self.backbone.groups.layers[k].modules():
                _watched.pop(module, None)
        self.forget()

    def forget(self) -> None:
        """Drop what was seen."""
        self.seen = Seen()

    @contextmanager
    def looking(self) -> Iterator[Seen]:
        """Look at one run of a model that isn't trained."""
        self.open()
        try:
            yield self.seen
        finally:
            self.close()

    def told(self, module: nn.Module, layer: int, rows: Sequence[torch.Tensor], how: Any) -> None:
        """What the attention of `layer` is called with."""
        if self._wants(self.backbone.groups.layers[layer]):
            self.seen.attention[layer] = tuple(row.squeeze(0) for row in rows)
            self.seen.settings[layer] = how

    def _keep(self, k: int) -> Any:
        def hook(layer: nn.Module, _: Any, output: Any) -> None:
            if not self._wants(layer):
                return
            rows = output[0] if isinstance(output, tuple) else output
            rows = rows.reshape(-1, rows.shape[-1])
            # A model that doesn't run packed is run once for each run of the batch.
            before = self.seen.hidden.get(k)
            self.seen.hidden[k] = rows if before is None else torch.cat([before, rows])

        return hook

    def _wants(self, layer: nn.Module) -> bool:
        """Not of a layer that hands its input on, nor of what is run to be judged or cached."""
        return "forward" not in layer.__dict__ and not torch.is_inference_mode_enabled()


def _seen(length: int, causal: bool, window: int | None) -> torch.Tensor | None:
    """bool [L, L], which keys (columns) a query (row) sees; None where it sees all."""
    windowed = window is not None and length > window
    if not causal and not windowed:
        return None
    distance = torch.arange(length)[:, None] - torch.arange(length)[None]
    reach = int(window) if windowed and window is not None else length
    return (distance < reach) & (distance >= 0) if causal else distance.abs() < reach


def _watching_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    """Packed attention that is told to whoever watches the module."""
    found = _watched.get(module)
    if found is not None:
        causal = bool(getattr(module, "is_causal", False)) if is_causal is None else is_causal
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        found[0].told(module, found[1], (query, key, value), (scale, causal, sliding_window))
    return packing.packed_attention(
        module,
        query,
        key,
        value,
        attention_mask,
        scaling=scaling,
        dropout=dropout,
        sliding_window=sliding_window,
        is_causal=is_causal,
        **rest,
    )


def _register() -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, _watching_attention)
