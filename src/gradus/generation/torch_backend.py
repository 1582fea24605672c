"""Writing with torch: many prompts at a time, one token of each a step.

Legend: B rows, T tokens, P tokens of a shared prefix, S slots of the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gradus.generation.base import Continuation, Generator, Task, Told
from gradus.generation.beams import Search
from gradus.generation.cache import Cache
from gradus.generation.continuous import Continuous
from gradus.generation.decoder import Decoder
from gradus.generation.decoding import Decoding
from gradus.generation.fitting import Encoded, batches, encoded, prefix_of
from gradus.generation.sampling import choose, draws, penalised
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
    prompt: tuple[int, ...]
    text: Written
    uniform: Any
    ended: bool = False

    def draw(self) -> float:
        """The number that the next token is drawn by; none is used up where nothing is drawn."""
        return float(self.uniform.random()) if self.uniform is not None else 0.0

    @property
    def found(self) -> Continuation:
        """What was written so far."""
        return Continuation(self.text.text, len(self.text.ids), self.ended)


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
        self._decoder, self.tokenizer, self._ends = decoder, tokenizer, ends
        self._slots = slots
        self._cache = Cache(decoder.shape, decoder.dtype)
        self.tokens_seen = self.tokens_written = 0

    def continuous(self, rows: int = ROWS) -> Continuous:
        """The same model for texts that begin and end whenever they like, `rows` at a time."""
        return Continuous(
            self._decoder, self.tokenizer, ends=self._ends, rows=rows, slots=self._slots
        )

    def write(
        self, tasks: Sequence[Task], settings: Decoding, told: Told | None = None
    ) -> Iterator[tuple[int, Continuation]]:
        """See `Generator.write`."""
        items = encoded(self.tokenizer, tasks, settings, self.limit)
        if settings.beams > 1:
            for item in items:
                found = self._search(item, settings)
                if told is not None:
                    told(found.text)
                yield item.task.place, found
            return
        for places in batches(items, settings, self._slots, ROWS):
            yield from self._batch([items[place] for place in places], settings, told)

    @torch.inference_mode()
    def _batch(
        self, items: Sequence[Encoded], settings: Decoding, told: Told | None
    ) -> Iterator[tuple[int, Continuation]]:
        rows = [
            _Row(
                item.task.place,
                item.ids,
                Written(self.tokenizer, item.ids, settings.stop),
                draws(item.task.seed) if settings.draws else None,
            )
            for item in items
        ]
        hidden = self._prompts([item.ids for item in items], settings.max_tokens)
        while True:
            tokens = self._choose(rows, hidden, settings)
            going = []
            for number, (row, token) in enumerate(zip(rows, tokens, strict=True)):
                done = self._add(row, token, settings)
                if told is not None:
                    told(row.text.fresh(last=done))
                if done:
                    yield row.place, row.found
                else:
                    going.append(number)
            if not going:
                return
            if len(going) < len(rows):
                self._cache.keep(going)
                rows, tokens = [rows[i] for i in going], [tokens[i] for i in going]
            hidden = self._step([len(row.prompt) + len(row.text.ids) for row in rows], tokens)

    def _choose(self, rows: Sequence[_Row], hidden: torch.Tensor, settings: Decoding) -> list[int]:
        """The next token of each row."""
        logits = self._decoder.logits(hidden)
        if settings.penalises:
            before, new = [row.prompt for row in rows], [row.text.ids for row in rows]
            logits = penalised(logits, settings, before, new)
        uniform = torch.tensor([row.draw() for row in rows], dtype=torch.float64)
        tokens: list[int] = choose(logits, settings, uniform).tolist()
        return tokens

    def _add(self, row: _Row, token: int, settings: Decoding) -> bool:
        """Take a token; whether the text ends here."""
        self.tokens_written += 1
        if token in self._ends:
            row.ended = True
            return True
        row.text.add(token)
        row.ended = row.text.stopped
        return row.ended or len(row.text.ids) >= settings.max_tokens

    @torch.inference_mode()
    def _search(self, item: Encoded, settings: Decoding) -> Continuation:
        """The text that beam search finds; the beams are the rows of the cache."""

        def written(ids: Sequence[int]) -> Written:
            text = Written(self.tokenizer, item.ids, settings.stop)
            for token in ids:
                text.add(token)
            return text

        def stops(ids: tuple[int, ...]) -> bool:
            return bool(settings.stop) and written(ids).stopped

        search = Search(item.ids, settings, self._ends, stops)
        hidden = self._prompts([item.ids] * settings.beams, settings.max_tokens)
        while True:
            parents = search.take(self._decoder.logits(hidden)[: len(search.beams)])
            if search.done:
                break
            # Rows that no text goes on in are fed too, so that they are there when one does.
            spare = settings.beams - len(parents)
            self._cache.take(parents + parents[-1:] * spare)
            tokens = [beam.ids[-1] for beam in search.beams]
            length = len(item.ids) + len(search.beams[0].ids)
            hidden = self._step([length] * settings.beams, tokens + tokens[-1:] * spare)
        best = search.best
        self.tokens_written += len(best.ids)
        text = written([token for token in best.ids if token not in self._ends])
        return Continuation(text.text, len(text.ids), best.ended)

    def _step(self, lengths: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """Hidden states [B, d] of the tokens just chosen, the last of texts of these lengths."""
        places = torch.tensor(lengths)[:, None] - 1
        self.tokens_seen += len(tokens)
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
