"""A fine-tuned transformer as one torch module, from token ids to logits, ready to be exported.

Legend: n texts of L tokens each, d hidden size, K labels.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn
from torch.nn.functional import normalize

from gradus.checkpoints import Manifest, is_checkpoint, read_manifest
from gradus.errors import CheckpointError
from gradus.objectives.classify import HEAD_FILE
from gradus.objectives.pooled import load_head
from gradus.objectives.pooling import LinearHead
from gradus.predict.graph import TOKENIZER
from gradus.predict.outputs import head_outputs, target_of
from gradus.records import CheckpointRef
from gradus.training import models
from gradus.training.adapters.attached import of

TOKENIZER_FILES: Final = (TOKENIZER, "tokenizer_config.json", "special_tokens_map.json")


class IdsToLogits(nn.Module):
    """int64 [n, L] token ids of texts of one length to float32 [n, K] logits."""

    def __init__(
        self, backbone: nn.Module, head: LinearHead, pooling: str, normalise: bool
    ) -> None:
        super().__init__()
        self.backbone, self.pooling, self.normalise = backbone, pooling, normalise
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        with torch.no_grad():
            # The head's fixed scale goes into its weights: one product less in the graph.
            self.head.weight.copy_(head.weight * head.scale)
            self.head.bias.copy_(head.bias)
        parameters = inspect.signature(backbone.forward).parameters
        self._options: dict[str, Any] = {"use_cache": False} if "use_cache" in parameters else {}

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits of texts that all have L tokens; there is no padding, hence no mask."""
        hidden = self.backbone(input_ids=input_ids, **self._options).last_hidden_state
        match self.pooling:
            case "mean":
                pooled = hidden.mean(1)
            case "first":
                pooled = hidden[:, 0]
            case _:
                pooled = hidden[:, -1]
        logits: torch.Tensor = self.head(normalize(pooled, dim=-1) if self.normalise else pooled)
        return logits


@dataclass(frozen=True, slots=True)
class Classifier:
    """What is compressed.

    Attributes:
        folder: of its checkpoint.
        manifest: its manifest.
        module: token ids to logits.
        tokenizer: the fast tokenizer of transformers.
        causal: whether tokens see only what stands before them.
    """

    folder: Path
    manifest: Manifest
    module: IdsToLogits
    tokenizer: Any
    causal: bool

    @property
    def max_tokens(self) -> int:
        """Texts are cut there."""
        return int(self.manifest.preprocessing["max_tokens"])

    @property
    def family(self) -> str:
        """The architecture's name, e.g. ``bert``."""
        return str(self.module.backbone.config.model_type)  # type: ignore[union-attr]  # nn.Module types attributes as tensors

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, as they were when the classifier was trained."""
        tokens = models.encode(self.tokenizer, texts, self.max_tokens)
        return [
            tokens.ids[start:stop].tolist()
            for start, stop in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)
        ]

    def preprocessing(self) -> dict[str, Any]:
        """What prediction outside torch needs to cut texts and to stand in for empty ones."""
        return {
            **self.manifest.preprocessing,
            "truncation_side": str(self.tokenizer.truncation_side),
            "empty_text": self.encode([""])[0],
        }

    def copy_tokenizer(self, folder: Path) -> None:
        """Copy the tokenizer's files byte for byte, so that its digest stays what it was.

        Raises:
            CheckpointError: there is no ``tokenizer.json``.
        """
        if not (self.folder / TOKENIZER).is_file():
            raise CheckpointError(
                f"{self.folder}: no {TOKENIZER}, which prediction outside torch needs"
            )
        for name in TOKENIZER_FILES:
            if (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, folder / name)


def load_classifier(ref: CheckpointRef) -> Classifier:
    """Load a checkpoint that was fine-tuned with ``objective: classify``, ``regress`` or ``tag``.

    Raises:
        CheckpointError: it is no transformer, has no head, has virtual tokens, or can't be read.
    """
    folder = Path(ref.path)
    _check(ref, folder)
    manifest = read_manifest(folder)
    reading = manifest.preprocessing
    if reading.get("pairs"):
        raise CheckpointError(
            f"'{ref.name}' judges pairs of texts, which the exported graph can't tell apart: "
            "use it as it is, without compression"
        )
    backbone = models.load_for_inference(ref)
    adapter = of(backbone)
    if adapter is not None:
        raise CheckpointError(
            f"'{ref.name}' has virtual tokens ({adapter.wanted.entry}), which can't be merged into "
            "its weights: compress a model without them, or one with adapter: lora"
        )
    if target_of(reading) == "spans":
        from gradus.compress.tagger import load_tagger

        return load_tagger(ref, manifest, backbone)
    head = LinearHead(
        int(backbone.config.hidden_size),  # type: ignore[union-attr, arg-type]  # nn.Module types attributes as tensors
        head_outputs(reading, len(manifest.labels)),
        float(reading["scale"]),
    )
    load_head(head, folder / HEAD_FILE)
    module = IdsToLogits(backbone, head, str(reading["pooling"]), bool(reading["normalise"]))
    return Classifier(
        folder=folder,
        manifest=manifest,
        module=module.eval().requires_grad_(False),
        tokenizer=models.load_tokenizer(ref),
        causal=models.is_causal(backbone),
    )


def _check(ref: CheckpointRef, folder: Path) -> None:
    if not is_checkpoint(folder):
        raise CheckpointError(
            f"'{ref.name}' holds the weights of a source, which know no labels: name a finetune "
            "step with objective: classify, or the folder of what it made"
        )
    if ref.kind != "transformer" or not (folder / HEAD_FILE).is_file():
        missing = f" without {HEAD_FILE}" if ref.kind == "transformer" else ""
        raise CheckpointError(
            f"'{ref.name}' is a checkpoint of kind '{ref.kind}'{missing}: only what finetune made "
            "with objective: classify, regress or tag can be compressed"
        )
