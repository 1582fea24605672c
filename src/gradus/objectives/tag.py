"""Tagging: spans of words with a label each, from hidden states of words through a linear head.

Legend: N texts, W words, K tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from gradus import benchmarks
from gradus.errors import DataError
from gradus.objectives.base import COSTS, Objective, ObjectiveConfig, Prepared
from gradus.objectives.vectors import HEAD_FILE
from gradus.records import CheckpointRef, Target

if TYPE_CHECKING:
    from gradus.data.dataset import Split, TrainingData
    from gradus.objectives.tagging import Gold, TagTask, WordTokens
    from gradus.objectives.tagging_sequences import Tagset
    from gradus.objectives.tagging_windows import WordEncoder
    from gradus.steps.base import Monitor

# What a head must agree in to be gone on with.
_HEAD_SETTINGS = ("target", "word", "tags", "shapes")
_OVERLAP_SHARE = 4


class TagConfig(ObjectiveConfig):
    """How words are read and spans are written as tags.

    Attributes:
        word: a word's features are the hidden state of its ``first`` token or the ``mean`` of all.
        tags: ``iobes`` tells beginnings, insides, ends and single words apart, ``iob2`` the first
            two.
        shapes: whether capitals, digits and punctuation of each word are added to its tokens'
            embeddings; an uncased encoder sees nothing of them otherwise.
        overlap: tokens that neighbouring windows of a long text share; None for a quarter of
            `max_tokens`.
    """

    name: Literal["tag", "tag.v1"] = "tag"
    word: Literal["first", "mean"] = "first"
    tags: Literal["iobes", "iob2"] = "iobes"
    shapes: bool = True
    overlap: Annotated[int, Field(ge=0)] | None = None


class Tag(Objective):
    """Minimise the cross-entropy of the words' tags; the spans are the best legal sequence's.

    Each word is predicted from hidden states in its context by a linear head. Texts longer than
    `max_tokens` are read in overlapping windows that part no word, and each word is predicted from
    the window in which it has most context. Of all sequences of tags that spans can give, the most
    probable one is taken (Viterbi 1967). A checkpoint that was tagged with the same types keeps
    its head.

    Example::

        objective: {name: tag, tags: iobes, shapes: true}
    """

    Config: ClassVar[type[ObjectiveConfig]] = TagConfig
    summary: ClassVar[str] = "spans of words: linear head on each word in context, legal sequences"
    example: ClassVar[str] = "{name: tag, tags: iobes, shapes: true}"
    targets: ClassVar[tuple[Target, ...]] = ("spans",)

    @classmethod
    def metrics(cls) -> frozenset[str]:
        """Those of spans, and the costs of predicting."""
        return frozenset({*benchmarks.of("spans").metrics, *COSTS})

    def prepare(
        self,
        config: Any,
        *,
        ref: CheckpointRef,
        data: TrainingData,
        monitor: Monitor,
        max_tokens: int | None,
        seed: int,
    ) -> Prepared:
        """Load weights, tokenise words, build the head or take the old one."""
        from gradus.checkpoints import find_manifest
        from gradus.objectives.tagging_sequences import Tagset
        from gradus.objectives.tagging_windows import WordEncoder
        from gradus.training import models

        data.require("spans", "objective tag")
        folder = Path(ref.path)
        manifest = find_manifest(folder)
        before = dict(manifest.preprocessing) if manifest else {}
        model, tokenizer = models.load_model(ref), models.load_tokenizer(ref)
        settings = _settle(config, before, model, tokenizer, max_tokens)
        encoder = WordEncoder.of(tokenizer.backend_tokenizer, settings)
        tagset = Tagset(data.labels, config.tags)
        task = _task(model, data, encoder, tagset, settings, monitor)
        headed = manifest is not None and (folder / HEAD_FILE).is_file()
        kept = (
            headed
            and manifest is not None
            and manifest.labels == data.labels
            and all(before.get(name) == settings[name] for name in _HEAD_SETTINGS)
        )
        task.head.scale = float(before["scale"]) if kept else task.usual_scale()
        if kept:
            task.load_head(folder / HEAD_FILE)
        preprocessing = {**settings, "scale": task.head.scale}

        def save(target: Path) -> None:
            models.save_model(model, tokenizer, target)
            task.save_head(target / HEAD_FILE)

        return Prepared(
            task=task,
            save=save,
            labels=data.labels,
            preprocessing=preprocessing,
            notes=_notes(headed, kept, task.train, data, settings),
            facts={
                **preprocessing,
                "layers": task.backbone.layers,
                "packed": task.backbone.packs,
                "train_texts": len(data.train),
                "train_words": int(task.train.texts.sum()),
                "train_windows": len(task.train),
                "train_tokens_per_epoch": task.train.total,
                "texts_in_windows": task.train.cut,
                "words_without_tokens": task.train.dropped,
                "head_kept": kept,
            },
        )


def _settle(
    config: Any, before: Mapping[str, Any], model: Any, tokenizer: Any, max_tokens: int | None
) -> dict[str, Any]:
    """Everything that reading words depends on, as the manifest will say it."""
    from gradus.data.words import RULE
    from gradus.training import models

    wanted = max_tokens or int(before.get("max_tokens", models.DEFAULT_MAX_TOKENS))
    limit = models.max_positions(model)
    most = min(wanted, limit) if limit else wanted
    return {
        "target": "spans",
        "max_tokens": most,
        "overlap": most // _OVERLAP_SHARE if config.overlap is None else config.overlap,
        "word": config.word,
        "tags": config.tags,
        "shapes": config.shapes,
        "words": RULE,
        "unknown": models.stand_in(tokenizer, first="unk_token_id"),
    }


def _task(
    model: Any,
    data: TrainingData,
    encoder: WordEncoder,
    tagset: Tagset,
    settings: Mapping[str, Any],
    monitor: Monitor,
) -> TagTask:
    """The task with a head that knows nothing yet."""
    from gradus.checkpoints.hashing import hash_json
    from gradus.objectives.tagging import ShapedBackbone, TagHead, TagTask

    backbone = ShapedBackbone(model)
    train, gold = _read(data.name, data.train, encoder, tagset)
    select, select_gold = _read(data.name, data.select, encoder, tagset)
    return TagTask(
        backbone=backbone,
        head=TagHead(backbone.width, len(tagset), 1.0, shapes=bool(settings["shapes"])),
        train=train,
        select=select,
        gold=gold,
        select_gold=select_gold,
        tagset=tagset,
        word=str(settings["word"]),
        monitor=monitor,
        digest=hash_json([data.digest, dict(settings)]),
    )


def _read(name: str, split: Split, encoder: WordEncoder, tagset: Tagset) -> tuple[WordTokens, Gold]:
    """A split's windows, and what its words are labelled with."""
    import numpy as np
    import torch

    from gradus.data.words import find_words
    from gradus.objectives.tagging import Gold, WordTokens
    from gradus.objectives.tagging_sequences import word_spans

    texts = list(split.texts)
    words = [find_words(text) for text in texts] if split.words is None else list(split.words)
    spans = list(split.labels)
    kinds = {label: number for number, label in enumerate(tagset.types)}
    tags = [np.empty(0, dtype=np.int64)]
    for text, of, held in zip(texts, words, spans, strict=True):
        try:
            tags.append(tagset.encode(word_spans(held, of, kinds), len(of)))
        except DataError as error:
            raise DataError(f"{name}: text '{text[:60]}': {error}") from error
    gold = Gold(tags=torch.from_numpy(np.concatenate(tags)), words=words, spans=spans)
    return WordTokens(encoder(texts, words), list(split.ids)), gold


