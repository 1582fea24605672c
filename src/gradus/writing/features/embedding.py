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


class Embedder:
    """A model opened to embed texts.

    Pooling is what the checkpoint says of itself, else the mean over tokens, for causal models the
    last token (`gradus.training.models.pooling_defaults`). Texts are cut at 256 tokens, or at what
    the model takes, if that is less.
    """

    def __init__(
        self, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> None:
        """Open it; `threads` is torch's from then on, None leaves them as they are.

        Raises:
            CheckpointError: the weights or the tokenizer can't be read.
        """
        import torch

        from gradus.training import models
        from gradus.training.backbone import Backbone

        if threads is not None:
            torch.set_num_threads(threads)
        model = models.load_for_inference(ref)
        limit = models.max_positions(model)
        self._pooling = models.pooling_defaults(model, Path(ref.path)).pooling
        self._cut = min(models.DEFAULT_MAX_TOKENS, limit or models.DEFAULT_MAX_TOKENS)
        self._backbone, self._tokenizer = Backbone(model), models.load_tokenizer(ref)
        self._dtype = dtype

    def embed(
        self, texts: Sequence[str], progress: Callable[[float, float], None] | None = None
    ) -> np.ndarray:
        """float32 [N, d], one vector of length 1 for each text.

        Texts are packed by length, which changes no row beyond rounding; equal ones are embedded
        once.
        """
        import numpy as np
        import torch

        from gradus.objectives.pooling import pool
        from gradus.training import models
        from gradus.training.activations import autocast
        from gradus.training.packing import inference_batches

        once = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        tokens = models.encode(self._tokenizer, list(once), self._cut)
        vectors = np.zeros((len(once), self._backbone.width), dtype=np.float32)
        done = 0
        for rows in inference_batches(tokens.lengths, BATCH_TOKENS):
            batch = tokens.batch(rows)
            with torch.inference_mode(), autocast(getattr(torch, self._dtype)):
                hidden = self._backbone.run(batch)
                pooled = pool(hidden, batch.layout, self._pooling, normalise=True)
            vectors[batch.rows] = pooled.float().numpy()
            done += len(rows)
            if progress is not None:
                progress(done, len(once))
        return vectors[[once[text] for text in texts]]


def embed_once(texts: Sequence[str], context: FeatureContext) -> np.ndarray:
    """float32 [N, d] of texts by the context's embedder, kept in the context's place.

    Raises:
        CheckpointError: the weights or the tokenizer can't be read.
    """
    import numpy as np
    from safetensors.numpy import load_file, save_file

    ref = context.embedder
    assert ref is not None  # the feature says that it needs one
    if not texts:
        return np.zeros((0, 1), dtype=np.float32)
    mark = [_FORM, ref.digest, context.dtype, context.threads, list(texts)]
    raw = json.dumps(mark).encode()
    kept = context.place / f"vectors-{hashlib.sha256(raw).hexdigest()[:24]}.safetensors"
    if kept.is_file():
        found: np.ndarray = load_file(kept)["vectors"]
        return found
    key = f"embedder {ref.digest} {context.dtype} {context.threads}"
    if key not in context.opened:
        context.opened[key] = Embedder(ref, dtype=context.dtype, threads=context.threads)
    embedder: Embedder = context.opened[key]
    vectors = embedder.embed(texts, context.progress)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(".partial")
    save_file({"vectors": np.ascontiguousarray(vectors)}, partial)
    partial.replace(kept)
    return vectors
