"""From a checkpoint and a pool to the texts to label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradus.errors import UsageError
from gradus.labelling.choosing import Diversity, Uncertainty, choose, uncertainty
from gradus.labelling.records import Task, Tasks

if TYPE_CHECKING:
    import numpy as np

    from gradus.labelling.pool import Pool
    from gradus.predict.model import Model


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many texts, and by what they are chosen; see `gradus.labelling.choosing`."""

    n: int
    by: Uncertainty = "margin"
    diversity: Diversity = "kmeans"
    seed: int = 0


def next_tasks(
    model: Model,
    pool: Pool,
    wanted: Wanted,
    *,
    labelled: list[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> tuple[Tasks, str]:
    """The tasks, and what made the vectors that keep them apart (``none`` for no vectors).

    Args:
        model: its target is ``label`` or ``labels``.
        pool: what may be asked about.
        wanted: how many, and which.
        labelled: texts that are labelled, which ``k-centre`` keeps away from.
        progress: called with the number of texts predicted so far.

    Raises:
        UsageError: the model predicts something else, or the pool is empty.
    """
    if model.target not in ("label", "labels"):
        raise UsageError(
            f"a checkpoint with target '{model.target}' can't say which texts to label: take one "
            "of labels"
        )
    if not pool.texts:
        why = f"{pool.known:,} are labelled already" if pool.known else "it holds none"
        raise UsageError(f"no text of the pool is left to label: {why}")
    texts = list(pool.texts)
    several = model.target == "labels"
    probabilities = model.predict_proba(texts, progress=progress)
    unsure = uncertainty(probabilities, wanted.by, several=several)
    vectors, known, made = _vectors(model, texts, labelled or [], wanted)
    chosen = choose(
        unsure, vectors, wanted.n, diversity=wanted.diversity, known=known, seed=wanted.seed
    )
    picked = [texts[i] for i in chosen]
    said = model.predict(picked)
    tasks = tuple(
        Task(
            text,
            tuple(label for label, _ in one.labels)
            if several
            else tuple(label for label in [one.label] if label is not None),
            float(one.probability or 0.0),
            float(unsure[i]),
        )
        for text, one, i in zip(picked, said, chosen, strict=True)
    )
    name = f"{model.ref.kind} {model.ref.digest[:12]}"
    return Tasks(tasks, tuple(model.labels), several, name), made


def _vectors(
    model: Model, texts: list[str], labelled: list[str], wanted: Wanted
) -> tuple[np.ndarray | None, np.ndarray | None, str]:
    """Vectors of the pool and, for k-centre, of what is labelled; both made alike."""
    if wanted.diversity == "none":
        return None, None, "none"
    from gradus.labelling.vectors import vectors_of

    beside = labelled if wanted.diversity == "k-centre" else []
    both, made = vectors_of(model, [*texts, *beside])
    return both[: len(texts)], both[len(texts) :], made
