"""Folds of a split: which items are held out together, decided by their content.

Two schemes, and what each costs:

- ``hash``: a keyed hash of an item's content (BLAKE2b; seed and repeat are the key) gives it a
  place in [0, 1), and the place a fold. The order of the rows doesn't matter, and adding or
  dropping rows never moves another one. The price is chance: of N items in k folds, a fold has N/k
  of them give or take the square root of N (k - 1) / k^2, and of a rare label it may have none.
- ``stratified``: every fold has its exact share of every label, and sizes differ by one at most.
  Quotas depend on who else is there, so a new row may move old ones to other folds.

Items of a group (a document, an author, texts that are nearly the same) stay together under either
scheme. Groups have a size and can't be cut, so quotas then hold only as nearly as groups allow: the
largest are placed first, each where the labels' shares suffer least.

Legend: N items, k folds, G groups, K labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from gradus.data.splits import HASH_LETTERS
from gradus.errors import DataError

if TYPE_CHECKING:
    import numpy as np

Scheme = Literal["hash", "stratified"]
LARGEST: Final = 1 << 64


def _keyed(seed: int, purpose: str) -> Callable[[str], int]:
    """A function that gives a name a number in [0, 2^64), uniform and independent by seed."""
    key = hashlib.sha256(f"{seed}\0{purpose}".encode()).digest()
    fresh = hashlib.blake2b(digest_size=8, key=key, person=b"gradus folds")

    def number(name: str) -> int:
        state = fresh.copy()
        state.update(name.encode())
        return int.from_bytes(state.digest())

    return number


def _contents(ids: Sequence[str]) -> list[str]:
    """Content hashes alone: the id of a copy that was kept is its content's hash and a number."""
    return [name[:HASH_LETTERS] for name in ids]


