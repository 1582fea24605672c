"""Tokenising documents once, in parallel, into shards on disk."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from gradus.checkpoints.hashing import hash_file, hash_json
from gradus.data.corpora.documents import Documents, HashedFile
from gradus.data.corpora.once import make_once
from gradus.data.corpora.reading import Progress
from gradus.data.corpora.shards import INDEX, LENGTHS, VERSION, Shards
from gradus.errors import CheckpointError

SHARD_BYTES: Final = 1 << 22  # of text
MOST_SHARDS: Final = 1 << 10
BATCH_CHARACTERS: Final = 1 << 19
PIECE_CHARACTERS: Final = 1 << 20
_SPACE: Final = re.compile(r"(?<=\S)\s")
_PARALLELISM: Final = "TOKENIZERS_PARALLELISM"

End = int | Literal["auto"] | None


def tokenise(
    documents: Documents,
    tokenizer_folder: Path,
    *,
    place: Path,
    workers: int = 1,
    end: End = "auto",
    progress: Progress | None = None,
) -> Shards:
    """Tokenise documents into shards, or open them where that has been done.

    They stand in ``place/KEY``, the key being a hash of documents, tokenizer and `end`. The result
    is the same for any number of workers. No special token is added but the one that ends a
    document. A document of more than a million characters is encoded in pieces that begin at
    white space, which no tokenizer that parts words there can tell.

    Args:
        documents: of one split.
        tokenizer_folder: a checkpoint's folder with tokenizer.json.
        place: the folder for tokenised splits.
        workers: threads.
        end: the id that ends each document; ``auto`` is the tokenizer's end-of-text token, else
            its separator, else none; None leaves documents joined without a mark.
        progress: called with bytes done, bytes in all and what is under way.

    Raises:
        CheckpointError: the folder holds no tokenizer that can be read.
        DataError: shards that were made before are damaged.
        StorageError: the disk is full, or the place can't be written.
    """
    tokenizer = open_tokenizer(tokenizer_folder)
    digest = hash_file(Path(tokenizer_folder) / "tokenizer.json")
    last = end_of_text(tokenizer, tokenizer_folder) if end == "auto" else end
    key = hash_json([VERSION, SHARD_BYTES, documents.digest, digest, last])[:16]
    target = place / key

    def write(partial: Path) -> None:
        _write(_Job(documents, tokenizer, last, partial), digest, workers, progress)

    make_once(target, INDEX, write)
    return Shards(target)


def open_tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint's folder (a `tokenizers.Tokenizer`), without truncation.

    Raises:
        CheckpointError: there is none, or it can't be read.
    """
    from tokenizers import Tokenizer

    file = Path(folder) / "tokenizer.json"
    if not file.is_file():
        raise CheckpointError(f"{folder}: holds no tokenizer.json, so nothing can be tokenised")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    # The library raises a bare Exception for whatever is wrong with the file.
    except Exception as error:
        raise CheckpointError(f"{file}: can't be read as a tokenizer ({error})") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def end_of_text(tokenizer: Any, folder: Path) -> int | None:
    """The id of the end-of-text token, else of the separator, else None."""
    names: dict[str, Any] = {}
    for file in ("special_tokens_map.json", "tokenizer_config.json"):
        path = Path(folder) / file
        if path.is_file():
            names.update(json.loads(path.read_bytes()))
    for role in ("eos_token", "sep_token"):
        token = names.get(role)
        text = token.get("content") if isinstance(token, dict) else token
        if isinstance(text, str) and (found := tokenizer.token_to_id(text)) is not None:
            return int(found)
    return None


