"""One vector a text, by a transformer in torch.

Legend: N texts, D width of the vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.errors import CheckpointError
from gradus.predict.base import Predictor
from gradus.predict.outputs import target_of
from gradus.records import CheckpointRef, Target

if TYPE_CHECKING:
    import numpy as np
    import torch

    from gradus.predict.frozen import Frozen

BATCH_TOKENS = 4096
# Texts are sorted and packed within stretches of this many, so that memory stays bounded.
STRETCH = 4096
READABLE = ("transformer", "gguf")


class Embedder:
    """Backbone, tokenizer and pooling: how a checkpoint reads a text as one vector.

    Texts are sorted by length and packed without padding, which changes no vector beyond rounding.

    Attributes:
        width: D.
        normalise: whether its vectors have length 1 when nobody asks for anything else.
        frozen: what it shares with other checkpoints of the same model; None for nothing.
    """

    frozen: Frozen | None = None

    def __init__(
        self, *, backbone: Any, tokenizer: Any, preprocessing: Mapping[str, Any], dtype: str
    ) -> None:
        """`preprocessing` has ``max_tokens``, ``pooling`` and ``normalise``."""
        self._backbone, self._tokenizer, self._dtype = backbone, tokenizer, dtype
        self._max_tokens = int(preprocessing["max_tokens"])
        self._pooling = str(preprocessing["pooling"])
        self.normalise = bool(preprocessing["normalise"])
        self.width: int = backbone.width

    def batches(
        self, texts: Sequence[str], *, normalise: bool | None = None
    ) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """Places and vectors, float32 [n, D], of each batch; whoever reads them is in inference."""
        import torch

        from gradus.objectives.pooling import pool
        from gradus.training import models
        from gradus.training.activations import autocast
        from gradus.training.packing import inference_batches

        wanted = self.normalise if normalise is None else normalise
        dtype = getattr(torch, self._dtype)
        for start in range(0, len(texts), STRETCH):
            stretch = list(texts[start : start + STRETCH])
            tokens = models.encode(self._tokenizer, stretch, self._max_tokens)
            run = self._backbone.run
            if self.frozen is not None and dtype == torch.float32:
                run = self.frozen.over(self._backbone, tokens, BATCH_TOKENS)
            for rows in inference_batches(tokens.lengths, BATCH_TOKENS):
                batch = tokens.batch(rows)
                with torch.inference_mode(), autocast(dtype):
                    hidden = run(batch)
                    pooled = pool(hidden, batch.layout, self._pooling, normalise=wanted)
                yield start + batch.rows, pooled

    def __call__(
        self,
        texts: Sequence[str],
        *,
        normalise: bool | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """float32 [N, D]; see `Predictor.embed`."""
        import numpy as np

        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        done = 0
        for places, pooled in self.batches(texts, normalise=normalise):
            vectors[places] = pooled.numpy()
            done += len(places)
            if progress is not None:
                progress(done)
        return vectors


class EncoderPredictor(Predictor):
    """A transformer without a head, or whose head isn't asked: it says a text's vector alone.

    The checkpoint says how its vectors are pooled where it was trained on them, then a
    sentence-transformers folder; else causal models give their last token, others the mean.
    """

    kind: ClassVar[str] = "encoder"
    summary: ClassVar[str] = "a transformer that turns texts into vectors, in torch"
    target: Target = "vector"
    labels: tuple[str, ...] = ()

    def __init__(
        self, ref: CheckpointRef, embedder: Embedder, settings: Mapping[str, Any], dtype: str
    ) -> None:
        """See `open`."""
        self._ref, self._embedder, self._dtype = ref, embedder, dtype
        self._settings = dict(settings)

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load the backbone and its tokenizer; there needn't be a manifest.

        Raises:
            CheckpointError: the weights can't be read, or read words instead of texts.
        """
        import torch

        from gradus.checkpoints import find_manifest
        from gradus.training import models
        from gradus.training.backbone import Backbone

        folder = Path(ref.path)
        manifest = None if ref.file else find_manifest(folder)
        before = dict(manifest.preprocessing) if manifest else {}
        if ref.kind not in READABLE or target_of(before) == "spans":
            raise CheckpointError(
                f"{folder}: a checkpoint of kind '{ref.kind}' with target '{target_of(before)}' "
                "has no vectors of texts; embed with the transformer that it was made from"
            )
        if threads is not None:
            torch.set_num_threads(threads)
        model = models.load_for_inference(ref)
        usual = models.pooling_defaults(model, folder)
        most, limit = int(before.get("max_tokens", 0)), models.max_positions(model)
        most = most or models.DEFAULT_MAX_TOKENS
        settings = {
            "max_tokens": min(most, limit) if limit else most,
            "pooling": before.get("pooling", usual.pooling),
            "normalise": before.get("normalise", usual.normalise),
        }
        dtype = str(before.get("dtype", dtype))
        embedder = Embedder(
            backbone=Backbone(model),
            tokenizer=models.load_tokenizer(ref),
            preprocessing=settings,
            dtype=dtype,
        )
        return cls(ref, embedder, settings, dtype)

    def embed(
        self,
        texts: Sequence[str],
        *,
        normalise: bool | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """float32 [N, D]; see `Predictor.embed`."""
        return self._embedder(texts, normalise=normalise, progress=progress)

    @property
    def contract(self) -> Mapping[str, str]:
        """dtype, back end, pooling, where texts are cut, and which tokenizer cuts them."""
        from gradus.checkpoints import hash_file

        tokenizer = Path(self._ref.path) / "tokenizer.json"
        return {
            "dtype": self._dtype,
            "backend": "torch",
            "pooling": str(self._settings["pooling"]),
            "max_tokens": str(self._settings["max_tokens"]),
            "tokenizer": hash_file(tokenizer)[:16] if tokenizer.is_file() else "",
        }

    @property
    def size_bytes(self) -> int:
        """Bytes of the weights and what stands beside them."""
        place = Path(self._ref.path)
        if self._ref.file:
            return (place / self._ref.file).stat().st_size
        return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
