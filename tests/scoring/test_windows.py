from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.errors import UsageError
from gradus.scoring.windows import windows


def harness(tokens: list[int], window: int) -> Iterator[tuple[list[int], list[int]]]:
    """Fed and scored tokens, told again from the harness's documentation: as many windows as are
    full, and a last one that reaches back for a full context. Token 0 is the prefix."""
    body = tokens[1:]
    for done in range(0, len(body), window):
        end = min(done + window, len(body))
        yield tokens[max(0, end - window) : end], body[done:end]


def documentation(tokens: list[int], window: int, stride: int) -> Iterator[tuple[list[int], int]]:
    """Tokens of a window and how many of its last ones have labels, before the labels shift."""
    before = 0
    for begin in range(0, len(tokens), stride):
        end = min(begin + window, len(tokens))
        yield tokens[begin:end], end - before
        before = end
        if end == len(tokens):
            return


@given(st.integers(0, 60), st.integers(2, 12))
def test_disjoint_windows_are_the_harness(count: int, window: int) -> None:
    tokens = list(range(count + 1))
    found = [
        (tokens[start : stop - 1], tokens[first:stop])
        for start, first, stop in windows(count + 1, window, window, after_bos=True)
    ]
    assert found == list(harness(tokens, window))


@given(st.integers(0, 60), st.integers(2, 12), st.data(), st.booleans())
def test_overlapping_windows_are_the_documentation(
    count: int, window: int, data: st.DataObject, after_bos: bool
) -> None:
    stride = data.draw(st.integers(1, window - (1 if after_bos else 0)))
    tokens = list(range(count))
    expected = []
    for inside, labelled in documentation(tokens, window, stride):
        # Labels shift by one: a window's first token is never predicted.
        scored = inside[-labelled:] if labelled < len(inside) else inside[1:]
        if scored:
            expected.append((inside, scored))
    found = [
        (tokens[start:stop], tokens[first:stop])
        for start, first, stop in windows(count, window, stride, after_bos=after_bos)
    ]
    assert found == expected


@given(st.integers(1, 60), st.integers(2, 12), st.data())
def test_every_token_after_the_first_is_scored_once(
    count: int, window: int, data: st.DataObject
) -> None:
    stride = data.draw(st.integers(1, window))
    scored = [
        place
        for _, first, stop in windows(count, window, stride, after_bos=True)
        for place in range(first, stop)
    ]
    assert scored == list(range(1, count))


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (4, 0), (4, 5)])
def test_windows_that_leave_gaps_are_refused(window: int, stride: int) -> None:
    with pytest.raises(UsageError, match="scores nothing or leaves gaps"):
        list(windows(9, window, stride, after_bos=True))
