"""Several data sets in one training.

Legend: D data sets, n_i examples of data set i in train, N of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradus.checkpoints.hashing import hash_json
from gradus.data.dataset import Split, TrainingData
from gradus.errors import DataError


def shares(sizes: Sequence[int], temperature: float) -> list[float]:
    """Shares proportional to ``n_i ** (1 / T)`` (Raffel et al. 2020, section 3.5.2).

    With T = 1 each has its share of the examples, with a high T all have about the same.

    >>> shares([900, 100], 2.0)
    [0.75, 0.25]
    """
    scaled = [size ** (1.0 / temperature) for size in sizes]
    return [value / sum(scaled) for value in scaled]


def counts(total: int, weights: Sequence[float]) -> list[int]:
    """`total` examples dealt out by `weights`; the largest remainders are rounded up.

    >>> counts(10, [1, 1, 1])
    [4, 3, 3]
    """
    exact = [total * weight / sum(weights) for weight in weights]
    whole = [int(value) for value in exact]
    order = sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))
    for i in order[: total - sum(whole)]:
        whole[i] += 1
    return whole


def mixed(
    data: Mapping[str, TrainingData],
    *,
    weights: Mapping[str, float] | None = None,
    temperature: float | None = None,
    seed: int,
) -> TrainingData:
    """One data set of several: train mixed, dev.select of all.

    An epoch has as many examples as all have together. Left out `weights` and `temperature`, every
    example stands in it once. Otherwise data set i has its share of them: each of its examples
    equally often, and what is left over is drawn from `seed`.

    Raises:
        DataError: their targets or labels differ, or they are spans.
    """
    if len(data) == 1:
        return next(iter(data.values()))
    first, *rest = data.values()
    for other in rest:
        if other.target != first.target or other.labels != first.labels:
            raise DataError(
                f"{first.name} and {other.name} can't be trained on together: their targets or "
                "labels differ; as replies ('target: reply') any tasks can"
            )
    if first.target == "spans":
        raise DataError(f"{first.name}: data with 'target: spans' can't be mixed")
    parts = [one.train for one in data.values()]
    sizes = [len(part) for part in parts]
    wanted: Sequence[float] | None = None
    if weights is not None:
        wanted = [weights[name] for name in data]
    elif temperature is not None:
        wanted = shares(sizes, temperature)
    if wanted is not None:
        dealt = counts(sum(sizes), wanted)
        parts = [
            part.take(_rows(len(part), count, (seed, place)))
            for place, (part, count) in enumerate(zip(parts, dealt, strict=True))
        ]
    return TrainingData(
        name=" + ".join(data),
        labels=first.labels,
        train=_joined(parts),
        select=_joined([one.select for one in data.values()]),
        digest=hash_json([[one.digest for one in data.values()], wanted and list(wanted)]),
        target=first.target,
    )


def _rows(size: int, count: int, seed: Sequence[int]) -> list[int]:
    """`count` of `size` rows, each as often as any other or once more."""
    draw = np.random.Generator(np.random.PCG64(list(seed)))
    whole, rest = divmod(count, max(1, size))
    drawn = draw.permutation(size)[:rest]
    return [*(list(range(size)) * whole), *sorted(drawn.tolist())]


def _joined(parts: Sequence[Split]) -> Split:
    return Split(
        texts=[text for part in parts for text in part.texts],
        labels=np.concatenate([part.labels for part in parts]),
        ids=[item for part in parts for item in part.ids],
    )
