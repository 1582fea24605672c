"""An index of a training text: what a writer has copied from it, and which n-grams are its own.

Two things are asked of it: how many characters a text has verbatim in common with the training
text, at most, and which of some n-grams of words stand there. The first is answered by suffix
arrays, the second by sorted hashes; neither reads the training text again.

The training text is taken in shards of 4 MiB, so that building needs constant memory (some 300 MB,
and the largest document) however long it is. A folder holds

    text-I.bin       the shard's UTF-8, a byte that UTF-8 hasn't behind each document
    suffixes-I.bin   int32, its suffix array
    grams-N-I.bin    uint64, sorted hashes of the n-grams of N words, each once in a file
    index.json       counts, written last

which takes 5 bytes for each byte of the training text, and 8 for each n-gram of either size. A
document longer than a shard is cut where neighbours overlap by 64 KiB: of a copy longer than that
at least so much is found.

Legend: N texts, P places in them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradus.data.corpora.once import make_once
from gradus.data.overlap.ngrams import RULE, Piece, batches
from gradus.errors import DataError
from gradus.writing.suffixes import matched_bytes, suffix_array

if TYPE_CHECKING:
    from gradus.data.corpora import Documents

SHARD: Final = 1 << 22
OVERLAP: Final = 1 << 16
SIZES: Final = (4, 8)
"""Words of the n-grams."""

MANIFEST: Final = "index.json"
_VERSION: Final = 1
_AFTER: Final = 0xFF  # neither byte occurs in UTF-8: one ends documents, the other ends queries,
_STOP: Final = 0xFE  # so no match runs over an end
_GRAMS: Final = 1 << 21
_PIECE: Final = 1 << 20

Progress = Callable[[float, float], None]


def open_index(
    documents: Documents, place: Path, progress: Progress | None = None
) -> TrainingIndex:
    """The index of documents, built below `place` the first time.

    Args:
        documents: a corpus's train split.
        place: a folder; the index stands there under a name that holds the documents' digest.
        progress: told how many of the bytes have been indexed.

    Raises:
        StorageError: the disk is full, or the place can't be written.
        DataError: the index there is damaged.
    """
    target = place / f"training-{documents.digest[:16]}-v{_VERSION}"

    def write(folder: Path) -> None:
        build(_announced(documents, progress), folder)

    make_once(target, MANIFEST, write)
    return TrainingIndex(target)


def _announced(documents: Documents, progress: Progress | None) -> Callable[[], Iterator[str]]:
    """What yields the documents' texts, from the beginning each time; it is read through twice."""
    total, done = 2.0 * documents.bytes, 0.0

    def texts() -> Iterator[str]:
        nonlocal done
        lengths = documents.lengths()
        for row in range(len(documents)):
            yield documents.text(row)
            done += float(lengths[row])
            if progress is not None:
                progress(done, total)

    return texts


def build(
    texts: Callable[[], Iterable[str]],
    folder: Path,
    *,
    sizes: Sequence[int] = SIZES,
    shard: int = SHARD,
    overlap: int = OVERLAP,
) -> None:
    """Index texts into an empty folder; they are asked for twice, in the same order.

    Args:
        texts: gives the documents.
        folder: an empty folder.
        sizes: words of the n-grams.
        shard: bytes of a shard.
        overlap: bytes that two parts of one document have in common; less than a shard.
    """
    lengths = []
    for number, content in enumerate(_shards(texts(), shard, overlap)):
        array = np.frombuffer(content, np.uint8)
        suffix_array(array).astype("<i4").tofile(folder / f"suffixes-{number}.bin")
        array.tofile(folder / f"text-{number}.bin")
        lengths.append(len(array))
    grams = _write_grams(texts(), folder, sizes)
    counts = {str(size): found for size, found in grams.items()}
    made = {"version": _VERSION, "words": RULE, "shards": lengths, "grams": counts}
    (folder / MANIFEST).write_text(json.dumps(made), encoding="utf-8")


def _shards(texts: Iterable[str], most: int, overlap: int) -> Iterator[bytes]:
    """Documents one after the other, each with an end, in runs of at most `most` bytes."""
    held = bytearray()
    for text in texts:
        for part in _parts(text.encode("utf-8", "surrogatepass"), most - 1, overlap):
            if len(held) + len(part) + 1 > most and held:
                yield bytes(held)
                held.clear()
            held += part
            held.append(_AFTER)
    if held:
        yield bytes(held)


def _parts(content: bytes, most: int, overlap: int) -> Iterator[bytes]:
    """Stretches of at most `most` bytes; neighbours have `overlap` bytes in common."""
    start = 0
    while start < len(content):
        yield content[start : start + most]
        if start + most >= len(content):
            return
        start += most - overlap