class _Job:
    """What all shards have in common."""

    def __init__(self, documents: Documents, tokenizer: Any, end: int | None, folder: Path) -> None:
        self.documents, self.tokenizer, self.end = documents, tokenizer, end
        self.folder = folder
        self.vocabulary = tokenizer.get_vocab_size(with_added_tokens=True)
        self.dtype = np.dtype("<u2" if self.vocabulary <= 1 << 16 else "<u4")

    def shard(self, number: int, first: int, last: int) -> tuple[dict[str, Any], np.ndarray]:
        """Write the shard of documents first to last; its index entry and lengths."""
        file = f"shard-{number:05}.bin"
        stream = HashedFile(self.folder / file)
        lengths = np.zeros(last - first, np.int64)
        for rows, pieces in self._batches(first, last):
            encodings = self.tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
            for place, (row, encoding) in enumerate(zip(rows, encodings, strict=True)):
                ids = encoding.ids
                if self.end is not None and (place + 1 == len(rows) or rows[place + 1] != row):
                    ids.append(self.end)
                stream.write(np.array(ids, self.dtype).tobytes())
                lengths[row - first] += len(ids)
        entry = {
            "file": file,
            "documents": last - first,
            "tokens": int(lengths.sum()),
            "sha256": stream.close(),
        }
        return entry, lengths

    def _batches(self, first: int, last: int) -> Iterator[tuple[list[int], list[str]]]:
        """Pieces of documents and the document of each; a batch never ends within a document."""
        rows: list[int] = []
        pieces: list[str] = []
        size = 0
        for row in range(first, last):
            for piece in cut(self.documents.text(row)):
                rows.append(row)
                pieces.append(piece)
                size += len(piece)
            if size >= BATCH_CHARACTERS:
                yield rows, pieces
                rows, pieces, size = [], [], 0
        if rows:
            yield rows, pieces


def cut(text: str, most: int = PIECE_CHARACTERS) -> Iterator[str]:
    """A text in pieces of about `most` characters, each but the first beginning at white space."""
    start = 0
    while len(text) - start > most:
        found = _SPACE.search(text, start + most)
        if found is None:
            break
        yield text[start : found.start()]
        start = found.start()
    yield text[start:]


def _ranges(documents: Documents) -> list[tuple[int, int]]:
    """Runs of documents with 4 MB of text each, more where there would be over a thousand."""
    found: list[tuple[int, int]] = []
    start, done = 0, 0
    most = max(SHARD_BYTES, documents.bytes // MOST_SHARDS)
    ends = np.cumsum(documents.lengths())
    while start < len(documents):
        stop = min(int(np.searchsorted(ends, done + most)) + 1, len(documents))
        found.append((start, stop))
        start, done = stop, int(ends[stop - 1])
    return found


def _write(job: _Job, digest: str, workers: int, progress: Progress | None) -> None:
    entries: list[dict[str, Any]] = []
    state = HashedFile(job.folder / LENGTHS)
    ranges = _ranges(job.documents)
    sizes, done = job.documents.lengths(), 0
    with _own_threads(), ThreadPoolExecutor(max(1, workers)) as pool:
        made: list[Future[tuple[dict[str, Any], np.ndarray]]] = [
            pool.submit(job.shard, number, *rows) for number, rows in enumerate(ranges)
        ]
        for future, (first, last) in zip(made, ranges, strict=True):
            try:
                entry, lengths = future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            entries.append(entry)
            state.write(lengths.astype("<i8").tobytes())
            done += int(sizes[first:last].sum())
            if progress is not None:
                progress(done, job.documents.bytes, entry["file"])
    index = {
        "version": VERSION,
        "dtype": job.dtype.str,
        "end": job.end,
        "vocabulary": job.vocabulary,
        "tokenizer": digest,
        "documents": job.documents.digest,
        "bytes": job.documents.bytes,
        "lengths_sha256": state.close(),
        "shards": entries,
    }
    content = json.dumps(index, indent=1).encode()
    (job.folder / INDEX).write_bytes(content)


@contextmanager
def _own_threads() -> Iterator[None]:
    """Keep the tokenizers library from starting threads of its own beside the workers."""
    before = os.environ.get(_PARALLELISM)
    os.environ[_PARALLELISM] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_PARALLELISM]
        else:
            os.environ[_PARALLELISM] = before
