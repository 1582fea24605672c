"""One pass over a corpus for any number of benchmarks, and for a filter."""

from __future__ import annotations

from collections.abc import Sequence

from gradus.data.overlap.bloom import Bloom
from gradus.data.overlap.corpus import Corpus, Progress
from gradus.data.overlap.index import Index, Overlap
from gradus.data.overlap.ngrams import batches


def look(
    corpus: Corpus,
    indexes: Sequence[Index],
    bloom: Bloom | None = None,
    progress: Progress | None = None,
) -> list[Overlap]:
    """What the corpus holds of every benchmark; `bloom` takes its n-grams in.

    Memory is the benchmarks', the filter's and that of one batch, or of the longest record.

    Raises:
        DataError: the corpus is broken somewhere; names file and line.
    """
    sizes = {size for index in indexes for size in index.sizes}
    if bloom is not None:
        sizes.add(bloom.n)
    for batch in batches(corpus.pieces(progress), sizes):
        for index in indexes:
            index.see(batch)
        if bloom is not None:
            bloom.add(batch.grams[bloom.n][1])
    return [index.overlap() for index in indexes]
