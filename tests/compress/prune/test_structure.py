from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradus.compress.prune.structure import choose

SCORES = st.lists(
    st.lists(st.floats(0, 100), min_size=1, max_size=20).map(np.array), min_size=1, max_size=6
)


@given(SCORES, st.floats(0.01, 0.99), st.sampled_from(["layer", "model"]))
def test_each_layer_keeps_something_and_the_best_of_it(
    scores: list[np.ndarray], keep: float, scope: str
) -> None:
    found = choose(scores, keep, [len(s) for s in scores], scope=scope)
    for own, kept in zip(scores, found, strict=True):
        assert 1 <= len(kept) <= len(own)
        assert list(kept) == sorted(set(kept))
        gone = np.delete(own, kept)
        assert not len(gone) or own[kept].min() >= gone.max()


@given(SCORES, st.floats(0.01, 0.99))
def test_over_the_model_the_share_is_the_model_s(scores: list[np.ndarray], keep: float) -> None:
    found = choose(scores, keep, [len(s) for s in scores], scope="model")
    wanted = max(len(scores), round(keep * sum(len(s) for s in scores)))
    assert sum(len(kept) for kept in found) == wanted


def test_a_multiple_is_kept_where_there_is_one() -> None:
    scores = [np.arange(64.0), np.arange(64.0)[::-1], np.arange(10.0)]
    found = choose(scores, 0.45, [64, 64, 10], scope="layer", multiple=16)
    assert [len(kept) for kept in found] == [32, 32, 4]
    assert list(found[0]) == list(range(32, 64))
    assert list(found[1]) == list(range(32))
    few = choose(scores, 0.01, [64, 64, 10], scope="layer", multiple=16)
    assert [len(kept) for kept in few] == [16, 16, 1]


def test_layers_are_ranked_by_their_own_norm() -> None:
    """Importances a thousand times as great don't keep a layer's heads by themselves."""
    small, great = np.array([3.0, 3.0, 0.1, 0.1]), np.array([3000.0, 10.0, 10.0, 10.0])
    kept = choose([small, great], 3 / 8, [4, 4], scope="model")
    assert [list(k) for k in kept] == [[0, 1], [0]]


def test_shares_are_of_what_there_was_at_first() -> None:
    (kept,) = choose([np.arange(6.0)], 0.5, [8], scope="layer")
    assert list(kept) == [2, 3, 4, 5]
