"""The checkpoint with a trimmed vocabulary that a scheme then takes, and what trimming cost."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradus.checkpoints import is_checkpoint, read_manifest, save_checkpoint
from gradus.compress.classifier import load_classifier
from gradus.compress.plain import write_weights
from gradus.compress.scoring import value_on_select
from gradus.compress.vocabulary import changed_share, write_trimmed
from gradus.data.prepare import Prepare
from gradus.data.words import find_words
from gradus.errors import CheckpointError, DataError
from gradus.predict import load
from gradus.predict.graph import TOKENIZER
from gradus.records import CheckpointRef
from gradus.steps.base import StepContext
from gradus.training.adapters.attach import FOLDER as ADAPTER


@dataclass(frozen=True, slots=True, kw_only=True)
class TrimmedParent:
    """The parent with fewer tokens, in float32, with what is said of it."""

    ref: CheckpointRef
    facts: Mapping[str, Any]
    note: str


def trimmed_parent(parent: CheckpointRef, context: StepContext, prepare: Prepare) -> TrimmedParent:
    """The parent with the tokens that train uses, and the quality of both on dev.select.

    Raises:
        CheckpointError: the tokenizer or the tables can't be trimmed.
        DataError: there is no train split to see tokens in.
    """
    data = context.data
    if data is None:
        raise DataError("vocabulary: trim keeps what train uses: name the data set in data")
    source, place = Path(parent.path), context.work / "trimmed"
    if not is_checkpoint(source) or parent.kind != "transformer":
        raise CheckpointError(
            f"'{parent.name}' is no fine-tuned transformer, so its vocabulary can't be trimmed"
        )
    if place.exists():
        shutil.rmtree(place)
    train = prepare.texts(list(data.train.texts))
    manifest = read_manifest(source)
    if (source / ADAPTER).is_dir():
        # Its weights are trimmed with the adapter merged, as it is wherever it is used.
        merged = _made(place / "merged")
        write_weights(load_classifier(parent), merged, torch.float32)
        source = merged
    spans = manifest.preprocessing.get("target") == "spans"
    trimmed = write_trimmed(source, _made(place / "files"), [*train, *_words(train, spans)])
    preprocessing = dict(manifest.preprocessing)
    if "unknown" in preprocessing:
        preprocessing["unknown"] = trimmed.new_ids[int(preprocessing["unknown"])]
    ref = save_checkpoint(
        place / "checkpoint",
        kind=parent.kind,
        labels=manifest.labels,
        preprocessing=preprocessing,
        parents=(parent,),
        facts={"tokens": len(trimmed.kept)},
        write=lambda folder: _copy(place / "files", folder),
        name=parent.name,
    )
    select = list(prepare.texts(list(data.select.texts)))
    before, after = source / TOKENIZER, Path(ref.path) / TOKENIZER
    changed = changed_share(before, after, trimmed, select)
    tokens = _size(before)
    facts = {
        "tokens_before": tokens,
        "tokens_after": len(trimmed.kept),
        "select_texts_cut_otherwise": changed,
        "select_before": _values(parent, context),
        "select_after": _values(ref, context),
    }
    note = (
        f"The vocabulary was trimmed from {tokens:,} to {len(trimmed.kept):,} tokens: those of "
        "train's texts, special ones and single characters. Words never seen are spelled in the "
        "pieces that are left, and what can't be is the unknown token; "
        f"{changed:.1%} of dev.select's texts are cut otherwise than before."
    )
    return TrimmedParent(ref=ref, facts=facts, note=note)


def _words(texts: Sequence[str], spans: bool) -> list[str]:
    """Where words are read one by one, each of train's, alone and after a space."""
    if not spans:
        return []
    found = {text[start:stop] for text in texts for start, stop in find_words(text)}
    return sorted({*found, *(f" {word}" for word in found)})


def _values(ref: CheckpointRef, context: StepContext) -> dict[str, float]:
    assert context.data is not None
    if not len(context.data.select):
        return {}
    predictor = load(ref, threads=context.threads, verify=False).predictor
    return dict(value_on_select(predictor, context, list(context.data.select.texts)))


def _size(tokenizer: Path) -> int:
    from gradus.predict.graph import read_tokenizer

    return int(read_tokenizer(tokenizer).get_vocab_size(with_added_tokens=True))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _copy(source: Path, folder: Path) -> None:
    for path in source.iterdir():
        shutil.copyfile(path, folder / path.name)
