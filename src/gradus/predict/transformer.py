"""Predicting with a transformer in torch.

Legend: N texts, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.predict.base import Predictor
from gradus.predict.embedding import Embedder
from gradus.predict.outputs import (
    head_outputs,
    in_units,
    log_probabilities,
    target_of,
    thresholds_of,
)
from gradus.records import CheckpointRef, Span

if TYPE_CHECKING:
    import numpy as np

    from gradus.predict.tagging import Tagger


class TransformerPredictor(Predictor):
    """Hugging Face layout with ``head.safetensors``: backbone, pooling, linear head.

    Texts are sorted by length and packed without padding, which changes no row beyond rounding.
    """

    kind: ClassVar[str] = "transformer"
    summary: ClassVar[str] = "a fine-tuned transformer, in torch"

    def __init__(
        self,
        *,
        labels: Sequence[str],
        preprocessing: Mapping[str, Any],
        dtype: str,
        folder: Path,
        size_bytes: int,
        embedder: Embedder | None = None,
        head: Any = None,
        tagger: Tagger | None = None,
    ) -> None:
        """See `open`. Either `tagger`, where the target is spans, or `embedder` and `head`."""
        self.labels, self.target = tuple(labels), target_of(preprocessing)
        self._embedder, self._head = embedder, head
        self._tagger = tagger
        self._preprocessing, self._dtype, self._folder = dict(preprocessing), dtype, folder
        self._size_bytes = size_bytes

    @classmethod
    def open(
        cls, ref: CheckpointRef, *, dtype: str = "float32", threads: int | None = None
    ) -> Self:
        """Load backbone, head and tokenizer.

        Raises:
            CheckpointError: the weights can't be read, or there is no head for the labels.
        """
        import torch

        from gradus.checkpoints import read_manifest
        from gradus.errors import CheckpointError
        from gradus.objectives.classify import HEAD_FILE
        from gradus.objectives.pooled import load_head
        from gradus.objectives.pooling import LinearHead
        from gradus.training import models
        from gradus.training.backbone import Backbone

        folder = Path(ref.path)
        manifest = read_manifest(folder)
        if not (folder / HEAD_FILE).is_file():
            raise CheckpointError(
                f"{folder}: no {HEAD_FILE}, so nothing says which label a text has; "
                "fine-tune it with objective: classify (or regress, or tag) first"
            )
        if threads is not None:
            torch.set_num_threads(threads)
        shared: dict[str, Any] = {
            "preprocessing": manifest.preprocessing,
            # What was compressed to a dtype computes in it.
            "dtype": str(manifest.preprocessing.get("dtype", dtype)),
        }
        own: dict[str, Any] = {
            "labels": manifest.labels,
            "folder": folder,
            "size_bytes": manifest.size_bytes,
        }
        tokenizer, model = models.load_tokenizer(ref), models.load_for_inference(ref)
        if target_of(manifest.preprocessing) == "spans":
            from gradus.predict.tagging import open_tagger

            tagger = open_tagger(
                folder, model=model, tokenizer=tokenizer, labels=manifest.labels, **shared
            )
            return cls(**shared, **own, tagger=tagger)
        backbone = Backbone(model)
        scale = float(manifest.preprocessing["scale"])
        outputs = head_outputs(manifest.preprocessing, len(manifest.labels))
        head = LinearHead(backbone.width, outputs, scale)
        load_head(head, folder / HEAD_FILE)
        embedder = Embedder(backbone=backbone, tokenizer=tokenizer, **shared)
        return cls(**shared, **own, embedder=embedder, head=head.eval())

    def share(self, folder: Path) -> None:
        """See `Predictor.share`; taggers share nothing."""
        from gradus.predict.frozen import Frozen

        if self._embedder is not None:
            self._embedder.frozen = Frozen(folder)

    @property
    def thresholds(self) -> tuple[float, ...]:
        """See `Predictor.thresholds`."""
        return thresholds_of(self._preprocessing, len(self.labels))

    def log_probs(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N, K], in the texts' order; see `Predictor.log_probs`."""
        if self.target not in ("label", "labels"):
            raise self._lacks("label")
        return log_probabilities(self._outputs(texts, len(self.labels), progress), self.target)

    def numbers(
        self, texts: Sequence[str], *, progress: Callable[[int], None] | None = None
    ) -> np.ndarray:
        """float64 [N], in the texts' order; see `Predictor.numbers`."""
        if self.target != "number":
            raise self._lacks("number")
        return in_units(self._outputs(texts, 1, progress), self._preprocessing)

    def spans(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[tuple[Span, ...]]:
        """N tuples of spans; see `Predictor.spans` and `gradus.data.words`."""
        if self._tagger is None:
            raise self._lacks("spans")
        return self._tagger.spans(texts, words, progress)

    @property
    def tags(self) -> tuple[str, ...]:
        """The K tags; see `Predictor.tags`."""
        if self._tagger is None:
            raise self._lacks("spans")
        return self._tagger.names

    def tag_log_probs(
        self,
        texts: Sequence[str],
        *,
        words: Sequence[Sequence[tuple[int, int]]] | None = None,
    ) -> np.ndarray:
        """float64 [W, K]; see `Predictor.tag_log_probs`."""
        if self._tagger is None:
            raise self._lacks("spans")
        return self._tagger.log_probs(texts, words)

    def embed(
        self,
        texts: Sequence[str],
        *,
        normalise: bool | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """float32 [N, D], what the head sees; see `Predictor.embed`."""
        if self._embedder is None:
            return super().embed(texts, normalise=normalise, progress=progress)
        return self._embedder(texts, normalise=normalise, progress=progress)

    def _outputs(
        self, texts: Sequence[str], width: int, progress: Callable[[int], None] | None
    ) -> np.ndarray:
        """What the head gives: float64 [N, width]."""
        import numpy as np
        import torch

        assert self._embedder is not None, "only taggers have none, and they give no rows"
        rows = np.empty((len(texts), width))
        done = 0
        for places, pooled in self._embedder.batches(texts):
            with torch.inference_mode():
                rows[places] = self._head(pooled).double().numpy()
            done += len(places)
            if progress is not None:
                progress(done)
        return rows

    @property
    def contract(self) -> Mapping[str, str]:
        """dtype, back end, where texts are cut, and which tokenizer cuts them."""
        from gradus.checkpoints import hash_file

        tokenizer = self._folder / "tokenizer.json"
        return {
            "dtype": self._dtype,
            "backend": "torch",
            "max_tokens": str(self._preprocessing["max_tokens"]),
            "tokenizer": hash_file(tokenizer)[:16] if tokenizer.is_file() else "",
        }

    @property
    def size_bytes(self) -> int:
        """Bytes of all files of the checkpoint."""
        return self._size_bytes
