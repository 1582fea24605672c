from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradus.scoring.prefixes import Branch, heads

contexts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=0, max_size=12)


def walk(branch: Branch, above: Branch | None = None) -> list[tuple[Branch, Branch | None]]:
    return [(branch, above), *(pair for b in branch.branches for pair in walk(b, branch))]


def below(branch: Branch) -> list[int]:
    return branch.rows + [row for longer in branch.branches for row in below(longer)]


def plan(rows: list[list[int]], worth: int) -> Branch:
    return heads([np.array(row, dtype=np.int32) for row in rows], worth=worth)


@given(contexts, st.integers(1, 8))
def test_every_context_stands_once_below_heads_that_it_begins_with(
    rows: list[list[int]], worth: int
) -> None:
    root = plan(rows, worth)
    assert sorted(below(root)) == list(range(len(rows)))
    for branch, above in walk(root):
        for row in below(branch):
            assert rows[row][: branch.size] == rows[branch.example][: branch.size]
            assert len(rows[row]) > branch.size  # something is left to read after
        if above is not None:
            assert (len(below(branch)) - 1) * (branch.size - above.size) >= worth


@given(contexts, st.integers(1, 8))
def test_no_group_that_is_worth_a_head_goes_without(rows: list[list[int]], worth: int) -> None:
    """By brute force: beyond its head, no beginning of a context would save that much."""
    for branch, _ in walk(plan(rows, worth)):
        for row in branch.rows:
            for size in range(branch.size + 1, len(rows[row])):
                alike = [r for r in branch.rows if rows[r][:size] == rows[row][:size]]
                alike = [r for r in alike if len(rows[r]) > size]
                assert (len(alike) - 1) * (size - branch.size) < worth


def test_a_longer_head_goes_on_from_a_shorter_one() -> None:
    rows = [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 7], [1, 2, 8, 9], [1, 2, 8, 8], [5, 5]]
    root = plan(rows, 2)
    (shorter,) = root.branches
    (longer,) = shorter.branches
    assert (root.rows, shorter.size, sorted(shorter.rows)) == ([4], 2, [2, 3])
    assert (longer.size, sorted(longer.rows)) == (5, [0, 1])


def test_what_differs_on_the_left_shares_nothing() -> None:
    assert plan([[0, *range(9)], [1, *range(9)]], 1).branches == []


def test_thousands_of_contexts_that_each_go_on_from_the_last() -> None:
    rows = [list(range(size)) for size in range(1, 2000)]
    root = plan(rows, 64)
    assert sorted(below_many(root)) == list(range(len(rows)))


def below_many(root: Branch) -> list[int]:
    found, waiting = list[int](), [root]
    while waiting:
        branch = waiting.pop()
        found += branch.rows
        waiting += branch.branches
    return found
