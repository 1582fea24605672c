"""What a causal language model expects next, token by token.

Legend: T tokens, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from gradus import hardware
from gradus.errors import UsageError
from gradus.generation.base import Task, seed_of
from gradus.generation.decoding import Decoding
from gradus.generation.explain.reading import Reader
from gradus.generation.explain.records import Explained, Position
from gradus.generation.fitting import encoded
from gradus.generation.opening import ends
from gradus.generation.sampling import choose, distribution, draws, penalised
from gradus.generation.texts import Written
from gradus.records import CheckpointRef
from gradus.scoring.load import load_causal_lm
from gradus.training.models import load_tokenizer, max_positions

# Tokens whose logits are held at a time.
STRETCH = 64


def explain_causal(
    ref: CheckpointRef, text: str, settings: Decoding | None, *, top: int, threads: int | None
) -> Explained:
    """See `gradus.generation.explain.explain`."""
    torch.set_num_threads(threads or hardware.threads())
    model, tokenizer = load_causal_lm(ref), load_tokenizer(ref)
    return explained(model, tokenizer, text, settings, top=top, name=ref.name)


@torch.inference_mode()
def explained(
    model: Any, tokenizer: Any, text: str, settings: Decoding | None, *, top: int, name: str
) -> Explained:
    """The same for a model of transformers, head included, and its tokenizer."""
    ids = _prompt(tokenizer, text, settings, max_positions(model))
    reader, rows = Reader(tokenizer, top), _Rows(model)
    places: list[Position] = [reader.first(ids[0])]
    last = torch.empty(0)
    for number, last in enumerate(rows.feed(ids), start=1):
        if number < len(ids):
            places.append(reader.read(last, number, "prompt", ids[number]))
    ended: bool | None = None
    if settings is None:
        places.append(reader.read(last, len(ids), "next", None))
    else:
        walk = _Walk(tokenizer, ids, settings, ends(model, tokenizer), text)
        while True:
            token, drawn = walk.choose(last)
            places.append(reader.read(last, len(places), "written", token, drawn))
            if walk.add(token):
                break
            (last,) = rows.feed([token])
        ended = walk.ended
    return Explained(
        model=name,
        sees="before",
        vocabulary=len(last),
        decoding=None if settings is None else settings.said,
        positions=tuple(places),
        ended=ended,
    )


def _prompt(
    tokenizer: Any, text: str, settings: Decoding | None, limit: int | None
) -> tuple[int, ...]:
    """The text's token ids.

    Raises:
        UsageError: they and what is written are more than the model has positions for.
    """
    one = settings or Decoding(max_tokens=1)
    (item,) = encoded(tokenizer, [Task(0, text, 0)], one, None)
    if limit is not None and len(item.ids) + one.max_tokens > limit:
        raise UsageError(
            f"the text has {len(item.ids):,} tokens, {one.max_tokens:,} are to follow, and the "
            f"model has positions for {limit:,}: shorten the text or lower max_tokens"
        )
    return item.ids


class _Rows:
    """Logits after each token, computed once where the model keeps keys and values."""

    def __init__(self, model: Any) -> None:
        self._model, self._cache = model, None
        self._all: list[int] = []

    def feed(self, ids: Sequence[int]) -> Iterator[torch.Tensor]:
        """float32 [V] after each of these tokens, which go on from those before."""
        for low in range(0, len(ids), STRETCH):
            part = list(ids[low : low + STRETCH])
            self._all += part
            kept: dict[str, Any] = {} if self._cache is None else {"past_key_values": self._cache}
            # A family without such a cache is fed everything again.
            given = part if kept else self._all
            out = self._model(input_ids=torch.tensor([given]), **kept)
            self._cache = getattr(out, "past_key_values", None)
            yield from out.logits[0, -len(part) :].float()


class _Walk:
    """The text as it is written: the same choices that a generator makes."""

    def __init__(
        self,
        tokenizer: Any,
        prompt: tuple[int, ...],
        settings: Decoding,
        ends: frozenset[int],
        text: str,
    ) -> None:
        self.ended = False
        self._written = Written(tokenizer, prompt, settings.stop)
        self._prompt, self._settings, self._ends = prompt, settings, ends
        self._uniform = draws(seed_of(text, 0, settings)) if settings.draws else None

    def choose(self, logits: torch.Tensor) -> tuple[int, torch.Tensor]:
        """The next token for logits [V], and the probabilities [V] that it was chosen by."""
        settings = self._settings
        left = penalised(logits[None], settings, [self._prompt], [self._written.ids])
        number = 0.0 if self._uniform is None else float(self._uniform.random())
        token = choose(left, settings, torch.tensor([number], dtype=torch.float64))
        return int(token), distribution(left, settings)[0]

    def add(self, token: int) -> bool:
        """Take a token; whether the text ends here."""
        if token in self._ends:
            self.ended = True
            return True
        self._written.add(token)
        self.ended = self._written.stopped
        return self.ended or len(self._written.ids) >= self._settings.max_tokens
