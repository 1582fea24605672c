"""Weights of a training on its way: kept at given updates, saved as checkpoints when it is over.

They are the weights that would be validated then: the average's, where the training has one. A
training that was killed comes to the same bits again, so a file that is there may be written over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradus.training.loop import load_weights
from gradus.training.retention import milestone_file
from gradus.training.task import Task


def name_of(update: int) -> str:
    """What a plan calls the checkpoint, behind the step's id and a dot."""
    return f"at-{update}"


def save(
    task: Task,
    asked: Sequence[int],
    work: Path,
    write: Callable[[str, Mapping[str, Any]], Path],
) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Save a checkpoint for each milestone that the training came to.

    The task's weights are those of the last milestone afterwards, so what shall become of the
    trained ones must have been done.

    Args:
        task: what was trained.
        asked: numbers of updates.
        work: where `gradus.training.long` kept the weights.
        write: saves the task's weights as they stand, under a name and with facts.

    Returns:
        The folders by name, and a note where the training didn't come to all milestones.
    """
    made, missed = dict[str, Path](), list[str]()
    for update in asked:
        path = work / milestone_file(update)
        if path.exists():
            load_weights(task, path)
            made[name_of(update)] = write(name_of(update), {"updates": update})
        else:
            missed.append(str(update))
    if not missed:
        return made, ()
    why = "training ended before; there are no such checkpoints"
    return made, (f"milestones {', '.join(missed)}: {why}",)
