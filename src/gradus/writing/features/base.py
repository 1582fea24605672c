"""What a feature is: numbers about each writing, computed once and kept.

A feature of the catalog's section ``features`` gives columns, one row a writing; a metric reduces
columns to a number and never sees a model. Columns are kept by what they rest on, so that another
gate or metric on them asks no model again.

Legend: N writings of one writer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gradus.writing.records import Writing

if TYPE_CHECKING:
    import numpy as np

    from gradus.data.corpora import Documents
    from gradus.records import CheckpointRef

Need = Literal["reference", "embedder", "training", "human"]
"""What a plan must give for a feature: a reference model, an embedder, a corpus whose train split
is known, or what people wrote to the same prompts."""


def _silent(done: float, total: float) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureContext:
    """What features are computed with.

    Attributes:
        reference: a causal language model; None where the plan names none.
        embedder: a model whose pooled hidden states stand for texts; None likewise.
        training: the train split that novelty is measured against; None likewise.
        human: what people wrote to the same prompts, by prompt; () where nobody did.
        everyone: all writings of the samples, of every writer.
        place: a folder that outlives the call and is shared by all writers of a step, for what is
            costly and the same for each (an index of the training text, embeddings of what people
            wrote). Write there atomically, under names that hold a digest of what they rest on.
        opened: what is costly to open and the same for every writer of a step, a model above all,
            by whatever key its feature chooses; it is let go of when the step is measured.
        dtype: arithmetic of models: ``float32`` or ``bfloat16``.
        threads: number of threads that may be used.
        progress: told how far a long computation is, in whatever unit `total` has.
    """

    place: Path
    reference: CheckpointRef | None = None
    embedder: CheckpointRef | None = None
    training: Documents | None = None
    human: Sequence[Writing] = field(default=())
    everyone: Sequence[Writing] = field(default=())
    opened: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    threads: int = 1
    progress: Callable[[float, float], None] = _silent


class Feature(ABC):
    """Numbers about each writing of one writer.

    Class attributes:
        name: versioned name, as in the catalog.
        summary: one line for `gradus ls`.
        needs: what must all be there, else the feature isn't computed; () where the texts suffice.
            It is given nothing else, but what people and all writers wrote.
        columns: names of the columns it gives, always all of them.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[tuple[Need, ...]] = ()
    columns: ClassVar[tuple[str, ...]]

    @abstractmethod
    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """Each of `columns`: float64 [N] or [N, k], in the order of `texts`.

        NaN where a number isn't defined for a text (no sentence, no name): metrics then leave the
        text out. Infinities are refused.
        """
