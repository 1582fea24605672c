"""Opening whatever writes: weights under torch, or a GGUF file under llama.cpp."""

from __future__ import annotations

from typing import Any

import torch

from gradus import hardware
from gradus.errors import CheckpointError
from gradus.generation import decoder
from gradus.generation.base import Generator
from gradus.generation.plain import PlainGenerator
from gradus.generation.torch_backend import SLOTS, TorchGenerator
from gradus.records import CheckpointRef
from gradus.scoring.load import load_causal_lm
from gradus.scoring.seam import tokenizer_digest
from gradus.training.models import load_tokenizer, max_positions


def open_torch(
    ref: CheckpointRef, *, dtype: str, batch_tokens: int | None, threads: int | None
) -> Generator:
    """See `gradus.generation.open`."""
    torch.set_num_threads(threads or hardware.threads())
    model, tokenizer = load_causal_lm(ref), load_tokenizer(ref)
    kind = getattr(torch, dtype)
    common: dict[str, Any] = {
        "ends": ends(model, tokenizer),
        "limit": max_positions(model),
        "contract": {
            "dtype": dtype,
            "backend": "torch",
            "tokenizer": tokenizer_digest(tokenizer)[:16],
        },
        "digest": ref.digest,
    }
    found = decoder.of(model, kind)
    if found is None:
        # The override of transformers refuses a model that was read from a GGUF file.
        return PlainGenerator(torch.nn.Module.to(model, kind), tokenizer, **common)
    return TorchGenerator(found, tokenizer, slots=batch_tokens or SLOTS, **common)


def ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end a text: those of the model's generation config, else the tokenizer's.

    Raises:
        CheckpointError: they aren't token ids.
    """
    config = getattr(model, "generation_config", None)
    found = getattr(config, "eos_token_id", None)
    if found is None:
        found = getattr(tokenizer, "eos_token_id", None)
    values = list(found) if isinstance(found, list | tuple) else [found]
    ids = [value for value in values if isinstance(value, int)]
    if len(ids) < len([value for value in values if value is not None]):
        raise CheckpointError(f"the end-of-text tokens should be token ids, and are {found!r}")
    return frozenset(ids)
