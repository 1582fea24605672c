"""The feature behind `divergence`: texts by the cells of a quantised space of embeddings.

Legend: N writings, E writings of everyone, M quantisations, K cells, d hidden size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from gradus.writing.features.base import Feature, FeatureContext, Need
from gradus.writing.records import HUMAN, Writing

if TYPE_CHECKING:
    import numpy as np

QUANTISATIONS: Final = 5
"""M. Where k-means begins moves the cells; a mean over several beginnings depends less on it."""
TEXTS_PER_CELL: Final = 10
"""People's texts for each cell; the paper has as many (section 4)."""
MOST_CELLS: Final = 500
VARIANCE: Final = 0.9
"""Share of the variance of embeddings that is kept; the paper's."""


class Cells(Feature):
    """The cell of each writing's embedding and that of what people wrote to the same prompt.

    Embeddings of length 1 of everyone's texts are reduced to the principal components that hold
    90 % of their variance, then cut into cells by k-means, M times over. In both, people's texts
    weigh as much as all others together. The cells are the same for every writer.
    """

    name: ClassVar[str] = "cells.v1"
    summary: ClassVar[str] = "cells of quantised embeddings, of a text and of what people wrote"
    needs: ClassVar[tuple[Need, ...]] = ("embedder", "human")
    columns: ClassVar[tuple[str, ...]] = ("cell", "human_cell", "half")

    def compute(
        self, texts: Sequence[Writing], context: FeatureContext
    ) -> Mapping[str, np.ndarray]:
        """Embed everyone's texts and quantise them; NaN for a prompt that people wrote nothing to.

        Raises:
            CheckpointError: the embedder can't be read.
        """
        import numpy as np

        from gradus.writing.features.embedding import embed_once

        everyone = _everyone(texts, context)
        writers = list(dict.fromkeys(one.writer for one in everyone))
        vectors = np.concatenate(
            [
                embed_once([one.text.strip() for one in everyone if one.writer == w], context)
                for w in writers
            ]
        )
        ordered = [one for w in writers for one in everyone if one.writer == w]
        people = np.array([one.writer == HUMAN for one in ordered])
        size = int(people.sum())
        cells = quantise(vectors, people, most=min(MOST_CELLS, max(2, size // TEXTS_PER_CELL)))
        place = {one.id: row for row, one in enumerate(ordered)}
        of_people = {one.prompt_id: place[one.id] for one in context.human}
        nowhere = np.full(QUANTISATIONS, np.nan)
        human = [
            cells[of_people[one.prompt_id]] if one.prompt_id in of_people else nowhere
            for one in texts
        ]
        return {
            "cell": cells[[place[one.id] for one in texts]],
            "human_cell": np.asarray(human, dtype=np.float64).reshape(len(texts), QUANTISATIONS),
            "half": halves([one.prompt_id for one in texts]),
        }


def _everyone(texts: Sequence[Writing], context: FeatureContext) -> list[Writing]:
    """All writings, each once: those of the samples, and whatever else was handed over."""
    given = (*context.everyone, *texts, *context.human)
    return list({one.id: one for one in given}.values())


def halves(prompt_ids: Sequence[str]) -> np.ndarray:
    """float64 [N], 0 or 1 for each prompt: every second one in the order of their hashes.

    The halves are as large as can be, and don't follow the order in which prompts were given.
    """
    import numpy as np

    known = sorted(set(prompt_ids), key=lambda one: hashlib.sha256(one.encode()).digest())
    half = {prompt: place % 2 for place, prompt in enumerate(known)}
    return np.array([half[prompt] for prompt in prompt_ids], dtype=np.float64)


def quantise(vectors: np.ndarray, people: np.ndarray, *, most: int) -> np.ndarray:
    """float64 [E, M], the cell of each of E vectors [E, d] in M quantisations.

    Args:
        vectors: embeddings of length 1.
        people: bool [E], which texts people wrote.
        most: how many cells; fewer where fewer vectors differ.
    """
    import numpy as np
    from sklearn.cluster import KMeans

    weights = np.ones(len(vectors))
    if people.any() and not people.all():
        weights[people] = (~people).sum() / people.sum()
    reduced = components(vectors.astype(np.float64), weights)
    cells = min(most, len(np.unique(reduced.round(9), axis=0)))
    found = [
        KMeans(cells, n_init=4, max_iter=500, random_state=number)
        .fit(reduced, sample_weight=weights)
        .labels_
        for number in range(QUANTISATIONS)
    ]
    return np.asarray(np.stack(found, axis=1), dtype=np.float64)


def components(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The principal components [E, c] of weighted vectors [E, d] that hold `VARIANCE` of theirs."""
    import numpy as np

    centred = vectors - weights @ vectors / weights.sum()
    _, lengths, axes = np.linalg.svd(centred * np.sqrt(weights)[:, None], full_matrices=False)
    held = np.cumsum(lengths**2)
    if not held[-1] > 0:
        return np.asarray(centred[:, :1])
    number = int(np.searchsorted(held, VARIANCE * held[-1])) + 1
    return np.asarray(centred @ axes[:number].T)
