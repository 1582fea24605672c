"""Texts without labels that a student learns from what its teachers say of them.

They are put behind the labelled texts of train. Where training needs a label to stand there, as
heads that are solved do, it is the teachers' own (self-training's pseudo-label, Lee 2013); the hard
loss leaves these texts out.

Legend: N labelled texts, U added ones, R rows (texts, or words where the target is spans).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gradus.checkpoints.hashing import hash_json
from gradus.data.dataset import Split, TrainingData
from gradus.data.words import find_words
from gradus.errors import DataError
from gradus.objectives.tagging_sequences import Tagset
from gradus.objectives.tagging_spans import spans_of
from gradus.training.teachers.base import Ensemble

if TYPE_CHECKING:
    from gradus.data.corpora import Corpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """Data with unlabelled texts behind train's own.

    Attributes:
        data: their labels are nothing yet.
        count: U.
        notes: sentences for the report.
    """

    data: TrainingData
    count: int = 0
    notes: tuple[str, ...] = ()


def texts_of(
    name: str, datasets: Mapping[str, TrainingData], corpora: Mapping[str, Corpus]
) -> list[str]:
    """The train texts of a data set, labels left aside, or the train documents of a corpus.

    Raises:
        DataError: neither of that name was handed over.
    """
    if name in datasets:
        return list(datasets[name].train.texts)
    if name in corpora:
        return [document.text for document in corpora[name].splits["train"]]
    raise DataError(f"unlabelled: '{name}' is neither a data set nor a corpus of this step")


def add(data: TrainingData, texts: Sequence[str]) -> Added:
    """Put texts behind train's, without those that are in train or dev.select already, or empty."""
    if not len(texts):
        return Added(data=data)
    known = {str(text) for text in (*data.train.texts, *data.select.texts)}
    fresh = list(dict.fromkeys(text for text in texts if text.strip() and text not in known))
    if not fresh:
        raise DataError(
            f"{data.name}: all unlabelled texts are empty, or stand in train or dev.select already"
        )
    train = data.train
    words = None
    if data.target == "spans":
        found = train.words or [find_words(text) for text in train.texts]
        words = [*found, *(find_words(text) for text in fresh)]
    ids = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in fresh]
    longer = Split(
        texts=[*train.texts, *fresh],
        labels=_nothing(train.labels, len(fresh)),
        ids=[*train.ids, *ids],
        words=words,
    )
    digest = hash_json([data.digest, ids])
    notes = [f"{len(fresh):,} texts without labels were added to train's {len(train):,}."]
    if len(fresh) < len(texts):
        notes.append(
            f"{len(texts) - len(fresh):,} unlabelled texts were left out: empty, repeated, or in "
            "train or dev.select."
        )
    return Added(
        data=replace(data, train=longer, digest=digest), count=len(fresh), notes=tuple(notes)
    )


def stand_in(added: Added, ensemble: Ensemble, outputs: Sequence[str]) -> tuple[TrainingData, int]:
    """The data with what the teachers, mixed by the plan's weights, say of each unlabelled text
    in the place of its label; and the first row of those texts."""
    data, train = added.data, added.data.train
    first = len(train) - added.count
    start = first if data.target != "spans" else sum(len(w) for w in (train.words or ())[:first])
    rows = torch.arange(start, ensemble.teachers[0].shape[0])
    labels = train.labels.copy()
    labels[first:] = _said(data, ensemble, rows, first, outputs)
    return replace(data, train=replace(train, labels=labels)), start


def _said(
    data: TrainingData, ensemble: Ensemble, rows: torch.Tensor, first: int, outputs: Sequence[str]
) -> np.ndarray:
    if data.target == "number":
        return ensemble.logits(rows).squeeze(1).double().numpy()
    mixed = ensemble.log_probs(rows)
    if data.target == "label":
        return mixed.argmax(dim=1).numpy()
    if data.target == "labels":
        return np.asarray(mixed >= np.log(0.5))
    words = list((data.train.words or ())[first:])
    said = spans_of(mixed.double().numpy(), words, _tagset(data.labels, outputs))
    found: np.ndarray = np.empty(len(said), dtype=object)
    found[:] = said
    return found


def _tagset(labels: Sequence[str], outputs: Sequence[str]) -> Tagset:
    """The tagset that has these tags."""
    for scheme in ("iob2", "iobes"):
        tagset = Tagset(labels, scheme)
        if tagset.tags == tuple(outputs):
            return tagset
    raise DataError(f"tags {', '.join(outputs[:5])}, ... are of no scheme that is known")


def _nothing(labels: np.ndarray, count: int) -> np.ndarray:
    """`labels` with so many more rows that hold nothing in particular."""
    if labels.dtype == object:
        more: Any = np.empty(count, dtype=object)
        more[:] = [()] * count
    else:
        more = np.zeros((count, *labels.shape[1:]), dtype=labels.dtype)
    return np.concatenate([labels, more])
