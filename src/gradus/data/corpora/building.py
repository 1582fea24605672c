"""Building a corpus on disk in constant memory.

Documents are read once, cleaned, and appended to buckets by the first bits of their content hash.
Each bucket is then sorted on its own and written out, so that the whole stands in the order of
the hashes; equal documents share a bucket, where all but one are dropped. What is held in memory
is one document, or one bucket of some 8 MB. Near-duplicates take 256 bytes a document more.

Legend: N documents.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np

from gradus.data.corpora.cleaning import Cleaner, Count
from gradus.data.corpora.config import CorpusConfig
from gradus.data.corpora.documents import Documents, Writer
from gradus.data.corpora.reading import Origin, Progress, Raw, read
from gradus.data.dataset import SPLITS
from gradus.data.formats.base import Tally
from gradus.data.overlap.corpus import Meter
from gradus.data.splits import splits_by_hash

BUCKET_BYTES: Final = 1 << 23
MOST_BUCKETS: Final = 512
_HEADER: Final = struct.Struct("<32s32sBiiQ")
_GIVEN: Final = ("", "train", "dev", "test")


class _Entry(NamedTuple):
    """A document in a bucket; `key` is the hash that decides its split."""

    digest: bytes
    key: bytes
    given: int
    domain: int
    language: int
    content: bytes


class Names:
    """Names as numbers, in the order in which they first came."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def code(self, name: str | None) -> int:
        """The number of a name; -1 for none."""
        return -1 if name is None else self._codes.setdefault(name, len(self._codes))

    def names(self) -> list[str]:
        """All names by number."""
        return list(self._codes)


class Builder:
    """Builds the splits of a corpus below a folder.

    Attributes:
        tally: what the readers saw.
        cleaner: the filters and their counts.
        exact: counts of exact duplicates.
        crossing: documents dropped since their content stands in another split that comes first.
        limited: documents that `limit` left out.
    """

    def __init__(
        self, config: CorpusConfig, seed: int, folder: Path, progress: Progress | None
    ) -> None:
        self.config, self.seed, self.folder, self._progress = config, seed, folder, progress
        self.tally = Tally()
        self.cleaner = Cleaner(config.clean)
        self.exact = Count()
        self.crossing = self.limited = 0
        self.domains, self.languages = Names(), Names()

    def read(self, origins: Sequence[Origin]) -> list[Path]:
        """Read and clean all documents into buckets; their files, in the order of the hashes."""
        size = sum(origin.bytes() for origin in origins)
        count = min(MOST_BUCKETS, max(1, size // BUCKET_BYTES))
        paths = [self.folder / f"bucket-{number:03}" for number in range(count)]
        meter, last = Meter(size, self._progress), None
        with ExitStack() as stack:
            buckets: list[BinaryIO] = [stack.enter_context(path.open("wb")) for path in paths]
            for origin in origins:
                given = _GIVEN.index(origin.given)
                for file, raw in read(origin, self.config, self.tally):
                    if last is not None and file != last:
                        meter.finished(last)
                    last = file
                    meter.tell(file)
                    kept = self.cleaner.clean(raw)
                    if kept is not None:
                        place, packed = self._pack(kept, given, count)
                        buckets[place].write(packed)
        return paths

    def _pack(self, raw: Raw, given: int, count: int) -> tuple[int, bytes]:
        """Which of `count` buckets a document belongs to, and its bytes there."""
        content = raw.text.encode()
        digest = hashlib.sha256(content).digest()
        key = digest if raw.group is None else hashlib.sha256(raw.group.encode()).digest()
        domain, language = self.domains.code(raw.domain), self.languages.code(raw.language)
        header = _HEADER.pack(digest, key, given, domain, language, len(content))
        return int.from_bytes(digest[:4], "big") * count >> 32, header + content

    def write(self, buckets: Sequence[Path]) -> dict[str, dict[str, str]]:
        """Write the splits out of the buckets, which are removed; SHA-256 of each split's files."""
        writers = {name: Writer(self.folder / name) for name in SPLITS}
        count = 0
        for number, bucket in enumerate(buckets):
            if self._progress is not None:
                self._progress(number, len(buckets), "sorting")
            for split, entry in self._settled(sorted(_entries(bucket), key=lambda e: e.digest)):
                count += 1
                if self.config.limit is not None and count > self.config.limit:
                    self.limited += 1
                    continue
                writers[split].add(entry.digest, entry.content, entry.domain, entry.language)
            bucket.unlink()
        return self._closed(writers)

    def rewrite(self, kept: Mapping[str, np.ndarray]) -> dict[str, dict[str, str]]:
        """Write the splits anew with the documents that a mask, bool [N], keeps."""
        found = {}
        for split, mask in kept.items():
            old = self.folder / split
            documents = Documents(old)
            writer = Writer(self.folder / f"{split}.kept")
            for row in np.flatnonzero(mask).tolist():
                domain, language = documents.codes[row].tolist()
                content = documents.text(row).encode()
                writer.add(documents.ids[row].tobytes(), content, domain, language)
            found[split] = writer.close(self.domains.names(), self.languages.names())
            del documents
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
            writer.folder.rename(old)
        return found

    def _closed(self, writers: Mapping[str, Writer]) -> dict[str, dict[str, str]]:
        domains, languages = self.domains.names(), self.languages.names()
        return {name: writer.close(domains, languages) for name, writer in writers.items()}

    def _settled(self, entries: Sequence[_Entry]) -> Iterator[tuple[str, _Entry]]:
        """Each document with its split; copies dropped as the plan says.

        A content that several splits hold (given splits, or copies in several groups) stays in
        the one that is kept most carefully: test before dev before train.
        """
        splits = self._splits(entries)
        start = 0
        while start < len(entries):
            stop = start + 1
            while stop < len(entries) and entries[stop].digest == entries[start].digest:
                stop += 1
            first = max(splits[start:stop])
            same = [row for row in range(start, stop) if splits[row] == first]
            self.crossing += stop - start - len(same)
            self.exact.seen += stop - start
            if self.config.clean.exact_duplicates == "drop":
                for row in same[1:]:
                    self.exact.drop(entries[row].content.decode())
                same = same[:1]
            for row in same:
                yield SPLITS[first], entries[row]
            start = stop

    def _splits(self, entries: Sequence[_Entry]) -> list[int]:
        """The split of each entry, as an index into `SPLITS`."""
        shares = {
            "": self.config.shares(),
            "train": self.config.shares(),
            "dev": {"train": 0.0, "dev": 1.0},  # halving is splitting with nothing left for train
            "test": {"train": 0.0, "test": 1.0},
        }
        found = [0] * len(entries)
        for code, given in enumerate(_GIVEN):
            rows = [row for row, entry in enumerate(entries) if entry.given == code]
            names = splits_by_hash((entries[row].key for row in rows), shares[given], self.seed)
            for row, name in zip(rows, names, strict=True):
                found[row] = SPLITS.index(name)
        return found


def _entries(bucket: Path) -> Iterator[_Entry]:
    with bucket.open("rb") as stream:
        while header := stream.read(_HEADER.size):
            digest, key, given, domain, language, size = _HEADER.unpack(header)
            yield _Entry(digest, key, given, domain, language, stream.read(size))
