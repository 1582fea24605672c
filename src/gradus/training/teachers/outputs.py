"""What teachers say of labelled texts: asked once, kept on disk, the whole distribution.

Any checkpoint that predicts may teach: a transformer, an exported one, TF-IDF, a prompted language
model. Each reads a text in its own way, so tokenizers and preparations may differ.

Legend: N texts, R rows (N, or the words of all texts where the target is spans), K outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from gradus import hardware
from gradus.checkpoints.hashing import hash_json
from gradus.data.dataset import Split, TrainingData
from gradus.data.words import find_words
from gradus.errors import DataError
from gradus.records import CheckpointRef
from gradus.steps.base import Monitor
from gradus.training.teachers.base import TeacherOutputs
from gradus.training.teachers.store import Kept, kept

if TYPE_CHECKING:
    from gradus.predict.base import Predictor

PART_TEXTS: Final = 8192
PACKAGES: Final = ("gradus-lm", "torch", "transformers")
"""Whose versions what a teacher says may depend on."""
LEAST: Final = -80.0
"""Nats: less probable than e^-80 is kept as that. A classifier that excludes a label would
otherwise be infinitely far from every student."""


class KeptOutputs(TeacherOutputs):
    """A teacher's logits on disk.

    Attributes:
        path: the folder that holds them.
    """

    def __init__(
        self, name: str, store: Kept, *, separate: bool, columns: Sequence[int] | None = None
    ) -> None:
        """`columns` are the teacher's, in the order of the student's outputs."""
        self.name, self.separate, self.path = name, separate, store.path
        self._store = store
        width = store.width("logits")
        order = list(range(width)) if columns is None else list(columns)
        self._columns = None if order == list(range(width)) else np.array(order)
        self._shape = (len(store), len(order))

    @property
    def shape(self) -> tuple[int, int]:
        """R and K."""
        return self._shape

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        """float32 [n, K]; see `TeacherOutputs`."""
        found = self._store.take("logits", rows.numpy())
        if self._columns is not None:
            found = found[:, self._columns]
        # Torch's own memory is aligned alike every time; sums over numpy's may round differently.
        return torch.from_numpy(found).clone()


class Asked:
    """One teacher, loaded when it is first needed and its labels known.

    Attributes:
        name: as the plan calls it.
    """

    def __init__(self, name: str, ref: CheckpointRef, *, dtype: str, threads: int) -> None:
        self.name, self.ref, self._dtype, self._threads = name, ref, dtype, threads
        self._predictor: Predictor | None = None

    @property
    def predictor(self) -> Predictor:
        """The checkpoint, loaded.

        Raises:
            CheckpointError: it can't be read, or says nothing of texts.
        """
        if self._predictor is None:
            from gradus.predict import load

            model = load(self.ref, dtype=self._dtype, threads=self._threads)
            self._predictor = model.predictor
        return self._predictor

    def of(
        self,
        data: TrainingData,
        split: Split,
        outputs: Sequence[str],
        place: Path,
        monitor: Monitor,
    ) -> KeptOutputs:
        """What it says of a split of `data`.

        Args:
            data: says target and labels.
            split: of it, or what unlabelled texts were added to.
            outputs: names of the student's K outputs: labels, or tags of words.
            place: the folder for such outputs.
            monitor: is told how far it is.

        Raises:
            DataError: it predicts something else than the data's labels.
        """
        words = words_of(split) if data.target == "spans" else None
        names = self._names(data, outputs)
        texts = list(split.texts)
        starts = range(0, max(1, len(texts)), PART_TEXTS)

        def make(number: int) -> dict[str, np.ndarray]:
            part = slice(starts[number], starts[number] + PART_TEXTS)
            monitor.progress(part.start, len(texts), f"asking teacher {self.name}")
            of = None if words is None else words[part]
            return {"logits": self._logits(texts[part], of, data.target).astype(np.float32)}

        found = kept(
            place,
            self._identity(texts, words),
            [_rows(texts, words, slice(s, s + PART_TEXTS)) for s in starts],
            make,
        )
        columns = [names.index(name) for name in outputs] if names else None
        return KeptOutputs(self.name, found, separate=data.target == "labels", columns=columns)

    def _identity(self, texts: Sequence[str], words: Any) -> dict[str, Any]:
        return {
            "teacher": self.ref.digest,
            "texts": hash_json([list(texts), words]),
            "dtype": self._dtype,
            "threads": self._threads,
            "versions": [hardware.version(name) for name in PACKAGES],
        }

    def _names(self, data: TrainingData, outputs: Sequence[str]) -> list[str]:
        """The teacher's outputs by name; none where it says a number."""
        teacher = self.predictor
        if teacher.target != data.target:
            raise DataError(
                f"{data.name}: teacher {self.name} predicts target '{teacher.target}', and the "
                f"data have target '{data.target}'"
            )
        if data.target == "number":
            return []
        names = list(teacher.tags if data.target == "spans" else teacher.labels)
        for name in outputs:
            if name not in names:
                raise DataError(
                    f"{data.name}: teacher {self.name} doesn't know '{name}', which the student "
                    f"is to tell; it was trained on {len(names)} labels, the student has "
                    f"{len(outputs)}: take a teacher that was trained on these labels"
                )
        extra = [name for name in names if name not in outputs]
        if extra:
            raise DataError(
                f"{data.name}: teacher {self.name} also tells '{extra[0]}', which the data don't "
                "have: take a teacher that was trained on these labels"
            )
        return names

    def _logits(self, texts: list[str], words: Any, target: str) -> np.ndarray:
        teacher = self.predictor
        if target == "number":
            return teacher.numbers(texts)[:, None]
        if target == "spans":
            return np.asarray(np.maximum(teacher.tag_log_probs(texts, words=words), LEAST))
        found = teacher.log_probs(texts)
        if target == "label":
            return np.asarray(np.maximum(found, LEAST))
        # Exactly 1 has no logarithm of what is left over.
        other = np.log(-np.expm1(np.minimum(found, -1e-16)))
        return np.asarray(np.clip(found - other, LEAST, -LEAST))


def words_of(split: Split) -> list[list[tuple[int, int]]]:
    """The (start, end) of each text's words, as the data give them or as Gradus finds them."""
    if split.words is None:
        return [[(int(a), int(b)) for a, b in find_words(text)] for text in split.texts]
    return [[(int(a), int(b)) for a, b in words] for words in split.words]


def _rows(texts: Sequence[str], words: Any, part: slice) -> int:
    if words is None:
        return len(texts[part])
    return sum(len(of) for of in words[part])
