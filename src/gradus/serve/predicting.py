"""The engine for checkpoints that say something about texts: label, tag, embed.

Legend: N texts, D dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from gradus.errors import CheckpointError
from gradus.serve.engine import Asked, Engine

if TYPE_CHECKING:
    from gradus.predict import Model

PROBES: Final = ("Hello, world.", "你好，世界。")


class Predicting(Engine):
    """`gradus.predict.load`, in batches."""

    name: ClassVar[str] = "predict"

    def __init__(self, model: Model, digest: str, max_tokens: int | None) -> None:
        """See `open`."""
        self._model, self._digest, self._max_tokens = model, digest, max_tokens
        self.tasks = ("tag",) if model.target == "spans" else ("classify",)

    @classmethod
    def takes(cls, checkpoint: str) -> bool:
        """Any folder with a manifest."""
        from gradus.checkpoints.manifest import MANIFEST

        return (Path(checkpoint) / MANIFEST).is_file()

    @classmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        """Verify and load.

        Raises:
            CheckpointError: it is no checkpoint, a file was changed, or nothing here serves it.
        """
        from gradus.checkpoints import read_manifest
        from gradus.predict import load

        model = load(
            checkpoint, dtype=options.get("dtype", "float32"), threads=options.get("threads")
        )
        if model.target == "reply":
            raise CheckpointError(f"{checkpoint}: a language model; this engine serves classifiers")
        manifest = read_manifest(Path(checkpoint))
        longest = manifest.preprocessing.get("max_tokens")
        return cls(model, manifest.digest, longest)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Name, kind, digest, what it predicts and which labels it knows."""
        return {
            "name": self._model.ref.name,
            "kind": self._model.kind,
            "digest": self._digest,
            "target": self._model.target,
            "labels": list(self._model.labels),
            "max_tokens": self._max_tokens,
        }

    def probe(self) -> None:
        """Two short texts must have finite numbers.

        Raises:
            CheckpointError: they have not.
        """
        for said in self._model.predict(PROBES):
            numbers = (said.probability, said.value, *(span.score for span in said.spans))
            if not all(math.isfinite(x) for x in numbers if x is not None):
                raise CheckpointError(
                    f"{self._model.ref.path}: it says {numbers} of a probe; its weights are broken"
                )

    def run(self, asked: Sequence[Asked]) -> list[Any]:
        """Texts of all jobs that ask the same go through the model at once."""
        answers: list[Any] = [None] * len(asked)
        alike: dict[tuple[Any, ...], list[int]] = {}
        for at, one in enumerate(asked):
            key = (one.task, one.body.get("top_k", 1), one.body.get("threshold"))
            alike.setdefault(key, []).append(at)
        for (_, top_k, threshold), places in alike.items():
            texts = [_text(text) for at in places for text in asked[at].body["texts"]]
            said = iter(self._said(texts, top_k, threshold))
            for at in places:
                answers[at] = [next(said) for _ in asked[at].body["texts"]]
        return answers

    def _said(
        self, texts: Sequence[str], top_k: int, threshold: float | None
    ) -> list[dict[str, Any]]:
        from gradus.predict.stream import as_json

        predictions = self._model.predict(texts, top_k=top_k, threshold=threshold)
        return [
            as_json(self._model.target, text, one, thresholded=threshold is not None)
            for text, one in zip(texts, predictions, strict=True)
        ]


def _text(given: str | Sequence[str]) -> str:
    from gradus.records import Pair

    return given if isinstance(given, str) else Pair(*given)
