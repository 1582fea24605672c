from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from gradus.errors import StorageError
from gradus.training.storage import Ragged, load_tensors, save_tensors, write_ragged, write_whole


def test_tensors_and_facts_come_back_with_the_same_bits(tmp_path: Path) -> None:
    tensors = {"a": torch.randn(3, 5), "b": torch.arange(4, dtype=torch.uint8)}
    facts = {"sum": math.pi / 3, "third": 1 / 3, "tiny": 5e-324, "text": "é"}
    save_tensors(tmp_path / "x.safetensors", tensors, facts)
    got, said = load_tensors(tmp_path / "x.safetensors")
    assert said == facts
    assert all(torch.equal(got[n], t) for n, t in tensors.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_ragged_rows_come_back_in_any_order(tmp_path: Path, dtype: torch.dtype) -> None:
    lengths = np.array([3, 1, 4, 1, 5])
    texts = [torch.randn(n, 6).to(dtype) for n in lengths]
    order = np.array([4, 0, 2, 1, 3])
    parts = [(part, torch.cat([texts[i] for i in part])) for part in np.split(order, [2])]
    write_ragged(tmp_path / "x.bin", lengths, 6, dtype, iter(parts))
    stored = Ragged(tmp_path / "x.bin", lengths, 6, dtype)
    assert torch.equal(stored.all(), torch.cat(texts))
    assert torch.equal(stored.get(np.array([2, 0])), torch.cat([texts[2], texts[0]]))
    assert stored.get(np.array([1])).dtype == dtype


def test_a_file_that_is_cut_short_never_shows(tmp_path: Path) -> None:
    def parts() -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        yield np.array([0]), torch.zeros(1, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_ragged(tmp_path / "x.bin", np.array([1, 1]), 2, torch.float32, parts())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path: Path, number: int) -> None:
    path = tmp_path / "state"
    path.write_text("good")

    def full(partial: Path) -> None:
        partial.write_text("half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(StorageError, match=r"disk is full.*run the plan again"):
        write_whole(path, full)
    assert path.read_text() == "good"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_real_full_device_is_a_storage_error(tmp_path: Path) -> None:
    def to_full(partial: Path) -> None:
        with Path("/dev/full").open("wb") as stream:
            stream.write(b"x" * 10)
            stream.flush()

    with pytest.raises(StorageError, match="disk is full"):
        write_whole(tmp_path / "state", to_full)
