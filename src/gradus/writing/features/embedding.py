"""Texts as vectors: a model's pooled hidden states, of length 1.

Legend: N texts, d hidden size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from gradus.records import CheckpointRef
    from gradus.writing.features.base import FeatureContext

BATCH_TOKENS = 4096
# How texts are tokenised, pooled and kept. Vectors kept under another number are made anew.
_FORM = 1


def embed(
    texts: Sequence[str],
    ref: CheckpointRef,
    *,
    dtype: str = "float32",
    threads: int | None = None,
    progress: Callable[[float, float], None] | None = None,
) -> np.ndarray:
    """float32 [N, d], one vector of length 1 for each text.

    Pooling is what the checkpoint says of itself, else the mean over tokens, for causal models the
    last token (`gradus.training.models.pooling_defaults`). Texts are cut at 256 tokens, or at what
    the model takes, if that is less. Texts are packed by length, which changes no row beyond
    rounding; equal texts are embedded once.

    Raises:
        CheckpointError: the weights or the tokenizer can't be read.
    """
    import numpy as np
    import torch

    from gradus.objectives.pooling import pool
    from gradus.training import models
    from gradus.training.activations import autocast
    from gradus.training.backbone import Backbone
    from gradus.training.packing import inference_batches

    if threads is not None:
        torch.set_num_threads(threads)
    model, tokenizer = models.load_for_inference(ref), models.load_tokenizer(ref)
    usual, limit = models.pooling_defaults(model, Path(ref.path)), models.max_positions(model)
    backbone = Backbone(model)
    once = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    cut = min(models.DEFAULT_MAX_TOKENS, limit or models.DEFAULT_MAX_TOKENS)
    tokens = models.encode(tokenizer, list(once), cut)
    vectors = np.zeros((len(once), backbone.width), dtype=np.float32)
    done = 0
    for rows in inference_batches(tokens.lengths, BATCH_TOKENS):
        batch = tokens.batch(rows)
        with torch.inference_mode(), autocast(getattr(torch, dtype)):
            hidden = backbone.run(batch)
            pooled = pool(hidden, batch.layout, usual.pooling, normalise=True)
        vectors[batch.rows] = pooled.float().numpy()
        done += len(rows)
        if progress is not None:
            progress(done, len(once))
    return vectors[[once[text] for text in texts]]


def embed_once(texts: Sequence[str], context: FeatureContext) -> np.ndarray:
    """`embed` by the context's embedder, kept in the context's place: float32 [N, d].

    Raises:
        CheckpointError: as `embed`.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    assert context.embedder is not None  # the feature says that it needs one
    if not texts:
        return np.zeros((0, 1), dtype=np.float32)
    mark = [_FORM, context.embedder.digest, context.dtype, context.threads, list(texts)]
    raw = json.dumps(mark).encode()
    kept = context.place / f"vectors-{hashlib.sha256(raw).hexdigest()[:24]}.safetensors"
    if kept.is_file():
        found: np.ndarray = load_file(kept)["vectors"]
        return found
    vectors = embed(
        texts,
        context.embedder,
        dtype=context.dtype,
        threads=context.threads,
        progress=context.progress,
    )
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    save_file({"vectors": np.ascontiguousarray(vectors)}, partial)
    partial.replace(kept)
    return vectors
