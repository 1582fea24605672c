"""Documents that are nearly copies of others, over all splits of a corpus.

Pairs come from `gradus.data.audit.near`: MinHash proposes, the exact Jaccard similarity of the
shingles decides. What pairs connect, directly or through others, is a group, of which the
document with the least id stays; it stays in its own split, so that no split holds a near copy
of a text in another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradus.data.audit.near import near_duplicates
from gradus.data.corpora.cleaning import Count
from gradus.data.corpora.documents import Documents


class _AllTexts(Sequence[Any]):
    """The texts of all splits, one after the other."""

    def __init__(self, splits: Sequence[Documents]) -> None:
        self._splits = splits
        self._ends = np.cumsum([len(documents) for documents in splits])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        split = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[split - 1]) if split else 0
        return self._splits[split].text(index - start)


def near_kept(
    splits: Mapping[str, Documents], threshold: float
) -> tuple[dict[str, np.ndarray], Count]:
    """Which documents stay: a mask, bool [N], by split; and the counts.

    Args:
        splits: the documents of every split.
        threshold: Jaccard similarity from which two documents are near-duplicates.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = Count(seen=sum(map(len, splits.values())))
    texts = _AllTexts(list(splits.values()))
    pairs = near_duplicates(texts, np.zeros(len(texts), np.int8), threshold=threshold)
    links = coo_array((np.ones(len(pairs)), (pairs.first, pairs.second)), (len(texts),) * 2)
    groups = connected_components(links, directed=False)[1]
    kept = np.ones(len(texts), bool)
    ids = np.concatenate([documents.ids for documents in splits.values()])
    least: dict[int, int] = {}
    for row in np.union1d(pairs.first, pairs.second).tolist():
        group = int(groups[row])
        other = least.setdefault(group, row)
        if other != row:
            loser = max(row, other, key=lambda r: ids[r].tobytes())
            least[group] = other if loser == row else row
            kept[loser] = False
            count.drop(texts[loser])
    if not pairs.complete:
        count.reasons["more pairs than are looked at"] = 1
    starts = np.cumsum([len(documents) for documents in splits.values()])[:-1]
    return dict(zip(splits, np.split(kept, starts), strict=True)), count
