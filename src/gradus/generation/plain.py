"""Writing with a model's own loop, for families that have no `Decoder`: one prompt at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from gradus.generation.base import Generator, Task
from gradus.generation.decoding import Decoding
from gradus.generation.fitting import encoded
from gradus.generation.sampling import choose, draws
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
        self._model, self._tokenizer, self._ends = model, tokenizer, ends
        self.tokens_seen = self.tokens_written = 0

    @torch.inference_mode()
    def write(self, tasks: Sequence[Task], settings: Decoding) -> Iterator[tuple[int, str]]:
        """See `Generator.write`."""
        for item in encoded(self._tokenizer, tasks, settings, self.limit):
            written = Written(self._tokenizer, item.ids, settings.stop)
            uniform = None if settings.greedy else draws(item.task.seed)

            def chosen(_: torch.Tensor, logits: torch.Tensor, uniform: Any = uniform) -> Any:
                """Logits that leave one token: ours to choose, as with any back end."""
                number = 0.0 if uniform is None else float(uniform.random())
                given = torch.tensor([number], dtype=torch.float64)
                token = choose(logits.float(), settings, given)
                return torch.full_like(logits, float("-inf")).index_fill_(1, token, 0.0)

            def ended(ids: torch.Tensor, _: Any, written: Written = written, **__: Any) -> Any:
                token = int(ids[0, -1])
                if token not in self._ends:
                    written.add(token)
                return torch.tensor([written.stopped or token in self._ends])

            ids = torch.tensor([item.ids])
            full = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=settings.max_tokens,
                do_sample=False,
                logits_processor=[chosen],
                stopping_criteria=[ended],
                pad_token_id=next(iter(self._ends), 0),
            )
            new = full.shape[1] - len(item.ids)
            self.tokens_written += new
            self.tokens_seen += len(item.ids) + new - 1
            yield item.task.place, written.text
