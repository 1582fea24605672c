from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.predict.lanes import Lanes


@given(count=st.integers(0, 30), lanes=st.integers(1, 4), ahead=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_order_is_kept_and_few_are_held(count: int, lanes: int, ahead: int) -> None:
    taken = 0
    given_back = 0

    def things() -> Iterator[int]:
        nonlocal taken
        for n in range(count):
            taken += 1
            assert taken - given_back <= ahead + 1
            yield n

    def work(n: int) -> int:
        time.sleep(0.001 * (n % 3))
        return n * n

    own = Lanes([work] * lanes)
    for n, (thing, result) in enumerate(own.map(things(), ahead=ahead)):
        assert (thing, result) == (n, n * n)
        given_back += 1
    own.close()
    assert given_back == count


def test_lanes_work_side_by_side() -> None:
    both = threading.Barrier(2, timeout=20)
    lanes = Lanes([lambda _: both.wait()] * 2)
    assert len(list(lanes.map(iter("ab"), ahead=2))) == 2
    lanes.close()


def test_errors_come_in_their_place() -> None:
    def things() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("torn")

    lanes = Lanes([lambda n: 10 // n])
    found = lanes.map(things(), ahead=5)
    assert [next(found), next(found)] == [(1, 10), (2, 5)]
    with pytest.raises(ValueError, match="torn"):
        next(found)
    found = lanes.map(iter([5, 0, 2]), ahead=5)
    assert next(found) == (5, 2)
    with pytest.raises(ZeroDivisionError):
        next(found)
    lanes.close()
