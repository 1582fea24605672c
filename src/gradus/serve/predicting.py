"""The engine for checkpoints that say something about texts: label, tag, embed.

Legend: N texts, D dimensions.
"""

from __future__ import annotations

import json
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
    summary: ClassVar[str] = "labels, tags and vectors, in batches"

    def __init__(self, model: Model, digest: str, max_tokens: int | None) -> None:
        """See `open`."""
        self._model, self._digest, self._max_tokens = model, digest, max_tokens
        self._tokenizer: Any = None
        does = {"spans": ("tag",), "vector": ()}.get(model.target, ("classify",))
        self.tasks = (*does, "embed") if _embeds(model) else does

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
            asks = {name: x for name, x in one.body.items() if name != "texts"}
            alike.setdefault((one.task, *asks.items()), []).append(at)
        for (task, *options), places in alike.items():
            texts = [_text(text) for at in places for text in asked[at].body["texts"]]
            make: Any = self._vectors if task == "embed" else self._said
            said = iter(make(texts, **dict(options)))
            for at in places:
                answers[at] = [next(said) for _ in asked[at].body["texts"]]
        return answers

    def _said(
        self, texts: Sequence[str], *, top_k: int = 1, threshold: float | None = None
    ) -> list[dict[str, Any]]:
        from gradus.predict.stream import as_json

        predictions = self._model.predict(texts, top_k=top_k, threshold=threshold)
        abstains = threshold is not None or self._model.predictor.abstain_below is not None
        return [
            as_json(self._model.target, text, one, thresholded=abstains)
            for text, one in zip(texts, predictions, strict=True)
        ]

    def _vectors(
        self, texts: Sequence[str], *, normalise: bool = True, counted: bool = False
    ) -> list[Any]:
        """Vectors, each with the number of tokens that it rests on where they are `counted`."""
        found: list[Any] = self._model.embed(texts, normalise=normalise).tolist()
        if not counted:
            return found
        return [list(pair) for pair in zip(found, self._lengths(texts), strict=True)]

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        from gradus.training.models import encode, load_tokenizer

        if self._tokenizer is None:
            self._tokenizer = load_tokenizer(self._model.ref)
        most = int(self._model.contract["max_tokens"])
        return [int(size) for size in encode(self._tokenizer, list(texts), most).lengths]


class Embedding(Predicting):
    """A bare encoder: a source without a manifest that turns texts into vectors."""

    name: ClassVar[str] = "embed"
    summary: ClassVar[str] = "vectors of encoders without a manifest, in batches"

    @classmethod
    def takes(cls, checkpoint: str) -> bool:
        """A folder or package with a model that doesn't go on with texts."""
        from gradus.errors import GradusError
        from gradus.scoring.load import find

        try:
            config = Path(find(checkpoint).path) / "config.json"
            raw = json.loads(config.read_bytes())
        except (GradusError, OSError, ValueError):
            return False
        return not any("CausalLM" in x or "LMHead" in x for x in raw.get("architectures") or ())

    @classmethod
    def open(cls, checkpoint: str, options: Mapping[str, Any]) -> Self:
        """Load it.

        Raises:
            GradusError: nothing is there, or it reads no texts.
        """
        from gradus.predict.model import encoder
        from gradus.scoring.load import find

        ref = find(checkpoint)
        dtype = options.get("dtype", "float32")
        return cls(encoder(ref, dtype=dtype, threads=options.get("threads")), ref.digest, None)

    def probe(self) -> None:
        """Two short texts must have finite vectors.

        Raises:
            CheckpointError: they have not.
        """
        if not all(math.isfinite(x) for row in self._vectors(PROBES) for x in row):
            raise CheckpointError(f"{self._model.ref.path}: its vectors aren't finite numbers")


def _embeds(model: Model) -> bool:
    from gradus.errors import UsageError

    try:
        model.embed([PROBES[0]])
    except UsageError:
        return False
    return True


def _text(given: str | Sequence[str]) -> str:
    from gradus.records import Pair

    return given if isinstance(given, str) else Pair(*given)
