"""A tagger as one torch module, from token ids and shapes to logits, ready to be exported.

Legend: n windows of L tokens each, d hidden size, S shapes, K tags.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from gradus.checkpoints import Manifest
from gradus.compress.classifier import Classifier, IdsToLogits
from gradus.data.words import find_words
from gradus.objectives.pooled import load_head
from gradus.objectives.tagging import SHAPE_SCALE, TagHead
from gradus.objectives.tagging_sequences import Tagset
from gradus.objectives.tagging_windows import WordEncoder
from gradus.objectives.vectors import HEAD_FILE
from gradus.predict.tagging import in_one
from gradus.records import CheckpointRef
from gradus.training import models
from gradus.training.groups import find_groups


class IdsToTagLogits(nn.Module):
    """int64 [n, L] to float32 [n, L, K]: the logits of every token.

    A number holds a token's id and the shape of its word, ``id + vocabulary * shape``, so that the
    graph has one input as a classifier's has. Logits are linear in hidden states, so the mean of a
    word's hidden states has the mean of its tokens' logits: which tokens count is settled outside.
    """

    shapes: torch.Tensor | None

    def __init__(self, backbone: nn.Module, head: TagHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.vocabulary = vocabulary(backbone)
        self.head = nn.Linear(head.weight.shape[1], head.weight.shape[0])
        with torch.no_grad():
            self.head.weight.copy_(head.weight * head.scale)
            self.head.bias.copy_(head.bias)
        rows = None if head.shapes is None else SHAPE_SCALE * head.shapes.detach()
        self.register_buffer("shapes", rows)
        self._added: torch.Tensor | None = None
        lowest = find_groups(backbone).layers[0]
        lowest.register_forward_pre_hook(self._add, with_kwargs=True)
        parameters = inspect.signature(backbone.forward).parameters
        self._options: dict[str, Any] = {"use_cache": False} if "use_cache" in parameters else {}

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Logits of windows that all have L tokens; there is no padding, hence no mask."""
        ids = input_ids % self.vocabulary
        if self.shapes is not None:
            kinds = torch.div(input_ids, self.vocabulary, rounding_mode="floor")
            self._added = torch.nn.functional.embedding(kinds, self.shapes)
        hidden = self.backbone(input_ids=ids, **self._options).last_hidden_state
        logits: torch.Tensor = self.head(hidden)
        return logits

    def _add(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._added is None:
            return args, kwargs
        if args:
            return (args[0] + self._added, *args[1:]), kwargs
        return args, {**kwargs, "hidden_states": kwargs["hidden_states"] + self._added}


def vocabulary(backbone: nn.Module) -> int:
    """How many token ids the model's table has."""
    return int(backbone.get_input_embeddings().num_embeddings)  # type: ignore[operator]  # nn.Module types attributes as tensors


@dataclass(frozen=True, slots=True)
class TagClassifier(Classifier):
    """What is compressed, for spans: a text has as many rows of ids as it has windows."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids and shapes of all windows of `texts`, whose words are found by the rule."""
        encoder = WordEncoder.of(self.tokenizer.backend_tokenizer, self.manifest.preprocessing)
        made = encoder(list(texts), [find_words(text) for text in texts])
        return in_one(made, vocabulary(cast("Any", self.module.backbone)))

    def preprocessing(self) -> dict[str, Any]:
        """The manifest's, and what tells ids and shapes apart."""
        held = vocabulary(cast("Any", self.module.backbone))
        return {**self.manifest.preprocessing, "vocabulary": held}


def bare_tagger(
    backbone: nn.Module, reading: Mapping[str, Any], labels: Sequence[str]
) -> IdsToTagLogits:
    """The module of a tagger, with a head that says nothing yet."""
    return IdsToTagLogits(backbone, _head(backbone, reading, labels))


def _head(backbone: nn.Module, reading: Mapping[str, Any], labels: Sequence[str]) -> TagHead:
    return TagHead(
        int(backbone.config.hidden_size),  # type: ignore[union-attr, arg-type]  # nn.Module types attributes as tensors
        len(Tagset(labels, reading["tags"])),
        float(reading["scale"]),
        shapes=bool(reading["shapes"]),
    )


def load_tagger(ref: CheckpointRef, manifest: Manifest, backbone: nn.Module) -> TagClassifier:
    """The tagger of a checkpoint whose backbone is loaded.

    Raises:
        CheckpointError: the head doesn't fit.
    """
    folder, reading = Path(ref.path), manifest.preprocessing
    head = _head(backbone, reading, manifest.labels)
    load_head(head, folder / HEAD_FILE)
    module = IdsToTagLogits(backbone, head).eval().requires_grad_(False)
    return TagClassifier(
        folder=folder,
        manifest=manifest,
        module=cast("IdsToLogits", module),
        tokenizer=models.load_tokenizer(ref),
        causal=models.is_causal(backbone),
    )