def assign(
    ids: Sequence[str],
    folds: int,
    *,
    seed: int,
    repeat: int = 0,
    scheme: Scheme = "hash",
    labels: Sequence[int] | None = None,
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """The fold of every item: int64 [N], from 0.

    Args:
        ids: N content hashes; copies of one content share a fold.
        folds: k, at least 2.
        seed: another gives other folds.
        repeat: which of several partitions; they are independent of one another.
        scheme: see the module.
        labels: N indices of labels, for ``stratified``.
        groups: N names; items of one name stay together. None: each by its content. Names of
            `joined` or `alike` keep copies together too.

    Raises:
        DataError: there are fewer groups than folds, or by chance a fold stayed empty.
        ValueError: `folds` is below 2, or ``stratified`` has no labels.
    """
    import numpy as np

    if folds < 2:
        raise ValueError(f"there must be two folds or more, not {folds}")
    if scheme == "stratified" and labels is None:
        raise ValueError("'stratified' needs the items' labels")
    number = _keyed(seed, f"repeat {repeat}")
    names = _contents(ids) if groups is None else list(groups)
    if len(set(names)) < folds:
        what = "items" if groups is None else "groups"
        raise DataError(f"{len(set(names))} {what} can't make {folds} folds: ask for fewer folds")
    if scheme == "hash":
        place = {name: number(name) * folds // LARGEST for name in set(names)}
    else:
        place = _with_quotas(names, labels or (), folds, number)
    found = np.array([place[name] for name in names], dtype=np.int64)
    sizes = np.bincount(found, minlength=folds)
    if not sizes.all():
        raise DataError(
            f"by chance fold {int(sizes.argmin()) + 1} of {folds} got none of the {len(names)} "
            "items: ask for fewer folds, or for 'scheme: stratified', whose folds are even"
        )
    return found


def _with_quotas(
    names: Sequence[str], labels: Sequence[int], folds: int, number: Callable[[str], int]
) -> dict[str, int]:
    """Name -> fold, label by label in turn; names with several items by their labels' counts."""
    counts = _counted(names, labels)
    if all(sum(of.values()) == 1 for of in counts.values()):
        return _dealt({name: next(iter(of)) for name, of in counts.items()}, folds, number)
    return _placed(counts, folds, number)


def _counted(names: Sequence[str], labels: Sequence[int]) -> dict[str, dict[int, int]]:
    """Name -> label -> how many of its items have it."""
    counts: dict[str, dict[int, int]] = {}
    for name, label in zip(names, labels, strict=True):
        of = counts.setdefault(name, {})
        of[int(label)] = of.get(int(label), 0) + 1
    return counts


def _dealt(label_of: Mapping[str, int], folds: int, number: Callable[[str], int]) -> dict[str, int]:
    """Items in hash order dealt like cards, label after label.

    The next label goes on where the last one ended, so that sizes differ by one at most.
    """
    order = sorted(label_of, key=lambda name: (label_of[name], number(name), name))
    return {name: turn % folds for turn, name in enumerate(order)}


def _placed(
    counts: Mapping[str, Mapping[int, int]], folds: int, number: Callable[[str], int]
) -> dict[str, int]:
    """Groups, the largest first, each where the labels' counts stay nearest to their shares.

    Ties go to the smaller fold, then to the one before. Equal groups come in hash order.
    """
    import numpy as np

    known = {label: i for i, label in enumerate(sorted({k for of in counts.values() for k in of}))}
    rows = {}
    for name, of in counts.items():
        row = np.zeros(len(known))
        for label, count in of.items():
            row[known[label]] = count
        rows[name] = row
    quota = np.sum(list(rows.values()), axis=0) / folds
    filled = np.zeros((folds, len(known)))
    found = {}
    for name in sorted(rows, key=lambda n: (-rows[n].sum(), number(n), n)):
        # Only the fold that gets the group changes: the one whose squared distance, in shares of
        # each label's quota, grows least.
        before = (((filled - quota) / quota) ** 2).sum(axis=1)
        after = (((filled + rows[name] - quota) / quota) ** 2).sum(axis=1)
        change = np.round(after - before, 9)
        best = min(range(folds), key=lambda f: (change[f], filled[f].sum(), f))
        filled[best] += rows[name]
        found[name] = best
    return found


def cut(
    ids: Sequence[str],
    share: float,
    *,
    seed: int,
    purpose: str,
    labels: Sequence[int] | None = None,
    groups: Sequence[str] | None = None,
) -> np.ndarray:
    """bool [N]: the part of a fold's training items that early stopping and tuning look at.

    Without groups by hash alone; with `labels` every label that has two items or more gives its
    exact share, rounded, and at least one. With neither labels nor luck the part may be empty.

    Groups are taken whole, so their sizes count under either scheme: in hash order, each that
    brings the items taken nearer to the share of all, or of every label. At least one is taken and
    at least one left; a new row may move those at the end.

    Args:
        ids: N content hashes.
        share: of the items, in [0, 1).
        seed: as in `assign`; `purpose` keeps it apart from the folds and from other cuts.
        purpose: a name for what is cut.
        labels: N indices of labels, for exact shares.
        groups: as in `assign`.
    """
    import numpy as np

    number = _keyed(seed, f"cut {purpose}")
    if groups is not None:
        taken = _whole(groups, [0] * len(groups) if labels is None else labels, share, number)
        return np.array([name in taken for name in groups], dtype=bool)
    names = _contents(ids)
    if labels is None:
        limit = int(share * LARGEST)
        return np.array([number(name) < limit for name in names], dtype=bool)
    first: dict[str, int] = {}
    for name, label in zip(names, labels, strict=True):
        first.setdefault(name, int(label))
    taken = set()
    for label in sorted(set(first.values())):
        members = sorted((n for n in first if first[n] == label), key=lambda n: (number(n), n))
        taken.update(members[: _quota(share, len(members))])
    return np.array([name in taken for name in names], dtype=bool)


def _quota(share: float, count: int) -> int:
    """How many of `count` are cut off: the share, rounded, but at least one, and never all."""
    wanted = max(1, round(share * count)) if share > 0 and count > 1 else 0
    return min(wanted, max(0, count - 1))


def _whole(
    groups: Sequence[str], labels: Sequence[int], share: float, number: Callable[[str], int]
) -> set[str]:
    """Names of the groups that are cut off; see `cut`.

    Distance from the quotas is chi-squared: squared gaps over the labels' quotas, added up.
    """
    counts = _counted(groups, labels)
    if share <= 0 or len(counts) < 2:
        return set()
    of = _counted(["all"] * len(labels), labels)["all"]
    quotas = {label: _quota(share, count) for label, count in of.items()}
    gaps = dict(quotas)

    def change(name: str) -> float:
        """What taking the group adds to the distance."""
        return sum(
            ((gaps[label] - count) ** 2 - gaps[label] ** 2) / max(1, quotas[label])
            for label, count in counts[name].items()
        )

    taken: set[str] = set()
    order = sorted(counts, key=lambda name: (number(name), name))
    for name in order:
        if change(name) < -1e-9 and len(taken) < len(counts) - 1:
            taken.add(name)
            for label, count in counts[name].items():
                gaps[label] -= count
    # Where every group is far greater than the quota, the nearest one is still better than none.
    return taken or {min(order, key=lambda name: round(change(name), 9))}


class _Joined:
    """Rows that belong together, through one another too."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, row: int) -> int:
        """The row that stands for all those joined with this one."""
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def join(self, one: int, two: int) -> None:
        """Join what belongs to either."""
        self._parent[self.root(one)] = self.root(two)

    def join_same(self, names: Sequence[str]) -> None:
        """Join the rows of one name; rows without a name stay as they are."""
        first: dict[str, int] = {}
        for row, name in enumerate(names):
            if name:
                self.join(row, first.setdefault(name, row))

    def named(self, names: Sequence[str]) -> dict[int, str]:
        """Root -> the least of its rows' names, whatever order they were joined in."""
        found: dict[int, str] = {}
        for row, name in enumerate(names):
            if name:
                root = self.root(row)
                found[root] = min(found.get(root, name), name)
        return found


def joined(ids: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Names of groups of which no two have the same text; N of them.

    Groups with copies of one content are joined, and called after the least of their names; the
    others keep theirs. An item whose group is empty is with its copies, else alone.
    """
    contents, rows = _contents(ids), _Joined(len(ids))
    rows.join_same(groups)
    rows.join_same(contents)
    called = rows.named(groups)
    return [called.get(rows.root(row), content) for row, content in enumerate(contents)]


def alike(texts: Sequence[str], ids: Sequence[str], groups: Sequence[str] | None) -> list[str]:
    """Names of groups in which texts that are nearly the same stand together; N of them.

    Near-duplicates (`gradus.data.audit.near`, Jaccard similarity of shingles from 0.65 on) are
    joined with whatever shares a name in `groups`, and joined again through one another. A group is
    called after the least of its items' hashes; a new row can join two groups, which then move.
    """
    import numpy as np

    from gradus.data.audit.near import near_duplicates

    rows = _Joined(len(ids))
    rows.join_same(_contents(ids))
    rows.join_same(groups or ())
    pairs = near_duplicates(texts, np.zeros(len(texts), dtype=np.int64))
    for one, two in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        rows.join(one, two)
    called = rows.named(ids)
    return [called[rows.root(row)] for row in range(len(ids))]
