"""Which split a text belongs to, decided by its content.

A text's id is the SHA-256 of its UTF-8 bytes, exactly as read: no Unicode normalisation and no
trimming, since models see the difference. A keyed hash of the id (BLAKE2b, the seed as key)
gives each text a place in [0, 1), and the place a split. So the order of the rows doesn't matter,
adding rows never moves old ones, equal texts share a split, and label proportions hold in
expectation. Another seed gives an independent split.

Stratified splits hold exact quotas for every label instead (largest remainder). Quotas depend on
how many rows there are, so the assignment is stored, and rows that have one keep it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gradus.errors import DataError, StorageError

SELECT, GATE = "dev.select", "dev.gate"
_ORDER: Final = ("train", SELECT, GATE, "test")
_VERSION: Final = 1


HASH_LETTERS: Final = 64
"""Of an id, those that are its content's hash: behind them a copy that was kept has its number."""


def content_id(text: str) -> str:
    """SHA-256 (hex) of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _keyed(seed: int) -> Callable[[bytes], int]:
    """A function that gives content a number in [0, 2^128), uniform and independent by seed."""
    key = hashlib.sha256(str(seed).encode()).digest()
    fresh = hashlib.blake2b(digest_size=16, key=key, person=b"gradus split")

    def number(content: bytes) -> int:
        state = fresh.copy()
        state.update(content)
        return int.from_bytes(state.digest())

    return number


def splits_by_hash(
    contents: Iterable[bytes], shares: Mapping[str, float], seed: int
) -> Iterator[str]:
    """The split of each content hash (32 bytes), by keyed hash.

    `shares` has ``train`` and any of ``dev`` and ``test``, and sums to 1. Test takes the lowest
    places and dev the next, so that changing dev's share leaves test as it is. The lowest bit,
    which has no part in the place, halves dev.
    """
    test = shares.get("test", 0.0)
    dev = shares.get("dev", 0.0)
    number_of = _keyed(seed)
    for content in contents:
        number = number_of(content)
        place = (number >> 64) / 2**64
        if place < test:
            yield "test"
        elif place < test + dev:
            yield GATE if number & 1 else SELECT
        else:
            yield "train"


def assign_by_hash(ids: Iterable[str], shares: Mapping[str, float], seed: int) -> dict[str, str]:
    """Id -> split by keyed hash; `shares` as for `splits_by_hash`."""
    ids = list(ids)
    contents = (bytes.fromhex(item) for item in ids)
    return dict(zip(ids, splits_by_hash(contents, shares, seed), strict=True))


def assign_stratified(
    labels: Mapping[str, str],
    shares: Mapping[str, float],
    seed: int,
    stored: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Id -> split with exact quotas for every label.

    `labels` maps each id to its label. A split's quota is within one of its share of the label's
    rows, unless `stored` assignments, which are kept, exceed it.
    """
    stored = stored or {}
    number_of = _keyed(seed)
    quarters = _halved(shares)
    by_label: dict[str, list[str]] = defaultdict(list)
    for item, label in labels.items():
        by_label[label].append(item)
    found = {}
    for label, members in by_label.items():
        open_places = quotas(len(members), quarters, label, seed)
        new = []
        for item in members:
            if item in stored:
                found[item] = stored[item]
                if stored[item] in open_places:
                    open_places[stored[item]] -= 1
            else:
                new.append(item)
        for item in sorted(new, key=lambda i: number_of(bytes.fromhex(i))):
            split = max(open_places, key=lambda name: open_places[name])
            found[item] = split
            open_places[split] -= 1
    return found


def _halved(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares by the four splits, those that are empty left out."""
    halves = {SELECT: shares.get("dev", 0.0) / 2, GATE: shares.get("dev", 0.0) / 2}
    every = {"train": shares["train"], **halves, "test": shares.get("test", 0.0)}
    return {name: share for name, share in every.items() if share > 0}


def quotas(rows: int, shares: Mapping[str, float], label: str, seed: int) -> dict[str, int]:
    """How many of `rows` each split gets: the largest remainders are rounded up.

    Equal remainders are ranked by a hash of the label, so that over many small labels no split
    is favoured.
    """
    number_of = _keyed(seed)
    exact = {name: rows * share for name, share in shares.items()}
    whole = {name: int(value + 1e-9) for name, value in exact.items()}

    def rank(name: str) -> tuple[float, int]:
        tie = number_of(f"{name}\0{label}".encode())
        return (-round(exact[name] - whole[name], 9), tie)

    for name in sorted(shares, key=rank)[: rows - sum(whole.values())]:
        whole[name] += 1
    return whole


class AssignmentFile:
    """Stored assignments of one data set under one seed and one set of shares.

    The file is JSON, ``{"version": 1, "assigned": {id: split}}``; its name carries a hash of seed
    and shares, so that a plan with others never reads it.
    """

    def __init__(self, folder: Path, name: str, shares: Mapping[str, float], seed: int) -> None:
        key = json.dumps([seed, sorted(shares.items())])
        self.path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"

    def read(self) -> dict[str, str]:
        """The stored assignments; none where the file doesn't exist.

        Raises:
            DataError: the file is damaged.
            StorageError: the system won't give it.
        """
        try:
            raw = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StorageError(
                f"{self.path}: the stored split can't be read ({error.strerror})"
            ) from error
        except ValueError as error:
            raise self._damaged(str(error)) from error
        assigned = raw.get("assigned") if isinstance(raw, dict) else None
        if not isinstance(assigned, dict) or raw.get("version") != _VERSION:
            raise self._damaged(f"it has no assignments of version {_VERSION}")
        wrong = sorted({str(split) for split in assigned.values()} - set(_ORDER))
        if wrong:
            raise self._damaged(f"unknown split '{wrong[0]}'")
        return assigned

    def _damaged(self, why: str) -> DataError:
        return DataError(
            f"the stored split can't be read ({why}): restore the file, or delete it to split "
            "anew (rows may then change their split)",
            file=self.path,
        )

    def write(self, assigned: Mapping[str, str]) -> None:
        """Store the assignments; the file is replaced whole.

        Raises:
            StorageError: the folder can't be written.
        """
        text = json.dumps({"version": _VERSION, "assigned": dict(sorted(assigned.items()))})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self.path.parent, prefix=self.path.name, suffix=".partial", delete=False
            ) as partial:
                partial.write(text)
                partial.flush()
                os.fsync(partial.fileno())
            Path(partial.name).replace(self.path)
        except OSError as error:
            raise StorageError(
                f"{self.path}: the split can't be stored ({error.strerror}): free some space or "
                "choose a folder that can be written"
            ) from error


def digest_split(ids: Sequence[str], labels: Sequence[Any]) -> str:
    """SHA-256 (hex) over the ids and labels of one split, whatever their order.

    A label is a name or whatever JSON can hold: names, a number, spans as [start, end, label].
    """
    pairs: Iterable[tuple[str, Any]] = zip(ids, labels, strict=True)
    if not all(a < b for a, b in itertools.pairwise(ids)):
        pairs = sorted(pairs)
    return digest_sorted((item, json.dumps(label)) for item, label in pairs)


def digest_sorted(pairs: Iterable[tuple[str, str]]) -> str:
    """SHA-256 (hex) over ids and labels as JSON, which stand in the order of the ids."""
    state = hashlib.sha256()
    lines = (f"{item}\t{label}\n" for item, label in pairs)
    while part := "".join(itertools.islice(lines, 4096)):
        state.update(part.encode())
    return state.hexdigest()
