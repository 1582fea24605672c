"""Writing with torch: many prompts at a time, one token of each a step.

Legend: B rows, T tokens, P tokens of a shared prefix, S slots of the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gradus.generation.base import Generator, Task
from gradus.generation.cache import Cache
from gradus.generation.decoder import Decoder
from gradus.generation.decoding import Decoding
from gradus.generation.fitting import Encoded, batches, encoded, prefix_of
from gradus.generation.sampling import choose, draws
from gradus.generation.texts import Written

# Slots of the cache of one batch: for SmolLM2-135M in float32 0.75 GB.
SLOTS = 16_384
ROWS = 32
# Tokens fed at a time, so that activations stay small beside the weights.
FED = 2_048


@dataclass(slots=True)
class _Row:
    """A text that is being written."""

    place: int
    length: int
    text: Written
    uniform: Any

    def draw(self) -> float:
        """The number that the next token is drawn by; none is used up where nothing is drawn."""
        return float(self.uniform.random()) if self.uniform is not None else 0.0


class TorchGenerator(Generator):
    """A model of a family that has a `Decoder`."""

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: Any,
        *,
        ends: frozenset[int],
        limit: int | None,
        contract: Mapping[str, str],
        digest: str = "",
        slots: int = SLOTS,
    ) -> None:
        """`ends` are the tokens that end a text; `slots` bounds the cache of a batch."""
        self.contract, self.digest, self.limit = contract, digest, limit
        self._decoder, self._tokenizer, self._ends = decoder, tokenizer, ends
        self._slots = slots
        self._cache = Cache(decoder.shape, decoder.dtype)
        self.tokens_seen = self.tokens_written = 0

    def write(self, tasks: Sequence[Task], settings: Decoding) -> Iterator[tuple[int, str]]:
        """See `Generator.write`."""
        items = encoded(self._tokenizer, tasks, settings, self.limit)
        for places in batches(items, settings, self._slots, ROWS):
            yield from self._batch([items[place] for place in places], settings)

    @torch.inference_mode()
    def _batch(self, items: Sequence[Encoded], settings: Decoding) -> Iterator[tuple[int, str]]:
        rows = [
            _Row(
                item.task.place,
                len(item.ids),
                Written(self._tokenizer, item.ids, settings.stop),
                None if settings.greedy else draws(item.task.seed),
            )
            for item in items
        ]
        hidden = self._prompts([item.ids for item in items], settings.max_tokens)
        while True:
            uniform = torch.tensor([row.draw() for row in rows], dtype=torch.float64)
            tokens = choose(self._decoder.logits(hidden), settings, uniform).tolist()
            going = []
            for number, (row, token) in enumerate(zip(rows, tokens, strict=True)):
                if self._add(row, token, settings):
                    yield row.place, row.text.text
                else:
                    going.append(number)
            if not going:
                return
            if len(going) < len(rows):
                self._cache.keep(going)
                rows, tokens = [rows[i] for i in going], [tokens[i] for i in going]
            hidden = self._step(rows, tokens)

    def _add(self, row: _Row, token: int, settings: Decoding) -> bool:
        """Take a token; whether the text ends here."""
        self.tokens_written += 1
        if token in self._ends:
            return True
        row.text.add(token)
        return row.text.stopped or len(row.text.ids) >= settings.max_tokens

    def _step(self, rows: Sequence[_Row], tokens: Sequence[int]) -> torch.Tensor:
        """Hidden states [B, d] of the tokens just chosen."""
        places = torch.tensor([[row.length + len(row.text.ids) - 1] for row in rows])
        self.tokens_seen += len(rows)
        return self._decoder.feed(torch.tensor(tokens)[:, None], places, self._cache)

    def _prompts(self, prompts: Sequence[tuple[int, ...]], new: int) -> torch.Tensor:
        """Hidden states [B, d] of the prompts' last tokens; the cache then holds the prompts."""
        cache, same = self._cache, prefix_of(prompts)
        width = max(map(len, prompts)) - same
        cache.begin(len(prompts), same + width + new)
        if same:
            one = cache.part(0, 1)
            self._fill(one, torch.tensor([prompts[0][:same]]), torch.arange(same)[None])
            cache.end = same
            cache.spread()
        rest = [prompt[same:] for prompt in prompts]
        self.tokens_seen += same + sum(map(len, rest))
        pads = [width - len(row) for row in rest]
        if any(pads):
            cache.seen = torch.ones(len(prompts), cache.slots, dtype=torch.bool)
            for row, pad in enumerate(pads):
                cache.seen[row, same : same + pad] = False
        ids = torch.tensor([[0] * pad + list(row) for pad, row in zip(pads, rest, strict=True)])
        # Padding has place 0; nothing looks at it.
        places = (torch.arange(width)[None] - torch.tensor(pads)[:, None]).clamp(min=0) + same
        size = max(1, FED // width)
        found = [
            self._fill(cache.part(low, low + size), ids[low : low + size], places[low : low + size])
            for low in range(0, len(prompts), size)
        ]
        cache.end = same + width
        return torch.cat(found)

    def _fill(self, cache: Cache, ids: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Feed prompts, or what follows a prefix, a stretch of tokens at a time."""
        hidden = torch.empty(0)
        for low in range(0, ids.shape[1], FED):
            part = slice(low, low + FED)
            hidden = self._decoder.feed(ids[:, part], places[:, part], cache)
        return hidden
