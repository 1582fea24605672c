"""Opening whatever writes: weights under torch, or a GGUF file under llama.cpp."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from gradus import hardware
from gradus.compress.language import stored
from gradus.compress.language.rounding import Rounded
from gradus.errors import CheckpointError
from gradus.generation import decoder
from gradus.generation.base import Generator
from gradus.generation.integers import IntegerLayout
from gradus.generation.plain import PlainGenerator
from gradus.generation.torch_backend import SLOTS, TorchGenerator
from gradus.records import CheckpointRef
from gradus.scoring.load import load_causal_lm
from gradus.scoring.seam import tokenizer_digest
from gradus.training.models import load_tokenizer, max_positions


def open_torch(
    ref: CheckpointRef, *, dtype: str | None, batch_tokens: int | None, threads: int | None
) -> Generator:
    """See `gradus.generation.open`."""
    torch.set_num_threads(threads or hardware.threads())
    model, tokenizer = load_causal_lm(ref), load_tokenizer(ref)
    integers: dict[str, Rounded] = {}
    if dtype != "float32" and stored.is_quantised(Path(ref.path)):
        integers, _ = stored.read(Path(ref.path))
        dtype = "bfloat16"
    kind = getattr(torch, dtype or "float32")
    said = str(kind).removeprefix("torch.")
    common: dict[str, Any] = {
        "ends": ends(model, tokenizer),
        "limit": max_positions(model),
        "contract": {
            "dtype": f"{_bits(integers)}, {said}" if integers else said,
            "backend": "torch",
            "tokenizer": tokenizer_digest(tokenizer)[:16],
        },
        "digest": ref.digest,
    }
    layout = IntegerLayout(model, integers) if integers else None
    found = decoder.of(model, kind, layout=layout)
    if found is None:
        # The override of transformers refuses a model that was read from a GGUF file.
        return PlainGenerator(torch.nn.Module.to(model, kind), tokenizer, **common)
    return TorchGenerator(found, tokenizer, slots=batch_tokens or SLOTS, **common)


def _bits(integers: Mapping[str, Rounded]) -> str:
    """What the weights are, as a contract says it: ``int8 weights``."""
    sizes = sorted({matrix.bits for matrix in integers.values()})
    return " and ".join(f"int{bits}" for bits in sizes) + " weights"


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
