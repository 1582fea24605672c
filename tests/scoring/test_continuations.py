from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from gradus.scoring.attention import Run
from gradus.scoring.continuations import CONTEXT_END, ContinuationTree

tokens = st.lists(st.integers(0, 3), min_size=1, max_size=5)


def path(tree: ContinuationTree, node: int) -> tuple[int, ...]:
    """The fed tokens from the context's end to `node`."""
    found: list[int] = []
    while node != CONTEXT_END:
        found.insert(0, tree.tokens[node])
        node = tree.parents[node]
    return tuple(found)


@given(st.lists(tokens, min_size=1, max_size=6))
def test_readings_spell_the_options_after_their_own_beginnings(options: list[list[int]]) -> None:
    tree = ContinuationTree(options)
    for number, option in enumerate(options):
        readings = [r for r in tree.readings if r.option == number]
        assert [r.token for r in readings] == option
        assert [path(tree, r.node) for r in readings] == [
            tuple(option[:size]) for size in range(len(option))
        ]


@given(st.lists(tokens, min_size=1, max_size=6))
def test_every_beginning_is_fed_once(options: list[list[int]]) -> None:
    tree = ContinuationTree(options)
    beginnings = {tuple(o[:size]) for o in options for size in range(1, len(o))}
    assert {path(tree, node) for node in range(len(tree.tokens))} == beginnings
    assert len(tree.tokens) == len(beginnings)
    assert tree.depths == [len(path(tree, node)) - 1 for node in range(len(tree.tokens))]
    assert tree.chain == (len({len(b) for b in beginnings}) == len(beginnings))


@given(st.lists(tokens, min_size=1, max_size=6), st.integers(1, 3), st.integers(0, 2))
def test_a_token_sees_head_context_and_ancestors(
    options: list[list[int]], context: int, head: int
) -> None:
    tree = ContinuationTree(options)
    fed = context + len(tree.tokens)
    chained = torch.empty(0, 0, dtype=torch.bool)
    run = Run.of(1, context, head, tree.depths, chained if tree.chain else tree.visible)
    assert run.length == fed
    assert run.positions.tolist() == [
        *range(head, head + context),
        *(head + context + depth for depth in tree.depths),
    ]
    mask = torch.zeros(fed, head + fed, dtype=torch.bool)
    for part in run.parts:
        size = part.stop - part.start
        seen = torch.ones(size, size, dtype=torch.bool).tril() if part.mask is None else part.mask
        mask[part.start : part.stop, : head + part.stop] = seen
    assert mask[:, :head].all()
    causal = torch.ones(context, context, dtype=torch.bool).tril()
    assert (mask[:context, head : head + context] == causal).all()
    assert not mask[:context, head + context :].any()
    for node in range(len(tree.tokens)):
        seen = set(torch.nonzero(mask[context + node, head + context :]).flatten().tolist())
        above = {
            n
            for n in range(len(tree.tokens))
            if path(tree, node)[: len(path(tree, n))] == path(tree, n)
        }
        assert mask[context + node, : head + context].all()
        assert seen == above