def _inexact(split: Split) -> int:
    """How many spans begin or end inside a word."""
    if split.words is None:
        return 0
    found = 0
    for words, spans in zip(split.words, split.labels, strict=True):
        starts, ends = {start for start, _ in words}, {end for _, end in words}
        found += sum(span.start not in starts or span.end not in ends for span in spans)
    return found


def _notes(
    headed: bool,
    kept: bool,
    train: WordTokens,
    data: TrainingData,
    settings: Mapping[str, Any],
) -> tuple[str, ...]:
    notes = []
    if headed:
        notes.append(
            "Types and reading are those of the checkpoint before, so its head was kept."
            if kept
            else "Types or reading differ from the checkpoint before: a new head was made."
        )
    if train.cut:
        notes.append(
            f"{train.cut / len(data.train):.1%} of the train texts are longer than "
            f"{settings['max_tokens']} tokens and were read in overlapping windows."
        )
    if train.dropped:
        notes.append(
            f"{train.dropped:,} words of train have no token (control characters, say) and were "
            "read as unknown."
        )
    inexact = _inexact(data.train)
    if inexact:
        notes.append(
            f"{inexact:,} spans of train begin or end inside a word; they were learnt as whole "
            "words, and such spans can't be found exactly."
        )
    return tuple(notes)
