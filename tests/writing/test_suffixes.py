"""Suffix arrays against sorting the suffixes themselves, and matches against looking everywhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradus.writing.suffixes import first_bytes, matched_bytes, suffix_array

FEW = st.binary(max_size=60).map(lambda raw: bytes(b % 3 for b in raw))
ANY = st.binary(max_size=80).map(lambda raw: bytes(min(b, 0xFD) for b in raw))


def array(raw: bytes) -> np.ndarray:
    return np.frombuffer(raw, np.uint8)


def sorted_suffixes(raw: bytes) -> list[int]:
    return sorted(range(len(raw)), key=lambda place: raw[place:])


@given(st.lists(FEW | ANY, min_size=1, max_size=4))
def test_suffixes_are_in_the_order_of_their_bytes(parts: list[bytes]) -> None:
    raw = b"".join(part + b"\xff" for part in parts)
    assert suffix_array(array(raw)).tolist() == sorted_suffixes(raw)


@pytest.mark.parametrize("raw", [b"a" * 300, b"ab" * 150, b"\0" * 70, b"abcdefgh" * 40 + b"x"])
def test_long_repeats_are_told_apart(raw: bytes) -> None:
    whole = raw + b"\xff" + raw[:50] + b"\xff"
    assert suffix_array(array(whole)).tolist() == sorted_suffixes(whole)


def test_nothing_has_no_suffixes() -> None:
    empty = np.zeros(0, np.uint8)
    assert len(suffix_array(empty)) == 0
    assert matched_bytes(empty, suffix_array(empty), array(b"a\xfe"), np.array([0])).tolist() == [0]


def test_eight_bytes_are_one_number() -> None:
    raw = b"from here on\xff"
    found = first_bytes(array(raw))
    assert [int(one).to_bytes(8, "big") for one in found] == [
        (raw[place:] + bytes(8))[:8] for place in range(len(raw) + 1)
    ]


@given(st.lists(FEW | ANY, min_size=1, max_size=3), st.lists(FEW | ANY, max_size=2), st.data())
def test_matches_are_those_of_looking_everywhere(
    parts: list[bytes], asked: list[bytes], data: st.DataObject
) -> None:
    raw = b"".join(part + b"\xff" for part in parts)
    start = data.draw(st.integers(0, len(raw) - 1))
    # A stretch of the text itself is among the queries, so that long matches occur.
    copied = raw[start : start + 40].replace(b"\xff", b"")
    query = b"".join(part + b"\xfe" for part in [*asked, copied])
    found = matched_bytes(array(raw), suffix_array(array(raw)), array(query), np.arange(len(query)))
    for place, length in enumerate(found.tolist()):
        assert query[place : place + length] in raw
        assert query[place : place + length + 1] not in raw
