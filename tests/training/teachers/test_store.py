"""What is kept comes back, goes on after a kill, and is refused when it was changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradus.errors import DataError
from gradus.training.teachers.store import INDEX, Part, kept

WHO = {"teacher": "0123", "dtype": "float32"}


def parts(counts: list[int]) -> list[dict[str, np.ndarray]]:
    draw = np.random.default_rng(1)
    return [
        {
            "ids": draw.integers(0, 1 << 16, (count, 3)).astype(np.uint16),
            "logits": draw.standard_normal((count, 2)).astype(np.float32),
        }
        for count in counts
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.data())
def test_rows_come_back_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], data: st.DataObject
) -> None:
    made = parts(counts)
    store = kept(tmp_path_factory.mktemp("kept"), WHO, counts, made.__getitem__)
    assert len(store) == sum(counts)
    whole = np.concatenate([part["logits"] for part in made])
    np.testing.assert_array_equal(store.all("logits"), whole)
    if not sum(counts):
        return
    places = st.integers(0, sum(counts) - 1)
    rows = np.array(data.draw(st.lists(places, min_size=1, max_size=8)))
    np.testing.assert_array_equal(store.take("logits", rows), whole[rows])
    ids = np.concatenate([part["ids"] for part in made])
    assert store.take("ids", rows).dtype == np.uint16
    np.testing.assert_array_equal(store.take("ids", rows), ids[rows])


def test_computed_once(tmp_path: Path) -> None:
    made, asked = parts([3, 2]), list[int]()

    def make(number: int) -> Part:
        asked.append(number)
        return made[number]

    first = kept(tmp_path, WHO, [3, 2], make, lambda: {"seconds": 2})
    again = kept(tmp_path, WHO, [3, 2], make)
    assert asked == [0, 1]
    assert first.path == again.path
    assert again.facts == {"seconds": 2}
    other = kept(tmp_path, {**WHO, "teacher": "4567"}, [3, 2], make)
    assert other.path != first.path
    assert asked == [0, 1, 0, 1]


def test_a_kill_costs_the_part_under_way(tmp_path: Path) -> None:
    made, asked = parts([3, 2, 4]), list[int]()

    def make(number: int) -> Part:
        asked.append(number)
        if asked == [0, 1]:
            raise KeyboardInterrupt
        return made[number]

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, WHO, [3, 2, 4], make)
    assert not list(tmp_path.rglob(INDEX))
    store = kept(tmp_path, WHO, [3, 2, 4], make)
    assert asked == [0, 1, 1, 2]
    np.testing.assert_array_equal(store.all("ids"), np.concatenate([part["ids"] for part in made]))


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    made = parts([3])
    store = kept(tmp_path, WHO, [3], made.__getitem__)
    (file,) = store.path.glob("*.logits.npy")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"logits\.npy.*computed again"):
        kept(tmp_path, WHO, [3], made.__getitem__)
    file.unlink()
    with pytest.raises(DataError, match=r"logits\.npy"):
        kept(tmp_path, WHO, [3], made.__getitem__)


def test_an_index_that_is_none(tmp_path: Path) -> None:
    made = parts([3])
    store = kept(tmp_path, WHO, [3], made.__getitem__)
    (store.path / INDEX).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="no whole outputs"):
        kept(tmp_path, WHO, [3], made.__getitem__)
