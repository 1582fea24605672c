"""Activations of texts that several trainings read, each text computed once, whoever asks first.

Trainings on folds and draws of one data set read mostly the same texts. A pool is a folder of
files, each with the rows of some texts, and an index of the tokens that they were computed from;
whoever needs texts that aren't there computes those alone and adds a file. A file is whole before
its index is written, and without an index it doesn't count.

The rows of a text may differ in their last bits with the texts that it was computed beside. Folds
come in one order, so the same cross-validation adds the same files, killed or not.

Legend: N texts asked for, n texts of a file, d width of a row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from gradus.training.packing import Tokens
from gradus.training.storage import Ragged, stretches, write_ragged, write_whole

_KEY_BYTES = 16


def keys_of(tokens: Tokens) -> list[bytes]:
    """N hashes of what a model reads: each text's tokens, and their sides of a pair."""
    found = []
    for start, end in pairwise(tokens.offsets.tolist()):
        state = hashlib.blake2b(tokens.ids[start:end].tobytes(), digest_size=_KEY_BYTES)
        if tokens.types is not None:
            state.update(b"types")
            state.update(tokens.types[start:end].tobytes())
        found.append(state.digest())
    return found


class PooledTexts:
    """One pool: rows of one width and dtype, of one way of computing them."""

    def __init__(self, place: Path, width: int, dtype: torch.dtype) -> None:
        self._place, self._width, self._dtype = place, width, dtype
        self._files: list[Ragged] = []
        self._known: dict[bytes, tuple[int, int]] = {}
        place.mkdir(parents=True, exist_ok=True)
        for index in sorted(place.glob("*.npy")):
            self._read(index)

    def missing(self, keys: Sequence[bytes]) -> np.ndarray:
        """int64: of the texts that aren't there, the first row of each."""
        first: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            if key not in self._known:
                first.setdefault(key, row)
        return np.array(list(first.values()), dtype=np.int64)

    def add(
        self,
        keys: Sequence[bytes],
        lengths: np.ndarray,
        parts: Iterator[tuple[np.ndarray, torch.Tensor]],
    ) -> None:
        """Add n texts: their keys, int64 [n] rows of each, and `parts` as `write_ragged` takes."""
        # Numbered, so that what a text is found in doesn't depend on the names' order.
        name = f"{len(self._files):04d}-{hashlib.sha256(b''.join(keys)).hexdigest()[:16]}"
        write_ragged(self._place / f"{name}.bin", lengths, self._width, self._dtype, parts)
        marks = np.frombuffer(b"".join(keys), dtype="<i8").reshape(len(keys), 2)
        table = np.column_stack([marks, lengths.astype("<i8")])
        index = self._place / f"{name}.npy"

        def write(partial: Path) -> None:
            with partial.open("wb") as stream:
                np.save(stream, table, allow_pickle=False)

        write_whole(index, write)
        self._read(index)

    def _read(self, index: Path) -> None:
        table = np.load(index, allow_pickle=False)
        file = Ragged(index.with_suffix(".bin"), table[:, 2], self._width, self._dtype)
        for row, marks in enumerate(np.ascontiguousarray(table[:, :2])):
            self._known.setdefault(marks.tobytes(), (len(self._files), row))
        self._files.append(file)

    def view(self, keys: Sequence[bytes], lengths: np.ndarray) -> GatheredTexts:
        """The N texts with these keys, all of which are there, in this order."""
        places = np.array([self._known[key] for key in keys], dtype=np.int64).reshape(-1, 2)
        return GatheredTexts(self._files, places, lengths, self._width, self._dtype)


class GatheredTexts:
    """Rows of N texts that lie in several files; read as `Ragged` is.

    Attributes:
        lengths: int64 [N], rows of each text.
    """

    def __init__(
        self,
        files: Sequence[Ragged],
        places: np.ndarray,
        lengths: np.ndarray,
        width: int,
        dtype: torch.dtype,
    ) -> None:
        """`places`, int64 [N, 2], has the file of each text and its number there."""
        self.lengths = lengths
        self._files, self._places = tuple(files), places
        self._width, self._dtype = width, dtype

    def get(self, rows: np.ndarray) -> torch.Tensor:
        """The stretches of the texts `rows`, one after the other: [sum of their lengths, d]."""
        files, numbers = self._places[rows, 0], self._places[rows, 1]
        asked = self.lengths[rows]
        offsets = np.concatenate([[0], np.cumsum(asked)])
        found = torch.empty((int(offsets[-1]), self._width), dtype=self._dtype)
        for file in np.unique(files):
            chosen = np.flatnonzero(files == file)
            where = torch.from_numpy(stretches(offsets, asked, chosen))
            found[where] = self._files[file].get(numbers[chosen])
        return found

    def all(self) -> torch.Tensor:
        """Every row, in memory."""
        return self.get(np.arange(len(self.lengths)))
