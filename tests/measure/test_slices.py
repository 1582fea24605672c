"""Which slice an item belongs to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gradus.data.dataset import Dataset, Split
from gradus.errors import UsageError
from gradus.measure import slices
from gradus.measure.scripts import BLOCKS, script_of


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("The room was fine.", "Latin"),
        ("Déjà vu, naïve, Łódź", "Latin"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "Latin"),
        ("Номер был хороший, OK", "Cyrillic"),
        ("房间不错，WiFi 很快，早餐也好", "Han"),
        ("部屋はきれいでした", "Japanese"),
        ("東京タワー", "Japanese"),
        ("방이 좋았어요", "Hangul"),
        ("Το δωμάτιο", "Greek"),
        ("الغرفة جيدة", "Arabic"),
        ("החדר טוב", "Hebrew"),
        ("कमरा अच्छा था", "Devanagari"),
        ("ห้องดี", "Thai"),
        ("ᚠᚢᚦ", "other"),
        ("12:30 – 100 %", "none"),
        ("", "none"),
    ],
)
def test_scripts(text: str, script: str) -> None:
    assert script_of(text) == script


def test_blocks_are_in_order_and_apart() -> None:
    for (_, last, _), (first, _, _) in itertools.pairwise(BLOCKS):
        assert last < first


def test_only_the_beginning_is_looked_at() -> None:
    assert script_of("a" * 1000 + "房" * 2000) == "Latin"


def dataset(train: list[int], gate: list[int]) -> Dataset:
    def split(lengths: list[int], mark: str) -> Split:
        return Split(
            texts=[" ".join(["w"] * length) for length in lengths],
            labels=np.arange(len(lengths)) % 2,
            ids=[f"{mark}{i}" for i in range(len(lengths))],
            columns={"desk": ["night" if i % 2 else "" for i in range(len(lengths))]},
        )

    return Dataset(
        name="d",
        labels=("a", "b"),
        splits={"train": split(train, "t"), "dev.gate": split(gate, "g")},
        digest="",
        split_digests={},
    )


def test_quarters_of_length_are_trains() -> None:
    data = dataset([*range(1, 41)], [1, 10, 11, 20, 30, 31, 500, 0])
    found = slices.members(("length",), data, data.splits["dev.gate"])
    assert found["length"] == [
        *("1-10", "1-10", "11-20", "11-20", "21-30", "31+", "31+", "1-10"),
    ]


def test_texts_of_one_length_are_one_slice() -> None:
    data = dataset([5] * 20, [5, 6])
    assert slices.members(("length",), data, data.splits["dev.gate"])["length"] == ["1+", "1+"]


def test_labels_and_columns() -> None:
    data = dataset([3, 4], [3, 4, 5])
    found = slices.members(("label", "column:desk", "column:no"), data, data.splits["dev.gate"])
    assert found == {"label": ["a", "b", "a"], "desk": ["(empty)", "night", "(empty)"]}


def test_columns_that_no_data_keep() -> None:
    data = dataset([3], [3])
    slices.check(("column:desk", "length"), [data])
    with pytest.raises(UsageError, match="unknown column 'dsk': did you mean 'desk'"):
        slices.check(("column:dsk",), [data])
