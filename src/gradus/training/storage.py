"""Files that are whole or absent: state, weights and caches of a step's work folder."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from gradus.disk import sync
from gradus.errors import StorageError


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """A full disk or a folder that can't be written becomes a `StorageError` that says so."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or "os error 28" in str(error).lower() or "no space left" in str(error).lower():
            raise StorageError(
                f"{path}: the disk is full; what was saved before is intact. "
                "Free some space and run the plan again: it goes on from there"
            ) from error
        if isinstance(error, PermissionError) or "permission denied" in str(error).lower():
            raise StorageError(f"{path}: can't be written ({error})") from error
        raise


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, flush it to the disk, and rename it into place.

    Raises:
        StorageError: the disk is full or the folder can't be written; `path` is as it was.
    """
    partial = path.with_name(f"{path.name}.partial")
    with storage_errors(path):
        try:
            write(partial)
            sync(partial)
            partial.replace(path)
            sync(path.parent)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Tensors and JSON facts as one safetensors file, whole or absent.

    Floats come back from the facts with the same bits (JSON holds their shortest exact form).
    """
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_whole(path, lambda p: save_file(whole, p, metadata={"facts": json.dumps(facts)}))


def load_tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What `save_tensors` wrote, in memory of its own."""
    with safe_open(path, framework="pt") as stream:
        # Fresh, aligned memory: sums over mapped, unaligned memory may round differently.
        tensors = {name: stream.get_tensor(name).clone() for name in stream.keys()}  # noqa: SIM118 - not a dict
        facts = json.loads(stream.metadata()["facts"])
    return tensors, facts


class Ragged:
    """Rows of width d on disk, a stretch of them for each of N texts; memory-mapped.

    Attributes:
        lengths: int64 [N], rows of each text.
        offsets: int64 [N + 1].
        data: [sum of lengths, d].
    """

    def __init__(self, path: Path, lengths: np.ndarray, width: int, dtype: torch.dtype) -> None:
        self.lengths = lengths
        self.offsets = np.concatenate([[0], np.cumsum(lengths)])
        shape = (int(self.offsets[-1]), width)
        self._dtype = dtype
        self._mapped = np.memmap(path, mode="r", dtype=_plain(dtype), shape=shape)

    def get(self, rows: np.ndarray) -> torch.Tensor:
        """The stretches of the texts `rows`, one after the other: [sum of their lengths, d]."""
        places = stretches(self.offsets, self.lengths, rows)
        return _aligned(self._mapped[places]).view(self._dtype)

    def all(self) -> torch.Tensor:
        """Every row, in memory."""
        return _aligned(np.array(self._mapped)).view(self._dtype)


def _aligned(values: np.ndarray) -> torch.Tensor:
    """A copy in torch's own memory, which is aligned the same way every time; numpy's isn't, and
    products of matrices may round differently with where their memory begins."""
    return torch.from_numpy(values).clone()


def stretches(offsets: np.ndarray, lengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """int64: the places of the stretches of `rows`, one stretch after the other."""
    chosen = lengths[rows]
    ends = np.cumsum(chosen)
    within = np.arange(int(ends[-1])) - np.repeat(ends - chosen, chosen)
    return np.asarray(np.repeat(offsets[rows], chosen) + within)


def write_ragged(
    path: Path,
    lengths: np.ndarray,
    width: int,
    dtype: torch.dtype,
    parts: Iterator[tuple[np.ndarray, torch.Tensor]],
) -> None:
    """Fill a file that `Ragged` reads from ``(rows, values)`` parts, in any order of texts."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    shape = (int(offsets[-1]), width)

    def write(partial: Path) -> None:
        plain = np.dtype(_plain(dtype))
        with partial.open("wb") as stream:
            # Claim the space first: a full disk under a mapped file would kill the process.
            os.posix_fallocate(stream.fileno(), 0, max(1, shape[0] * shape[1] * plain.itemsize))
        mapped = np.memmap(partial, mode="r+", dtype=plain, shape=shape)
        for rows, values in parts:
            kept = values.detach().to(dtype).contiguous()
            mapped[stretches(offsets, lengths, rows)] = kept.view(_torch_plain(dtype)).numpy()
        mapped.flush()

    write_whole(path, write)


def _plain(dtype: torch.dtype) -> str:
    """numpy has no bfloat16; its bits are kept as whole numbers."""
    return "int16" if dtype == torch.bfloat16 else "float32"


def _torch_plain(dtype: torch.dtype) -> torch.dtype:
    return torch.int16 if dtype == torch.bfloat16 else torch.float32
