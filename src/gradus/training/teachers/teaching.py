"""Teachers of labelled texts, asked and ready: for train, for dev.select, for unlabelled texts.

Legend: R rows of a split (texts, or words where the target is spans), K outputs, M teachers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gradus.data.dataset import TrainingData
from gradus.records import CheckpointRef
from gradus.steps.base import Monitor
from gradus.training.teachers.ablation import ablation
from gradus.training.teachers.base import Ensemble
from gradus.training.teachers.config import Weighting
from gradus.training.teachers.outputs import Asked
from gradus.training.teachers.unlabelled import Added, add, stand_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """What a student learns from.

    Attributes:
        data: what was given, with the unlabelled texts behind the others in train; each of them
            carries the label that the teachers would give it, in the place of one.
        labelled: bool [R of train], whether a row's label is gold; None where all are.
        train: the teachers on train.
        select: the same teachers on dev.select.
        notes: sentences for the report.
    """

    data: TrainingData
    labelled: torch.Tensor | None
    train: Ensemble
    select: Ensemble
    notes: tuple[str, ...] = ()

    def ablation(self, student: torch.Tensor, gold: torch.Tensor) -> list[dict[str, Any]]:
        """A row for each teacher, for all together and for all but each; see
        `gradus.training.teachers.ablation`.

        Args:
            student: float [R, K] log-probabilities on dev.select (numbers [R, 1] for target
                ``number``).
            gold: the rows' labels: int64 [R], float [R, K] or float [R].
        """
        weighed = self.train.over(self.select.teachers)
        return ablation(weighed, student, gold, target=self.data.target)

    @property
    def facts(self) -> dict[str, Any]:
        """JSON: how teachers are weighed, and what was added."""
        found: dict[str, Any] = {
            "weighting": self.train.weighting if len(self.train.teachers) > 1 else "one teacher",
            "weights": self.train.facts(),
        }
        if self.labelled is not None:
            found["rows_without_labels"] = int((~self.labelled).sum())
        return found


def open_teachers(
    refs: Mapping[str, CheckpointRef],
    *,
    shares: Mapping[str, float],
    weighting: Weighting,
    data: TrainingData,
    outputs: Sequence[str],
    place: Path,
    monitor: Monitor,
    unlabelled: Sequence[str] = (),
    dtype: str = "float32",
    threads: int = 1,
) -> Teaching:
    """Ask each teacher about train and dev.select, unless that has been done.

    Args:
        refs: the teachers by name.
        shares: their weights.
        weighting: how several are mixed.
        data: as the plan has it, unprepared: each teacher prepares texts in its own way.
        outputs: names of the student's K outputs: the labels, or the tags of words; nothing for
            target ``number``.
        place: the folder that keeps what they say; later runs and other students find it there.
        monitor: is told how far it is.
        unlabelled: texts without labels that the student learns from too.
        dtype: what teachers compute in.
        threads: how many they may use.

    Raises:
        CheckpointError: a teacher can't be read or predicts nothing.
        DataError: it predicts something else than the data's labels.
    """
    added = add(data, unlabelled)
    asked = [Asked(name, refs[name], dtype=dtype, threads=threads) for name in shares]

    def ensemble(split: Any) -> Ensemble:
        found = [one.of(data, split, outputs, place, monitor) for one in asked]
        return Ensemble(
            found, weights=[shares[teacher.name] for teacher in found], weighting=weighting
        )

    train = ensemble(added.data.train)
    ready, labelled = _labelled(added, train, data, outputs)
    return Teaching(
        data=ready,
        labelled=labelled,
        train=train,
        select=ensemble(data.select),
        notes=added.notes,
    )


def _labelled(
    added: Added, train: Ensemble, data: TrainingData, outputs: Sequence[str]
) -> tuple[TrainingData, torch.Tensor | None]:
    """The data with stand-ins for missing labels, and which rows have gold ones."""
    if not added.count:
        return data, None
    ready, rows = stand_in(added, train, outputs)
    labelled = torch.ones(train.teachers[0].shape[0], dtype=torch.bool)
    labelled[rows:] = False
    return ready, labelled
