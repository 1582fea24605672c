"""Who is shown what: balanced, the same for all, in an order of one's own."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import UsageError
from gradus.panel.assignment import LIKERT_CHECKS, deal
from gradus.panel.records import Mode
from gradus.panel.store import Item
from gradus.writing.records import Samples, Writing


def written(writers: int, prompts: int, each: int = 1) -> Samples:
    return Samples(
        Writing.of(writer=f"w{w}", prompt=f"p{p}", text=f"{w} {p} {n}", number=n)
        for w in range(writers)
        for p in range(prompts)
        for n in range(each)
    )


def dealt(samples: Samples, mode: Mode, each: int, seed: int = 1, rater: str = "r1") -> list[Item]:
    return deal(samples, mode=mode, each=each, seed=seed, rater=rater)


@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 2), st.integers(1, 30), st.integers())
def test_likert_is_balanced(writers: int, prompts: int, number: int, each: int, seed: int) -> None:
    samples = written(writers, prompts, number)
    if each < writers:
        with pytest.raises(UsageError, match="too few"):
            dealt(samples, "likert", each, seed)
        return
    of = {one.id: one for one in samples.writings}
    by_rater = [dealt(samples, "likert", each, seed, rater) for rater in ("r1", "r2")]
    for items in by_rater:
        shown = [of[item.first] for item in items if not item.check]
        assert (
            len(shown) == len({one.id for one in shown}) == min(each // writers * writers, len(of))
        )
        # every prompt with every writer, once
        assert len({(one.item, one.writer) for one in shown}) == len(shown)
        assert set(Counter(one.item for one in shown).values()) == {writers}
        checks = [item for item in items if item.check]
        assert len(checks) == max(1, round(len(shown) / 20))
        assert {item.expected for item in checks} <= set(LIKERT_CHECKS)
        assert not items[0].check
        assert all(item.first not in of for item in checks)
    one, other = ({item.first for item in items if not item.check} for items in by_rater)
    assert one == other


@given(st.integers(2, 4), st.integers(1, 6), st.integers(1, 30), st.integers())
def test_pairs_are_balanced(writers: int, prompts: int, each: int, seed: int) -> None:
    samples = written(writers, prompts)
    possible = list(combinations(samples.writers, 2))
    if each < len(possible):
        with pytest.raises(UsageError, match="too few"):
            dealt(samples, "pairs", each, seed)
        return
    of = {one.id: one for one in samples.writings}
    items = dealt(samples, "pairs", each, seed)
    pairs = [(of[x.first], of[x.second or ""]) for x in items if not x.check]
    assert all(left.item == right.item for left, right in pairs)
    taken = min(each // len(possible), prompts)
    met = Counter(frozenset((left.writer, right.writer)) for left, right in pairs)
    assert met == {frozenset(pair): taken for pair in possible}
    for one, other in possible:
        left = sum(a.writer == one and b.writer == other for a, b in pairs)
        assert abs(left - taken / 2) <= 0.5


def test_orders_are_one_s_own_and_come_again() -> None:
    samples = written(3, 12)
    orders = [[x.first for x in dealt(samples, "likert", 36, 5, f"r{k}")] for k in range(20)]
    assert len({tuple(order) for order in orders}) == 20
    assert [x.first for x in dealt(samples, "likert", 36, 5, "r7")] == orders[7]
    assert set(orders[0]) != {x.first for x in dealt(samples, "likert", 12, 6, "r0")}


def test_no_writer_has_a_place_of_its_own() -> None:
    samples = written(3, 10)
    of = {one.id: one.writer for one in samples.writings}
    places: dict[str, list[int]] = {writer: [] for writer in samples.writers}
    for rater in range(200):
        shown = [x.first for x in dealt(samples, "likert", 30, 1, f"r{rater}") if not x.check]
        for at, writing in enumerate(shown):
            places[of[writing]].append(at)
    # the mean of 2,000 draws from 0..29 is within 0.7 of 14.5, but for 3 in 10,000 times
    for where in places.values():
        assert abs(sum(where) / len(where) - 14.5) < 0.7


def test_only_what_all_answered_is_shown() -> None:
    whole = written(2, 4)
    samples = Samples(one for one in whole.writings if (one.writer, one.prompt) != ("w1", "p2"))
    of = {one.id: one for one in samples.writings}
    shown = {of[x.first].prompt for x in dealt(samples, "likert", 100) if not x.check}
    assert shown == {"p0", "p1", "p3"}


@pytest.mark.parametrize(
    ("samples", "mode", "said"),
    [
        (Samples([]), "likert", "no writing"),
        (written(1, 4), "pairs", "pairs need two writers"),
        (
            Samples(Writing.of(writer=w, prompt=w, text="x") for w in ("a", "b")),
            "likert",
            "no prompt that all writers answered",
        ),
    ],
)
def test_what_can_t_be_dealt_is_said(samples: Samples, mode: Mode, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        dealt(samples, mode, 10)
