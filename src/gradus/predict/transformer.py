"""Predicting with a transformer in torch.

Legend: N texts, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from gradus.predict.base import Predictor
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

BATCH_TOKENS = 4096
# Texts are sorted and packed within stretches of this many, so that memory stays bounded.
STRETCH = 4096


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
        tokenizer: Any,
        preprocessing: Mapping[str, Any],
        dtype: str,
        folder: Path,
        size_bytes: int,
        backbone: Any = None,
        head: Any = None,
        tagger: Tagger | None = None,
    ) -> None:
        """See `open`. Either `tagger`, where the target is spans, or `backbone` and `head`."""
        self.labels, self.target = tuple(labels), target_of(preprocessing)
        self._backbone, self._head, self._tokenizer = backbone, head, tokenizer
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
            "labels": manifest.labels,
            "tokenizer": models.load_tokenizer(ref),
            "preprocessing": manifest.preprocessing,
            # What was compressed to a dtype computes in it.
            "dtype": str(manifest.preprocessing.get("dtype", dtype)),
        }
        model = models.load_for_inference(ref)
        if target_of(manifest.preprocessing) == "spans":
            from gradus.predict.tagging import open_tagger

            tagger = open_tagger(folder, model=model, **shared)
            return cls(**shared, tagger=tagger, folder=folder, size_bytes=manifest.size_bytes)
        backbone = Backbone(model)
        scale = float(manifest.preprocessing["scale"])
        outputs = head_outputs(manifest.preprocessing, len(manifest.labels))
        head = LinearHead(backbone.width, outputs, scale)
        load_head(head, folder / HEAD_FILE)
        return cls(
            **shared,
            backbone=backbone,
            head=head.eval(),
            folder=folder,
            size_bytes=manifest.size_bytes,
        )

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

    def _outputs(
        self, texts: Sequence[str], width: int, progress: Callable[[int], None] | None
    ) -> np.ndarray:
        """What the head gives: float64 [N, width]."""
        import numpy as np

        rows = np.empty((len(texts), width))
        done = 0
        for start in range(0, len(texts), STRETCH):
            stretch = list(texts[start : start + STRETCH])
            for places, values in self._stretch(stretch):
                rows[start + places] = values
                done += len(places)
                if progress is not None:
                    progress(done)
        return rows

    def _stretch(self, texts: list[str]) -> Any:
        import torch

        from gradus.objectives.pooling import pool
        from gradus.training import models
        from gradus.training.activations import autocast
        from gradus.training.packing import inference_batches

        settings = self._preprocessing
        tokens = models.encode(self._tokenizer, texts, int(settings["max_tokens"]))
        dtype = getattr(torch, self._dtype)
        for rows in inference_batches(tokens.lengths, BATCH_TOKENS):
            batch = tokens.batch(rows)
            with torch.inference_mode(), autocast(dtype):
                hidden = self._backbone.run(batch)
                pooled = pool(
                    hidden,
                    batch.layout,
                    str(settings["pooling"]),
                    normalise=bool(settings["normalise"]),
                )
                values = self._head(pooled).double()
            yield batch.rows, values.numpy()

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
