"""Which jobs make a batch."""

from __future__ import annotations

import asyncio
import itertools

from hypothesis import given
from hypothesis import strategies as st

from gradus.serve.jobs import Line, Single, cost
from gradus.serve.limits import Limits

LIMITS = Limits(batch_tokens=100, batch_texts=8)
SIZES = st.lists(st.tuples(st.integers(1, 250), st.integers(1, 12)), max_size=40)


def jobs(sizes: list[tuple[int, int]]) -> list[Single]:
    async def made() -> list[Single]:
        return [
            Single(number, "classify", {"texts": ["x"] * texts}, tokens, 1.0)
            for number, (tokens, texts) in enumerate(sizes)
        ]

    return asyncio.run(made())


@given(SIZES)
def test_batches_keep_the_order_and_the_bounds_and_lose_nothing(
    sizes: list[tuple[int, int]],
) -> None:
    line, given_ = Line(LIMITS), jobs(sizes)
    for job in given_:
        line.add(job)
    taken = []
    while len(line):
        batch = line.batch()
        assert batch
        if len(batch) > 1:
            assert sum(job.cost for job in batch) <= LIMITS.batch_tokens
            assert sum(job.texts for job in batch) <= LIMITS.batch_texts
        taken.append(batch)
    assert [job.id for batch in taken for job in batch] == [job.id for job in given_]
    # and no batch could have held the next batch's first job
    for batch, after in itertools.pairwise(taken):
        more = [*batch, after[0]]
        assert (
            sum(job.cost for job in more) > LIMITS.batch_tokens
            or sum(job.texts for job in more) > LIMITS.batch_texts
        )


def test_a_job_that_cost_a_worker_its_life_goes_alone() -> None:
    line, (first, second, third) = Line(LIMITS), jobs([(1, 1)] * 3)
    second.attempts = 1
    for job in (first, second, third):
        line.add(job)
    assert [[job.id for job in line.batch()] for _ in range(3)] == [[0], [1], [2]]


def test_what_nobody_waits_for_is_left_out() -> None:
    line, made = Line(LIMITS), jobs([(1, 1)] * 4)
    for job in made:
        line.add(job)
    made[0].over = made[2].over = True
    assert [job.id for job in line.batch()] == [1, 3]
    assert line.batch() == []
    assert line.one() is None


def test_tokens_are_estimated_from_length_and_cut() -> None:
    assert cost(["a" * 300]) > cost(["a" * 30]) > 0
    assert cost(["a" * 30_000], 128) == 128
    assert cost(["你好" * 150]) > 2 * cost(["ab" * 150])
    assert cost([["premise", "hypothesis"]]) >= cost(["premise"])
