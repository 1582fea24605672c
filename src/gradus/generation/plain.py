"""Writing with a model's own loop, for families that have no `Decoder`: one prompt at a time.

Legend: B rows, T tokens so far, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from gradus.generation.base import Continuation, Generator, Task, Told
from gradus.generation.decoding import Decoding
from gradus.generation.fitting import Encoded, encoded
from gradus.generation.sampling import choose, draws, penalised
from gradus.generation.texts import Written


class PlainGenerator(Generator):
    """A causal language model of transformers, by its ``generate``."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        ends: frozenset[int],
        limit: int | None,
        contract: Mapping[str, str],
        digest: str = "",
    ) -> None:
        """`ends` are the tokens that end a text."""
        self.contract, self.digest, self.limit = contract, digest, limit
        self._model, self.tokenizer, self._ends = model, tokenizer, ends
        self.tokens_seen = self.tokens_written = 0

    @property
    def finite(self) -> bool:
        """Whether all weights are numbers."""
        return all(bool(weight.isfinite().all()) for weight in self._model.parameters())

    @torch.inference_mode()
    def write(
        self, tasks: Sequence[Task], settings: Decoding, told: Told | None = None
    ) -> Iterator[tuple[int, Continuation]]:
        """See `Generator.write`."""
        for item in encoded(self.tokenizer, tasks, settings, self.limit):
            if settings.beams > 1:
                found = self._search(item, settings)
                if told is not None:
                    told(found.text)
            else:
                found = self.one(item, settings, told)
            yield item.task.place, found

    def one(self, item: Encoded, settings: Decoding, told: Told | None) -> Continuation:
        """What is written after a prompt: token by token, each of them our choice."""
        written = Written(self.tokenizer, item.ids, settings.stop)
        uniform = draws(item.task.seed) if settings.draws else None
        ended = False

        def chosen(_: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            """Logits that leave one token: ours to choose, as with any back end."""
            number = 0.0 if uniform is None else float(uniform.random())
            left = penalised(logits.float(), settings, [item.ids], [written.ids])
            token = choose(left, settings, torch.tensor([number], dtype=torch.float64))
            return torch.full_like(logits, float("-inf")).index_fill_(1, token, 0.0)

        def stops(ids: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
            nonlocal ended
            token = int(ids[0, -1])
            ended = token in self._ends
            if not ended:
                written.add(token)
                ended = written.stopped
            if told is not None:
                told(written.fresh(last=ended or len(written.ids) == settings.max_tokens))
            return torch.tensor([ended])

        self._generate(item, settings, [chosen], [stops])
        return Continuation(written.text, len(written.ids), ended)

    def _search(self, item: Encoded, settings: Decoding) -> Continuation:
        """By transformers' own beam search, with our penalties and stop strings."""
        start = len(item.ids)

        def written(ids: Sequence[int]) -> Written:
            text = Written(self.tokenizer, item.ids, settings.stop)
            for token in ids:
                text.add(token)
            return text

        def weighed(ids: torch.Tensor, nats: torch.Tensor) -> torch.Tensor:
            prompts = [item.ids] * len(ids)
            return penalised(nats, settings, prompts, ids[:, start:].tolist())

        def stops(ids: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
            rows = ids[:, start:].tolist()
            return torch.tensor(
                [bool(settings.stop) and written(self._own(row)).stopped for row in rows]
            )

        full = self._generate(
            item,
            settings,
            [weighed],
            [stops],
            num_beams=settings.beams,
            length_penalty=settings.length_penalty,
            early_stopping=False,
        )
        new = full[0, start:].tolist()
        text = written(self._own(new))
        ended = text.stopped or any(token in self._ends for token in new)
        return Continuation(text.text, len(text.ids), ended)

    def _own(self, ids: Sequence[int]) -> list[int]:
        """The tokens before one that ends the text."""
        size = next((n for n, token in enumerate(ids) if token in self._ends), len(ids))
        return list(ids[:size])

    def _generate(
        self, item: Encoded, settings: Decoding, weigh: list[Any], stop: list[Any], **more: Any
    ) -> torch.Tensor:
        """int64 [1, T], the prompt and what transformers wrote after it."""
        ids = torch.tensor([item.ids])
        full: torch.Tensor = self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=settings.max_tokens,
            do_sample=False,
            logits_processor=weigh,
            stopping_criteria=stop,
            pad_token_id=next(iter(self._ends), 0),
            **more,
        )
        new = full.shape[1] - len(item.ids)
        self.tokens_written += new
        self.tokens_seen += len(item.ids) + new - 1
        return full
