"""A pool of texts gives back what was put into it, whoever asks and in whatever order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradus.training.packing import Tokens
from gradus.training.pooled_texts import PooledTexts, keys_of

WIDTH = 3


def tokens(numbers: list[int]) -> Tokens:
    """A text of one to four tokens for each number."""
    return Tokens([[number] * (1 + number % 4) for number in numbers])


def rows_of(asked: Tokens, wanted: np.ndarray) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """A row a token: its id, times 1, 2 and 3; two texts at a time, the last ones first."""
    for start in range(len(wanted) - 1 - (len(wanted) - 1) % 2, -1, -2):
        part = np.arange(start, min(start + 2, len(wanted)))
        ids = np.concatenate([asked.ids[asked.where(wanted[[i]])] for i in part])
        yield part, torch.from_numpy(np.outer(ids, np.arange(1, WIDTH + 1)).astype(np.float32))


def ask(place: Path, numbers: list[int], dtype: torch.dtype) -> tuple[int, torch.Tensor]:
    """How many texts had to be computed, and the rows of all."""
    asked, pool = tokens(numbers), PooledTexts(place, WIDTH, dtype)
    keys = keys_of(asked)
    wanted = pool.missing(keys)
    if len(wanted):
        pool.add([keys[i] for i in wanted], asked.lengths[wanted], rows_of(asked, wanted))
    view = pool.view(keys, asked.lengths)
    backwards = np.arange(len(numbers))[::-1]
    ends = np.cumsum(asked.lengths)
    split = torch.split(view.all(), asked.lengths.tolist())
    assert torch.equal(view.get(backwards), torch.cat([split[i] for i in backwards]))
    assert int(ends[-1]) == len(view.all())
    return len(wanted), view.all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=12), min_size=1, max_size=5))
def test_every_text_is_computed_once_and_found_by_all(
    tmp_path_factory: pytest.TempPathFactory, dtype: torch.dtype, askers: list[list[int]]
) -> None:
    place, known = tmp_path_factory.mktemp("pool"), set[int]()
    for numbers in askers:
        computed, rows = ask(place, numbers, dtype)
        assert computed == len(set(numbers) - known)
        known |= set(numbers)
        ids = np.repeat(numbers, [1 + n % 4 for n in numbers])
        expected = np.outer(ids, np.arange(1, WIDTH + 1)).astype(np.float32)
        assert torch.equal(rows.float(), torch.from_numpy(expected))


def test_a_file_without_its_index_counts_for_nothing(tmp_path: Path) -> None:
    ask(tmp_path, [1, 2], torch.float32)
    (index,) = tmp_path.glob("*.npy")
    index.unlink()
    assert ask(tmp_path, [1, 2], torch.float32)[0] == 2


def test_sides_of_pairs_are_told_apart() -> None:
    ids = [[1, 2], [1, 2], [1, 2]]
    plain, paired = Tokens(ids), Tokens(ids, types=[[0, 1], [0, 0], [0, 1]])
    keys = keys_of(paired)
    assert keys[0] == keys[2] != keys[1]
    assert keys_of(plain)[0] not in keys
    assert len(set(keys_of(plain))) == 1
