# ruff: noqa: D102  # what an overridden method gives is said once, in the base class
"""How far a writer's texts are, as a whole, from what people wrote.

Legend: N writings, D weightings, M quantisations, K cells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradus.metrics.base import Items
from gradus.metrics.frontier import MIXTURES, SCALE, frontier_area
from gradus.metrics.writings import TEXTS_EACH, WritingMetric, Writings

if TYPE_CHECKING:
    import numpy as np

_HELD = 2_000_000


class Divergence(WritingMetric):
    """1 less the area under the divergence curve of a writer's and people's texts, over cells.

    0 where both are spread alike over the cells of a quantised space of embeddings, nearly 1 where
    they share none. The writer's texts to one half of the prompts are held against what people
    wrote to the other half, both ways, and the mean is taken, over M quantisations too. So people's
    own texts have a value like any writer's: what chance alone gives for that number of texts,
    which is well above 0. Numbers are to be read beside that value, never by themselves.

    NaN where a half has no text. The cells are fixed: an interval is of the texts drawn, not of
    where the cells lie.
    """

    name = "divergence"
    unit = "1 - area"
    direction = "lower"
    inflated = True
    range = (0.0, 1.0)
    source = (
        "Pillutla et al. (2021), MAUVE: measuring the gap between neural text and human text using "
        "divergence frontiers"
    )
    summary = "writings: distance to human text, 1 - area under the divergence frontier"
    bound = ("embedder", TEXTS_EACH)
    of_set = True
    columns = ("cell", "human_cell", "half")
    facts = {  # noqa: RUF012  # declared as a ClassVar by the base
        "scale": SCALE,
        "mixtures": MIXTURES,
        "cells": "fixed, over all writers and people",
        "texts": "each half of the prompts against people's texts to the other half",
    }

    @classmethod
    def asked_of(cls, items: Items) -> bool:
        """Where people wrote too."""
        import numpy as np

        if not isinstance(items, Writings) or not super().asked_of(items):
            return False
        return bool(np.isfinite(items.columns["human_cell"]).any())

    def __call__(self, observed: Writings) -> float:
        import numpy as np

        return float(self.weighted(observed, np.ones((1, len(observed))))[0])

    def weighted(self, predictions: Writings, weights: np.ndarray) -> np.ndarray:
        import numpy as np

        own, human = (_rows(predictions.columns[name]) for name in ("cell", "human_cell"))
        known = np.isfinite(own).all(axis=1) & np.isfinite(human).all(axis=1)
        if not known.any():
            return np.full(len(weights), np.nan)
        own, human = own[known].astype(np.int64), human[known].astype(np.int64)
        second = np.asarray(predictions.columns["half"], np.float64)[known] > 0
        cells = int(max(own.max(), human.max())) + 1
        sizes = max(1, _HELD // (own.shape[1] * cells * MIXTURES))
        parts = [
            _mean_divergence(own, human, second, cells, weights[start : start + sizes, known])
            for start in range(0, len(weights), sizes)
        ]
        return np.concatenate(parts)


def _rows(values: np.ndarray) -> np.ndarray:
    """A column as [N, M]."""
    import numpy as np

    found = np.asarray(values, np.float64)
    return found if found.ndim == 2 else found[:, None]


def _mean_divergence(
    own: np.ndarray, human: np.ndarray, second: np.ndarray, cells: int, weights: np.ndarray
) -> np.ndarray:
    """The values [D] for cells [N, M], halves bool [N] and weights [D, N]."""
    import numpy as np

    ways = []
    for half in (second, ~second):
        p = _spread(own[half], cells, weights[:, half])
        q = _spread(human[~half], cells, weights[:, ~half])
        ways.append(1.0 - frontier_area(p, q).mean(axis=1))
    return np.asarray(np.clip((ways[0] + ways[1]) / 2, 0.0, 1.0))


def _spread(cell: np.ndarray, cells: int, weights: np.ndarray) -> np.ndarray:
    """The shares [D, M, K] of weight [D, n] in each cell, of cells [n, M]; NaN without weight."""
    import numpy as np

    counts = np.stack(
        [weights @ (one[:, None] == np.arange(cells)).astype(np.float64) for one in cell.T], axis=1
    )
    with np.errstate(invalid="ignore"):
        return np.asarray(counts / counts.sum(axis=-1, keepdims=True))
