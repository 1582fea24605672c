"""Pseudo-log-likelihoods under a masked language model (Salazar et al. 2020).

Legend: T tokens of a text, those that the tokenizer adds included; n copies of it in a batch.

Each token is masked in turn and scored from both sides: a text of T tokens is read as many times
as it has tokens of its own. Copies of texts of one length make a batch without padding; only the
hidden state at the mask goes through the head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from gradus.errors import CheckpointError, UsageError
from gradus.scoring.projection import read_logits
from gradus.training.models import max_positions

BATCH_TOKENS = 4096


class MaskedScorer:
    """Scores texts with a masked language model.

    Attributes:
        model: the model, unchanged.
        limit: tokens that a text may have, those that the tokenizer adds included; None for any
            number.
        tokens_seen: how many tokens have been fed so far.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        dtype: str = "float32",
        batch_tokens: int = BATCH_TOKENS,
    ) -> None:
        """Prepare `model`, which is converted to `dtype`.

        Raises:
            CheckpointError: the tokenizer has no mask.
        """
        if tokenizer.mask_token_id is None:
            raise CheckpointError(
                "the tokenizer has no mask token, so nothing can be asked of a masked language "
                "model; name the weights with their own tokenizer"
            )
        self.limit, self.tokens_seen = max_positions(model), 0
        self.model = model.eval().to(getattr(torch, dtype))
        self._tokenizer, self._batch_tokens = tokenizer, batch_tokens
        self._at: tuple[torch.Tensor, torch.Tensor] | None = None
        self.model.base_model.register_forward_hook(self._pick)

    def _pick(self, module: Any, given: Any, output: Any) -> Any:
        """Leave the hidden states of the masked tokens alone, [masks, 1, d], for the head."""
        if self._at is not None:
            output.last_hidden_state = output.last_hidden_state[self._at][:, None]
        return output

    def pseudo(self, texts: Sequence[str]) -> Iterator[tuple[int, np.ndarray]]:
        """Number and float64 log-likelihoods in nats of each text's own tokens, as they are done.

        Raises:
            UsageError: a text has more tokens than the model has positions for.
        """
        coded = self._tokenizer(
            list(texts),
            return_special_tokens_mask=True,
            return_attention_mask=False,
            verbose=False,
        )
        asked = [
            (place, ids, np.flatnonzero(np.array(added) == 0))
            for place, (ids, added) in enumerate(
                zip(coded["input_ids"], coded["special_tokens_mask"], strict=True)
            )
        ]
        for place, ids, _ in asked:
            if self.limit is not None and len(ids) > self.limit:
                raise UsageError(
                    f"text {place} has {len(ids):,} tokens, and the model has positions for "
                    f"{self.limit:,}; cut it into sentences"
                )
        found = {place: np.empty(len(own)) for place, _, own in asked}
        left = {place: len(own) for place, _, own in asked}
        yield from ((place, found[place]) for place, count in left.items() if not count)
        for batch in self._batches(asked):
            for (place, number, *_), nats in zip(batch, self._read(batch), strict=True):
                found[place][number] = nats
                left[place] -= 1
                if not left[place]:
                    yield place, found.pop(place)

    def _batches(self, asked: Any) -> Iterator[list[tuple[int, int, list[int], int]]]:
        """Text, number of the token, ids and the masked place; one length in a batch."""
        batch: list[tuple[int, int, list[int], int]] = []
        for place, ids, own in sorted(asked, key=lambda one: len(one[1])):
            for number, at in enumerate(own.tolist()):
                other = batch and len(batch[0][2]) != len(ids)
                if batch and (other or (len(batch) + 1) * len(ids) > self._batch_tokens):
                    yield batch
                    batch = []
                batch.append((place, number, ids, at))
        if batch:
            yield batch

    @torch.inference_mode()
    def _read(self, batch: list[tuple[int, int, list[int], int]]) -> np.ndarray:
        """float64 [n], the log-likelihood of each masked token."""
        ids = torch.tensor([row for _, _, row, _ in batch])
        return self._hide(ids, torch.arange(len(batch)), torch.tensor([at for *_, at in batch]))[0]

    def fill(
        self, windows: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Number of a window, and of the tokens in its gaps log-likelihood and whether likeliest.

        Each window has ids int64 [T] and places of its gaps int64 [G], all behind masks at once;
        the answers are float64 [G] in nats and bool [G], as they are done.
        """
        order = sorted(range(len(windows)), key=lambda number: len(windows[number][0]))
        batch: list[int] = []
        for number in order:
            size = len(windows[number][0])
            other = batch and len(windows[batch[0]][0]) != size
            if batch and (other or (len(batch) + 1) * size > self._batch_tokens):
                yield from self._fill(batch, windows)
                batch = []
            batch.append(number)
        if batch:
            yield from self._fill(batch, windows)

    @torch.inference_mode()
    def _fill(
        self, batch: Sequence[int], windows: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        ids = torch.from_numpy(np.stack([windows[number][0] for number in batch]))
        counts = [len(windows[number][1]) for number in batch]
        rows = torch.from_numpy(np.repeat(np.arange(len(batch)), counts))
        at = torch.from_numpy(np.concatenate([windows[number][1] for number in batch]))
        nats, best = self._hide(ids, rows, at)
        cuts = np.cumsum(counts)[:-1]
        yield from zip(batch, np.split(nats, cuts), np.split(best, cuts), strict=True)

    def _hide(
        self, ids: torch.Tensor, rows: torch.Tensor, at: torch.Tensor
    ) -> tuple[np.ndarray, np.ndarray]:
        """The tokens `at` places of `rows` behind masks: float64 nats, and whether likeliest."""
        hidden = ids[rows, at].numpy()
        ids[rows, at] = self._tokenizer.mask_token_id
        self.tokens_seen += ids.numel()
        self._at = (rows, at)
        try:
            logits = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[:, 0]
        finally:
            self._at = None
        return read_logits(logits.float(), hidden)
