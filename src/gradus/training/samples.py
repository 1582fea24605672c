"""Samples: how a causal language model in training goes on with fixed prompts.

The texts come from `gradus.generation`, as they would of the finished checkpoint. What is drawn
depends on the prompt and the seed alone, so that the samples of one validation can be laid beside
those of the next.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from gradus.errors import UsageError
from gradus.generation import decoder
from gradus.generation.base import Generator
from gradus.generation.decoding import Decoding
from gradus.generation.opening import ends
from gradus.generation.plain import PlainGenerator
from gradus.generation.torch_backend import TorchGenerator
from gradus.scoring.seam import tokenizer_digest
from gradus.training.models import max_positions

TEMPERATURE = 0.8


class Samples:
    """A probe: a row for each prompt, ``{"prompt": ..., "sample": ...}``."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: Sequence[str],
        *,
        tokens: int = 64,
        temperature: float = TEMPERATURE,
        seed: int = 0,
    ) -> None:
        """For a causal language model of transformers, head included, that is being trained.

        Args:
            model: its weights are read at each call, in float32.
            tokenizer: the model's.
            prompts: any number of texts, none of them empty.
            tokens: at most so many are written.
            temperature: 0 writes the most probable token each time.
            seed: of what is drawn.

        Raises:
            UsageError: a prompt is empty, or as long as the model's texts may be.
        """
        limit = max_positions(model)
        for prompt in prompts:
            ids = tokenizer(prompt)["input_ids"]
            if not len(ids):
                raise UsageError(f"sample prompt {prompt!r} has no tokens: write at least a word")
            if limit is not None and len(ids) >= limit:
                raise UsageError(
                    f"sample prompt {prompt[:40]!r} has {len(ids)} tokens, and the model takes "
                    f"{limit}: shorten it"
                )
        self._model, self._tokenizer, self._prompts = model, tokenizer, list(prompts)
        room = limit - 1 if limit is not None else tokens
        self._settings = Decoding(
            max_tokens=min(tokens, room), temperature=temperature, seed=seed % 2**63
        )

    def __call__(self) -> list[dict[str, str]]:
        """The prompts in their order, each with what the model writes after it now."""
        if not self._prompts:
            return []
        with _usual_attention(self._model):
            texts = self._generator().generate_all(self._prompts, settings=self._settings)
        return [
            {"prompt": prompt, "sample": text}
            for prompt, text in zip(self._prompts, texts, strict=True)
        ]

    def _generator(self) -> Generator:
        common: dict[str, Any] = {
            "ends": ends(self._model, self._tokenizer),
            "limit": max_positions(self._model),
            "contract": {
                "dtype": "float32",
                "backend": "torch",
                "tokenizer": tokenizer_digest(self._tokenizer)[:16],
            },
        }
        found = decoder.of(self._model, torch.float32)
        if found is None:
            return PlainGenerator(self._model, self._tokenizer, **common)
        return TorchGenerator(found, self._tokenizer, **common)


@contextmanager
def _usual_attention(model: Any) -> Iterator[None]:
    """Inside the block attention takes rows with padding, not packed ones."""
    before = model.config._attn_implementation
    model.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        model.set_attn_implementation(before)
