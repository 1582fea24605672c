"""Ratings as rows of a file: what goes in comes out, what is broken is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import DataError
from gradus.panel.records import Rating, read_ratings, scale, write_ratings

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
SECONDS = st.floats(0, 1e6, allow_nan=False)
LIKERT = st.builds(
    Rating,
    rater=NAMES,
    criterion=NAMES,
    writing=NAMES,
    value=st.integers(1, 5) | st.floats(1, 5),
    seconds=SECONDS,
    at=st.just("") | st.just("2026-11-23T03:10:00.000Z"),
)
CHECKS = st.builds(
    Rating,
    rater=NAMES,
    criterion=NAMES,
    writing=NAMES,
    value=st.integers(1, 5),
    check=st.just(True),
    expected=st.integers(1, 5),
)
PAIRS = st.builds(
    Rating, rater=NAMES, criterion=NAMES, pair=st.tuples(NAMES, NAMES), value=st.integers(0, 2)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ratings")


@settings(max_examples=60)
@given(rows=st.lists(LIKERT | CHECKS | PAIRS, max_size=5))
def test_ratings_survive_a_file(place: Path, rows: list[Rating]) -> None:
    path = place / "ratings.jsonl"
    write_ratings(path, rows)
    assert read_ratings(path) == rows
    assert [other.name for other in path.parent.iterdir()] == ["ratings.jsonl"]


GOOD = '{"rater": "a", "writing": "w", "criterion": "fluency", "value": 3}\n'


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        ("{", None, "not JSON"),
        ("[1]", None, "a rating is a JSON object"),
        ('{"rater": "a", "writing": "w", "value": 3}', "criterion", "is missing"),
        ('{"rater": "a", "writing": "w", "criterion": "f"}', "value", "is missing"),
        (GOOD.replace("3", '"3"'), "value", "must be a number"),
        (GOOD.replace("3", "true"), "value", "must be a number"),
        (GOOD.replace("3", "NaN"), "value", "must be a number"),
        (GOOD.replace("3", "6"), None, "not from 1 to 5"),
        (GOOD.replace("3", "0"), None, "not from 1 to 5"),
        (GOOD.replace('"a"', '""'), "rater", "must be text"),
        (GOOD.replace('"writing": "w"', '"pair": ["w"]'), "pair", "must be a list of two ids"),
        (GOOD.replace('"writing": "w", ', ""), None, "either a writing or a pair"),
        (GOOD.replace("}", ', "pair": ["v", "w"]}'), None, "either a writing or a pair"),
        (GOOD.replace("}", ', "mood": 1}'), "mood", "no field of a rating"),
        (GOOD.replace("}", ', "seconds": -1}'), None, "not a duration"),
        (GOOD.replace("}", ', "check": 1}'), "check", "must be true or false"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, line: str, field: str | None, said: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(f"{GOOD}\n{line.strip()}\n", encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        read_ratings(path)
    assert (caught.value.file, caught.value.line, caught.value.field) == (str(path), 3, field)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_ratings(tmp_path / "none.jsonl")


def test_who_passes_a_check() -> None:
    about: dict[str, Any] = {"rater": "a", "criterion": "fluency", "writing": "check-1"}
    assert Rating(**about, value=4, check=True, expected=4).passed
    assert not Rating(**about, value=5, check=True, expected=4).passed
    assert Rating(**about, value=5).passed


def test_scales() -> None:
    assert list(scale("likert")) == [1, 2, 3, 4, 5]
    assert list(scale("pairs")) == [0, 1, 2]
