"""Folds by content hash, with quotas and in groups."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.data.folds import alike, assign, cut, joined
from gradus.errors import DataError


def hashes(count: int, start: int = 0) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest() for n in range(start, start + count)]


@settings(max_examples=40, deadline=None)
@given(st.integers(60, 200), st.integers(2, 6), st.integers(0, 9), st.randoms())
def test_order_and_further_rows_move_nothing(n: int, k: int, seed: int, random) -> None:
    ids = hashes(n)
    before = dict(zip(ids, assign(ids, k, seed=seed).tolist(), strict=True))
    more = ids + hashes(40, start=10_000)
    random.shuffle(more)
    after = dict(zip(more, assign(more, k, seed=seed).tolist(), strict=True))
    assert {item: after[item] for item in ids} == before


def test_copies_that_were_kept_are_held_out_together() -> None:
    ids = hashes(90)
    both = [*ids, *(f"{name}-1" for name in ids[:40]), *(f"{name}-12" for name in ids[:9])]
    labels = [row % 3 for row in range(90)]
    more: dict[str, list[int]] = {"labels": [*labels, *labels[:40], *labels[:9]]}
    for found in (
        assign(both, 4, seed=1),
        assign(both, 4, seed=1, scheme="stratified", **more),
        cut(both, 0.3, seed=1, purpose="x"),
        cut(both, 0.3, seed=1, purpose="x", **more),
    ):
        assert len(set(found.tolist())) > 1
        assert (found[90:130] == found[:40]).all()
        assert (found[130:] == found[:9]).all()


def test_sizes_are_those_of_chance() -> None:
    k, ids = 5, hashes(5000)
    sizes = np.bincount(assign(ids, k, seed=1), minlength=k)
    assert (abs(sizes - 1000) < 4 * math.sqrt(5000 * (k - 1) / k**2)).all()


def test_repeats_and_seeds_are_independent() -> None:
    ids = hashes(4000)
    first = assign(ids, 4, seed=1)
    for other in (assign(ids, 4, seed=1, repeat=1), assign(ids, 4, seed=2)):
        assert np.mean(first == other) == pytest.approx(0.25, abs=0.03)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=12, max_size=120), st.integers(2, 5))
def test_quotas_are_exact(labels: list[int], k: int) -> None:
    found = assign(hashes(len(labels)), k, seed=3, scheme="stratified", labels=labels)
    sizes = np.bincount(found, minlength=k)
    assert sizes.max() - sizes.min() <= 1
    for label, count in Counter(labels).items():
        of = np.bincount(found[np.array(labels) == label], minlength=k)
        assert of.sum() == count
        assert of.max() - of.min() <= 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), min_size=80, max_size=200),
    st.sampled_from(["hash", "stratified"]),
)
def test_groups_stay_together(rows: list[tuple[int, int]], scheme) -> None:
    groups = [f"author {g}" for g, _ in rows]
    labels = [label for _, label in rows]
    if len(set(groups)) < 6:
        return
    try:
        found = assign(hashes(len(rows)), 3, seed=0, scheme=scheme, labels=labels, groups=groups)
    except DataError:
        assert scheme == "hash"  # a fold may stay empty by chance; quotas don't let it
        return
    for name in set(groups):
        assert len({f for f, g in zip(found, groups, strict=True) if g == name}) == 1


def test_grouped_quotas_are_near() -> None:
    rng = np.random.default_rng(0)
    groups = [f"g{n}" for n in rng.integers(0, 150, 900)]
    labels = rng.choice(3, 900, p=[0.7, 0.2, 0.1]).tolist()
    found = assign(hashes(900), 5, seed=0, scheme="stratified", labels=labels, groups=groups)
    for label in range(3):
        of = np.bincount(found[np.array(labels) == label], minlength=5)
        assert of.max() <= 1.15 * of.mean()
        assert of.min() >= 0.85 * of.mean()


def test_what_cannot_be_folded_is_told() -> None:
    with pytest.raises(DataError, match="3 items can't make 5 folds"):
        assign(hashes(3), 5, seed=0)
    with pytest.raises(DataError, match="2 groups can't make 3 folds"):
        assign(hashes(9), 3, seed=0, groups=["a", "b", "a"] * 3)
    with pytest.raises(DataError, match="by chance fold"):
        assign(hashes(6), 6, seed=0)
    with pytest.raises(ValueError, match="needs the items' labels"):
        assign(hashes(9), 3, seed=0, scheme="stratified")
    with pytest.raises(ValueError, match="two folds or more"):
        assign(hashes(9), 1, seed=0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 3)), min_size=10, max_size=150),
    st.floats(0.05, 0.4),
    st.booleans(),
)
def test_a_cut_tears_no_group(rows: list[tuple[int, int]], share: float, exact: bool) -> None:
    groups = [f"g{g}" for g, _ in rows]
    labels = [label for _, label in rows] if exact else None
    found = cut(hashes(len(rows)), share, seed=1, purpose="x", labels=labels, groups=groups)
    for name in set(groups):
        assert len({f for f, g in zip(found, groups, strict=True) if g == name}) == 1
    assert found.any() == (len(set(groups)) > 1)
    assert not found.all()


@pytest.mark.parametrize("exact", [False, True])
def test_a_cut_of_groups_counts_their_items(exact: bool) -> None:
    """One group of 80 among 200 items: neither a part of 12 nor one of 91."""
    groups = ["large"] * 80 + [f"small {n // 4}" for n in range(120)]
    labels = [n % 2 for n in range(200)] if exact else None
    for seed in range(60):
        found = cut(hashes(200), 0.1, seed=seed, purpose="x", labels=labels, groups=groups)
        assert found.sum() == 20
        if labels is not None:
            assert np.bincount(np.array(labels)[found]).tolist() == [10, 10]


def test_a_cut_of_few_groups_takes_one_and_leaves_one() -> None:
    twelve = [f"author {n % 12}" for n in range(120)]
    for seed in range(60):
        found = cut(hashes(120), 0.1, seed=seed, purpose="x", groups=twelve)
        assert len({g for g, f in zip(twelve, found, strict=True) if f}) == 1
    two = ["a"] * 30 + ["b"] * 70
    for share, count in ((0.02, 30), (0.9, 70)):
        assert cut(hashes(100), share, seed=0, purpose="x", groups=two).sum() == count
    assert not cut(hashes(9), 0.3, seed=0, purpose="x", groups=["a"] * 9).any()
    assert not cut(hashes(100), 0.0, seed=0, purpose="x", groups=two).any()


def test_a_cut_of_groups_of_one_is_that_of_items() -> None:
    ids = hashes(150)
    labels = [min(n % 7, 4) for n in range(149)] + [5]
    alone = cut(ids, 0.15, seed=2, purpose="x", labels=labels)
    assert (cut(ids, 0.15, seed=2, purpose="x", labels=labels, groups=ids) == alone).all()


def test_a_cut_with_labels_is_exact() -> None:
    labels = [0] * 200 + [1] * 40 + [2]
    found = cut(hashes(241), 0.1, seed=0, purpose="x", labels=labels)
    assert [int(found[np.array(labels) == k].sum()) for k in range(3)] == [20, 4, 0]
    assert not cut(hashes(50), 0.0, seed=0, purpose="x", labels=[0] * 50).any()


def test_near_duplicates_stand_together() -> None:
    base = "the room was large and clean and the staff very kind to all of us on arrival"
    texts = [
        base,
        base.replace("large", "big"),
        "breakfast came cold and late on every one of the three mornings that we stayed",
        base.replace("large", "big").replace("kind", "nice"),
        "we shall never come here again because of the noise from the street below at night",
    ]
    ids = hashes(5)
    names = alike(texts, ids, None)
    assert names[0] == names[1] == names[3] == min(ids[0], ids[1], ids[3])
    assert len(set(names)) == 3
    # What shares a name is joined with what is nearly the same as one of them.
    named = alike(texts, ids, ["a", "b", "a", "c", "d"])
    assert len(set(named)) == 2
    assert named[0] == named[2] == named[3]


def test_groups_with_copies_of_a_text_are_joined() -> None:
    texts = hashes(12)
    ids = [*texts, *(f"{name}-1" for name in texts[:4])]
    groups = [*"bbccddeeffgg", *"cbhb"]
    # b and c share the texts 0 and 1; the text 2, of c, is one of h's; 3 joins c and b once more.
    assert joined(ids, groups) == [*"bbbbddeeffgg", *"bbbb"]


@pytest.mark.parametrize("scheme", ["hash", "stratified"])
def test_copies_in_two_groups_are_held_out_together(scheme: Literal["hash", "stratified"]) -> None:
    texts = hashes(50)
    ids = [*texts, *(f"{name}-1" for name in texts)]
    groups = [*(f"a{n // 2}" for n in range(50)), *(f"b{n // 4}" for n in range(50))]
    found = assign(
        ids, 3, seed=3, scheme=scheme, labels=[0] * 100, groups=joined(ids, groups)
    ).tolist()
    assert found[:50] == found[50:]
    for name in set(groups):
        assert len({f for f, g in zip(found, groups, strict=True) if g == name}) == 1


def test_groups_without_copies_keep_their_names() -> None:
    groups = [f"author {n % 5}" for n in range(40)]
    assert joined(hashes(40), groups) == groups
    within = [f"{name}-1" for name in hashes(40)]
    assert joined(hashes(40) + within, groups * 2) == groups * 2


def test_items_without_a_group_stand_alone() -> None:
    texts = hashes(4)
    ids = [*texts, f"{texts[0]}-1", f"{texts[1]}-1"]
    assert joined(ids, ["", "", "", "a", "", "a"]) == [
        texts[0], "a", texts[2], "a", texts[0], "a"
    ]  # fmt: skip
