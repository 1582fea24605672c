"""What each teacher is worth, told from what is kept of them: no model is run again.

Legend: R rows of dev.select, K outputs, M teachers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import torch

from gradus.records import Target
from gradus.training.teachers.base import Ensemble, log_complement

ALL: Final = "all"


def ablation(
    ensemble: Ensemble, student: torch.Tensor, gold: torch.Tensor, *, target: Target
) -> list[dict[str, Any]]:
    """Rows on dev.select: each teacher alone, all of them mixed, and all but one.

    Each row has ``teachers`` (a name, ``all``, ``all but NAME``) and ``weight`` (of a teacher
    alone: its share in the mixture); with labels ``accuracy`` (of tags for words; of decisions for
    target ``labels``), ``loss`` (mean cross-entropy of gold in nats), ``student_soft_loss`` (mean
    KL from the teacher to the student at temperature 1, in nats) and ``student_agreement`` (share
    of rows on which both would say the same); with numbers ``rmse`` and ``student_rmse`` (between
    the two).

    Mixed by the weights of the whole training: which label is gold, `agreement` isn't told here.

    Args:
        ensemble: the M teachers on dev.select.
        student: float [R, K] log-probabilities, or numbers [R, 1].
        gold: int64 [R], float [R, K] or float [R].
        target: of the data.
    """
    rows = torch.arange(ensemble.teachers[0].shape[0])
    if not len(rows):
        return []
    found = []
    for name, weight, part in _parts(ensemble):
        row: dict[str, Any] = {"teachers": name, "weight": weight}
        if target == "number":
            said = part.logits(rows).double()
            row["rmse"] = _rms(said.squeeze(1) - gold.double())
            row["student_rmse"] = _rms(said - student.double())
        else:
            said = part.log_probs(rows).double()
            row |= _labels(said, student.double(), gold, separate=target == "labels")
        found.append(row)
    return found


def _parts(ensemble: Ensemble) -> Iterator[tuple[str, float | None, Ensemble]]:
    weights = ensemble.facts()
    for teacher in ensemble.teachers:
        yield teacher.name, weights[teacher.name], ensemble.over([teacher])
    if len(ensemble.teachers) > 1:
        yield ALL, None, ensemble
    if len(ensemble.teachers) > 2:
        for name in ensemble.names:
            yield f"{ALL} but {name}", None, ensemble.without(name)


def _labels(
    said: torch.Tensor, student: torch.Tensor, gold: torch.Tensor, *, separate: bool
) -> dict[str, float]:
    if separate:
        yes = gold.double()
        no, student_no = log_complement(said), log_complement(student)
        loss = -(yes * said + (1 - yes) * no).sum(dim=1)
        kl = (said.exp() * (said - student) + no.exp() * (no - student_no)).sum(dim=1)
        decided, own = said >= no, student >= student_no
        right, same = (decided == gold.bool()).double(), (decided == own).double()
    else:
        loss = -said.gather(1, gold[:, None]).squeeze(1)
        kl = (said.exp() * (said - student)).sum(dim=1)
        right = (said.argmax(dim=1) == gold).double()
        same = (said.argmax(dim=1) == student.argmax(dim=1)).double()
    return {
        "accuracy": float(right.mean()),
        "loss": float(loss.mean()),
        "student_soft_loss": float(kl.mean()),
        "student_agreement": float(same.mean()),
    }


def _rms(error: torch.Tensor) -> float:
    return float(error.square().mean().sqrt())