def _write_grams(texts: Iterable[str], folder: Path, sizes: Sequence[int]) -> dict[int, list[int]]:
    """Write the hashes of all n-grams; how many each file has, by size."""
    held: dict[int, list[np.ndarray]] = {size: [] for size in sizes}
    written: dict[int, list[int]] = {size: [] for size in sizes}

    def write(size: int) -> None:
        if held[size]:
            found = np.sort(np.concatenate(held[size]))
            # Not np.unique: its hash table takes ten times as long as sorting.
            new = np.ones(len(found), np.bool_)
            new[1:] = found[1:] != found[:-1]
            found = found[new]
            found.astype("<u8").tofile(folder / f"grams-{size}-{len(written[size])}.bin")
            written[size].append(len(found))
            held[size].clear()

    for batch in batches(_pieces(texts), sizes):
        for size in sizes:
            held[size].append(batch.grams[size][1])
            if sum(map(len, held[size])) >= _GRAMS:
                write(size)
    for size in sizes:
        write(size)
    return written


def _pieces(texts: Iterable[str]) -> Iterator[Piece]:
    """Documents in pieces of some million characters, cut where a word ends if there is a space."""
    for number, text in enumerate(texts):
        start = 0
        while start < len(text):
            end = min(start + _PIECE, len(text))
            if end < len(text):
                end = max(text.rfind(space, start + 1, end) for space in " \n") + 1 or end
            yield Piece(text[start:end], number, joined=start > 0)
            start = end


class TrainingIndex:
    """An index that `build` wrote.

    Attributes:
        sizes: words of the n-grams that it knows.
        bytes: size of the training text in UTF-8, ends of documents included.
    """

    def __init__(self, folder: Path) -> None:
        """Open it; what is asked reads one shard after the other.

        Raises:
            DataError: there is none, or a file of it is missing or has another size.
        """
        self._folder = folder
        try:
            made: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        except (OSError, ValueError) as error:
            raise DataError(f"can't be read as an index ({error})", file=folder) from error
        if made["version"] != _VERSION or made["words"] != RULE:
            raise DataError("is of another version: delete the folder", file=folder)
        self._lengths: list[int] = made["shards"]
        self._grams = {int(size): list(found) for size, found in made["grams"].items()}
        self.sizes = tuple(sorted(self._grams))
        self.bytes = sum(self._lengths)

    def longest(self, texts: Sequence[str]) -> np.ndarray:
        """int64 [N]: the most characters of each text that stand in one document, in a row.

        Verbatim: case, spaces and line ends count. 0 for an empty text.
        """
        best = np.zeros(len(texts), np.int64)
        raws = [text.encode("utf-8", "surrogatepass") + bytes([_STOP]) for text in texts]
        query = np.frombuffer(b"".join(raws), np.uint8)
        # A byte 10xxxxxx goes on with a character, any other begins one (or is a stop).
        begins = (query & 0xC0) != 0x80
        places = np.flatnonzero(begins & (query != _STOP))
        owners = np.repeat(np.arange(len(texts)), [len(raw) for raw in raws])[places]
        before = np.concatenate([[0], np.cumsum(begins)])
        for number in range(len(self._lengths)):
            text = self._read(f"text-{number}.bin", "u1", self._lengths[number])
            suffixes = self._read(f"suffixes-{number}.bin", "<i4", self._lengths[number])
            ends = places + matched_bytes(text, suffixes, query, places)
            # Characters that begin up to the end, but for the one that isn't whole or isn't in.
            np.maximum.at(best, owners, before[ends + 1] - before[places] - 1)
        return best

    def holds(self, size: int, hashes: np.ndarray) -> np.ndarray:
        """bool [P]: whether n-grams of `size` words, by their hashes (uint64 [P]), stand in it.

        Of 64 bits each, so that of a million n-grams held against twenty million one is taken for
        another with a probability of 1e-6.
        """
        found = np.zeros(len(hashes), np.bool_)
        for number, count in enumerate(self._grams[size]):
            known = self._read(f"grams-{size}-{number}.bin", "<u8", count)
            at = np.searchsorted(known, hashes)
            found |= known.take(at, mode="clip") == hashes
        return found

    def _read(self, name: str, dtype: str, count: int) -> np.ndarray:
        try:
            found = np.fromfile(self._folder / name, dtype)
        except OSError as error:
            raise DataError(
                f"can't be read ({error}): delete its folder, and it is built anew",
                file=self._folder / name,
            ) from error
        if len(found) != count:
            raise DataError(
                f"has {len(found):,} entries instead of {count:,}: delete its folder, and it is "
                "built anew",
                file=self._folder / name,
            )
        return found
