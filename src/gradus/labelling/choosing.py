"""Which texts of a pool to label: those the model is unsure about, and not all of one kind.

Uncertainty (Settles 2009, Active Learning Literature Survey) alone picks the same question many
times over, since texts that confuse a model come in kinds. So the ten times as many most uncertain
texts are looked at, and of these some are taken that lie apart: the centres of a k-means that
weighs texts by their uncertainty (Zhdanov 2019, Diverse mini-batch active learning), or one after
the other whichever is furthest from those taken and from those labelled already (k-centre, Sener
and Savarese 2018), times its uncertainty.

Legend: N texts, K labels, D size of a vector, n texts to take.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import numpy as np

Uncertainty = Literal["margin", "entropy", "least-confidence"]
Diversity = Literal["kmeans", "k-centre", "none"]
UNCERTAINTIES: Final[tuple[Uncertainty, ...]] = get_args(Uncertainty)
DIVERSITIES: Final[tuple[Diversity, ...]] = get_args(Diversity)
BEYOND: Final = 10
"""So many times n of the most uncertain texts are looked at for different ones."""


def uncertainty(
    probabilities: np.ndarray, how: Uncertainty = "margin", *, several: bool = False
) -> np.ndarray:
    """How unsure a model is about each text: float64 [N] in [0, 1].

    Args:
        probabilities: float [N, K].
        how: ``margin`` is 1 less the distance of the two most probable labels, ``entropy`` that of
            the distribution over its greatest value ln K, ``least-confidence`` 1 less the greatest
            probability.
        several: whether each label is a decision of its own; the mean over the labels is taken
            then, of which ``least-confidence`` and ``margin`` are the same but for a factor.

    >>> uncertainty(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    p = np.clip(np.asarray(probabilities, dtype=np.float64), 0.0, 1.0)
    if several:
        if how == "entropy":
            return np.asarray((_plogp(p) + _plogp(1 - p)).mean(axis=1) / np.log(2))
        return np.asarray((1 - np.abs(2 * p - 1)).mean(axis=1))
    if how == "entropy":
        return np.asarray(_plogp(p).sum(axis=1) / np.log(max(p.shape[1], 2)))
    ranked = np.sort(p, axis=1)[:, ::-1]
    if how == "least-confidence":
        return np.asarray(1 - ranked[:, 0])
    second = ranked[:, 1] if p.shape[1] > 1 else np.zeros(len(p))
    return np.asarray(1 - (ranked[:, 0] - second))


def _plogp(p: np.ndarray) -> np.ndarray:
    return -p * np.log(np.where(p > 0, p, 1.0))


def choose(
    unsure: np.ndarray,
    vectors: np.ndarray | None,
    n: int,
    *,
    diversity: Diversity = "kmeans",
    known: np.ndarray | None = None,
    seed: int = 0,
) -> np.ndarray:
    """int64 [min(n, N)]: which texts to label, the most uncertain first.

    Args:
        unsure: float [N], see `uncertainty`.
        vectors: float [N, D], of length 1; None with ``diversity="none"``.
        n: how many.
        diversity: how they are kept apart.
        known: float [M, D], vectors of labelled texts, which ``k-centre`` keeps away from.
        seed: of k-means; the other ways draw nothing.

    Raises:
        ValueError: vectors are asked for and there are none.
    """
    ranked = np.argsort(-unsure, kind="stable")
    n = min(n, len(ranked))
    if diversity == "none" or n == len(ranked) or n == 0:
        return ranked[:n]
    if vectors is None:
        raise ValueError(f"diversity {diversity} needs vectors of the texts")
    near = ranked[: BEYOND * n]
    weights = np.maximum(unsure[near], 1e-6)
    if diversity == "kmeans":
        taken = _centres(vectors[near], weights, n, seed)
    else:
        taken = _furthest(vectors[near], weights, n, known)
    # Clusters without a text of their own leave room for the most uncertain of the others.
    rest = np.setdiff1d(np.arange(len(near)), taken)
    taken = np.sort(np.concatenate([taken, rest[: n - len(taken)]]))
    return np.asarray(near[taken])


def _centres(vectors: np.ndarray, weights: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The text nearest to each of n weighted centres, each once."""
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct texts than clusters
        fitted = KMeans(n_clusters=n, n_init=1, random_state=seed).fit(
            vectors, sample_weight=weights
        )
    apart = ((vectors - fitted.cluster_centers_[fitted.labels_]) ** 2).sum(axis=1)
    nearest = np.lexsort((apart, fitted.labels_))
    _, first = np.unique(fitted.labels_[nearest], return_index=True)
    return np.asarray(nearest[first])


def _furthest(
    vectors: np.ndarray, weights: np.ndarray, n: int, known: np.ndarray | None
) -> np.ndarray:
    """One text after the other, by its distance to what is taken times its uncertainty."""
    apart = np.full(len(vectors), np.inf)
    if known is not None and len(known):
        for start in range(0, len(known), 1024):
            apart = np.minimum(apart, _distances(vectors, known[start : start + 1024]).min(axis=1))
    taken: list[int] = []
    for _ in range(n):
        score = weights if np.isinf(apart).all() else weights * apart
        score = score.copy()
        score[taken] = -1.0
        best = int(np.argmax(score))
        taken.append(best)
        apart = np.minimum(apart, _distances(vectors, vectors[best : best + 1])[:, 0])
    return np.array(taken, dtype=np.int64)


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None, :] - 2 * one @ other.T
    return np.asarray(np.sqrt(np.maximum(squares, 0.0)))
