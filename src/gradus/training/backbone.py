"""A transformer that can be run in parts: lower layers once, upper layers often.

Legend: T tokens of a packed batch, d hidden size, L layers, v virtual tokens of an adapter; layer
K's input is hidden state K, so hidden state 0 is what the embeddings give.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import pad

from gradus.training import packing
from gradus.training.adapters.attached import of
from gradus.training.groups import LayerGroups, find_groups
from gradus.training.packing import Batch, Layout, Tokens, laid_out

PROBE_TOLERANCE = 1e-4


class Backbone:
    """A model without its task head.

    The model's own `forward` always does the work, with the layers outside the wanted part
    skipped and a known hidden state put in where the part begins. Masks, positions and rotary
    embeddings are therefore the model's own business, whatever its family.

    Attributes:
        model: the transformers model (``AutoModel``).
        groups: its layers.
        packs: whether several texts may lie in one row; found out by trying. If not, a batch is
            run one run of equal length at a time, still without padding.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval()
        self.look_again()

    def look_again(self) -> None:
        """See what the model is made of: now, and whenever an adapter was put on or merged."""
        model = self.model
        self.groups: LayerGroups = find_groups(model)
        self._adapter = of(model)
        self.width = int(model.config.hidden_size)  # type: ignore[union-attr, arg-type]  # nn.Module types attributes as tensors
        parameters = inspect.signature(model.forward).parameters
        sides = int(getattr(model.config, "type_vocab_size", None) or 0)
        self._sides = "token_type_ids" in parameters and sides > 1
        self._options: dict[str, Any] = {"use_cache": False} if "use_cache" in parameters else {}
        self._position_start = position_start(model)
        self._tuples = False
        self.packs = "position_ids" in parameters and self._use_packed_attention()
        if self.packs:
            self.packs = self._probe()
        if not self.packs:
            self.model.set_attn_implementation("sdpa")  # type: ignore[operator]  # as above

    @property
    def layers(self) -> int:
        """L."""
        return len(self.groups.layers)

    def run(
        self,
        batch: Batch,
        hidden: torch.Tensor | None = None,
        low: int = 0,
        high: int | None = None,
    ) -> torch.Tensor:
        """Layers `low` to `high` (exclusive; None for all and what follows them).

        `hidden` is hidden state `low` [T, d]; None begins with the embeddings, and `low` is then 0.
        Returns hidden state `high`, or the model's output, [T, d]. Virtual tokens that an adapter
        puts before each text have rows in the hidden states between, not in the output.
        """
        top = self.layers if high is None else high
        if self.packs:
            return self._forward(batch.ids, batch.types, batch.layout, hidden, low, top)
        parts = []
        prompt = self._adapter.input() if self._adapter else None
        wide = batch.layout.lengthened(0 if prompt is None else len(prompt))
        for (part, n, length), (rows, _, _) in zip(
            batch.layout.slices(), wide.slices(), strict=True
        ):
            layout = Layout(((n, length),))
            given = None if hidden is None else hidden[rows]
            types = None if batch.types is None else batch.types[part]
            parts.append(self._forward(batch.ids[part], types, layout, given, low, top))
        return torch.cat(parts)

    def _forward(
        self,
        ids: torch.Tensor,
        types: torch.Tensor | None,
        layout: Layout,
        hidden: torch.Tensor | None,
        low: int,
        high: int,
    ) -> torch.Tensor:
        inputs, wide = self._inputs(ids, layout)
        if types is not None and self._sides:
            # Virtual tokens stand on the first text's side.
            sides = [
                pad(run, (wide_length - run.shape[1], 0))
                for run, (_, wide_length) in zip(layout.split(types), wide.runs, strict=True)
            ]
            shape = (1, wide.tokens) if self.packs else wide.runs[0]
            inputs["token_type_ids"] = torch.cat([s.flatten() for s in sides]).view(shape)
        shape = (1, wide.tokens) if self.packs else wide.runs[0]
        captured: list[torch.Tensor] = []
        with ExitStack() as stack:
            stack.enter_context(self._only(low, high))
            if hidden is not None:
                given = hidden.view(*shape, -1)
                stack.enter_context(_before(self.groups.layers[low], lambda _: given))
            if high < self.layers:
                stack.enter_context(_before(self.groups.layers[high], captured.append))
            stack.enter_context(laid_out(wide))
            output = self.model(**inputs)
        result = captured[0] if captured else output.last_hidden_state
        rows = result.reshape(wide.tokens, -1)
        if captured or wide is layout:
            return rows
        pairs = zip(wide.split(rows), layout.runs, strict=True)
        return torch.cat([run[:, -length:].flatten(0, 1) for run, (_, length) in pairs])

    def _inputs(self, ids: torch.Tensor, layout: Layout) -> tuple[dict[str, Any], Layout]:
        """What the model is called with, and where the texts lie with their virtual tokens."""
        inputs, wide, before = dict(self._options), layout, 0
        prompt = self._adapter.input() if self._adapter else None
        if prompt is not None:
            wide = layout.lengthened(len(prompt))
        shape = (1, wide.tokens) if self.packs else wide.runs[0]
        if prompt is None:
            inputs["input_ids"] = ids.view(shape)
        else:
            words = self.model.get_input_embeddings()(ids)  # type: ignore[operator]  # nn.Module types attributes as tensors
            runs = [
                torch.cat([prompt.expand(len(run), -1, -1), run], dim=1).flatten(0, 1)
                for run in layout.split(words)
            ]
            inputs["inputs_embeds"] = torch.cat(runs).view(*shape, -1)
        past = self._adapter.past(shape[0]) if self._adapter else None
        if past is not None:
            inputs["past_key_values"] = past
            before = past.get_seq_length()
        if self.packs:
            inputs["position_ids"] = (wide.positions() + self._position_start + before)[None]
        return inputs, wide

    @contextmanager
    def _only(self, low: int, high: int) -> Iterator[None]:
        """Layers outside `low` .. `high` hand their input on."""
        with self.without([k for k in range(self.layers) if not low <= k < high]):
            yield

    @contextmanager
    def without(self, numbers: Iterable[int]) -> Iterator[None]:
        """Inside the block the layers `numbers` hand their input on, as if they weren't there."""
        every = [self.groups.layers[k] for k in numbers]
        skipped = [layer for layer in every if "forward" not in layer.__dict__]
        for layer in skipped:
            layer.forward = self._hand_on
        try:
            yield
        finally:
            for layer in skipped:
                del layer.forward

    def _hand_on(self, *args: Any, **kwargs: Any) -> Any:
        hidden = args[0] if args else kwargs["hidden_states"]
        return (hidden,) if self._tuples else hidden

    def _use_packed_attention(self) -> bool:
        packing.register()
        try:
            self.model.set_attn_implementation(packing.ATTENTION)  # type: ignore[operator]  # nn.Module types attributes as tensors
        except (ValueError, AttributeError):
            return False
        return True

    @torch.inference_mode()
    def _probe(self) -> bool:
        """Whether texts in one row give what each gives alone under the model's usual attention."""
        vocabulary = self.model.get_input_embeddings().num_embeddings  # type: ignore[operator]  # as above
        # RoBERTa gives padding tokens, which no text holds, a position of their own.
        padding = getattr(self.model.config, "pad_token_id", None)
        usable = [i for i in range(min(vocabulary, 32)) if i != padding]
        texts = [[usable[(7 * i + j) % len(usable)] for j in range(3 + 2 * i)] for i in range(3)]
        batch = Tokens(texts).batch(range(3))
        seen: list[Any] = []
        handle = self.groups.layers[0].register_forward_hook(lambda *a: seen.append(a[2]))
        try:
            packed = self.run(batch)
        except (TypeError, ValueError, RuntimeError, IndexError):
            # An architecture whose attention or positions don't take packed rows.
            return False
        finally:
            handle.remove()
        self._tuples = isinstance(seen[0], tuple)
        self.packs = False
        self.model.set_attn_implementation("sdpa")  # type: ignore[operator]  # as above
        expected = self.run(batch)
        self.model.set_attn_implementation(packing.ATTENTION)  # type: ignore[operator]  # as above
        error = (packed - expected).abs().max() / expected.abs().max()
        return bool(error < PROBE_TOLERANCE)


def position_start(model: nn.Module) -> int:
    """The first position's number: RoBERTa counts on from the padding token's."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            return 0 if module.padding_idx is None else int(module.padding_idx) + 1
    return 0


@contextmanager
def _before(layer: nn.Module, use: Callable[[torch.Tensor], torch.Tensor | None]) -> Iterator[None]:
    """`use` gets the layer's input; a tensor that it returns takes the input's place."""

    def hook(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        replacement = use(args[0] if args else kwargs["hidden_states"])
        if replacement is None:
            return None
        if args:
            return (replacement, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": replacement}

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
