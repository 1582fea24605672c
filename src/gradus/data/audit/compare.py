"""The parts of an audit that compare: leaks and conflicts among pairs, drift, real use.

Legend: N texts of all parts, one part after the other; K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradus.data.audit.drift import holm, label_drift, length_drift
from gradus.data.audit.near import Pairs, near_duplicates
from gradus.data.audit.samples import Joined, Part
from gradus.data.audit.shingles import as_text

MOST_TEXTS: Final = 200_000  # up to which every text's partners are looked for
PROBES: Final = 20_000  # texts of train, and of the other parts, that stand for all above it
ALIKE: Final = 0.8  # from here on two texts should have the same label
_SHOWN: Final = 20_000  # characters


@dataclass(frozen=True, slots=True)
class Overlap:
    """Near-duplicates among the texts of several parts.

    Attributes:
        parts: the parts, in the order in which they are used.
        pairs: all that were found, rows counting through the parts.
        owners: int64 [N], the part of each text.
        probes: bool [N], the texts whose partners were looked for.
        leaks: the pairs that lie across two parts.
        conflicts: the pairs from `ALIKE` on whose labels differ; None where labels are no classes.
    """

    parts: Sequence[Part]
    pairs: Pairs
    owners: np.ndarray
    probes: np.ndarray
    leaks: Pairs
    conflicts: Pairs | None

    def leaked(self) -> np.ndarray:
        """int64 [parts, parts]: texts of a part (row) with a near-duplicate in one before it."""
        counts = np.zeros((len(self.parts), len(self.parts)), np.int64)
        for later in range(len(self.parts)):
            for earlier in range(later):
                counts[later, earlier] = np.count_nonzero(self._in(later, [earlier]))
        return counts

    def leaked_at_all(self, later: int) -> int:
        """How many texts of a part have a near-duplicate in any part before it."""
        return int(np.count_nonzero(self._in(later, range(later))))

    def _in(self, later: int, earlier: Sequence[int]) -> np.ndarray:
        marked = np.zeros(len(self.owners), bool)
        ends = ((self.leaks.first, self.leaks.second), (self.leaks.second, self.leaks.first))
        for one, other in ends:
            marked[one[np.isin(self.owners[other], list(earlier))]] = True
        return np.asarray(marked & self.probes & (self.owners == later))

    def conflicting(self) -> int:
        """How many texts have a near-duplicate under another label."""
        if self.conflicts is None:
            return 0
        marked = np.zeros(len(self.owners), bool)
        marked[self.conflicts.first] = marked[self.conflicts.second] = True
        return int(np.count_nonzero(marked & self.probes))

    def described(self, pairs: Pairs, most: int, labels: Sequence[str]) -> list[dict[str, Any]]:
        """The first `most` pairs as JSON, with their texts in full."""
        begins = np.concatenate([[0], np.cumsum([len(part) for part in self.parts])])

        def side(row: int) -> dict[str, Any]:
            owner = int(self.owners[row])
            part, place = self.parts[owner], row - int(begins[owner])
            label = None if part.labels is None else int(part.labels[place])
            return {
                "split": part.name,
                "label": None if label is None or label < 0 else labels[label],
                "text": as_text(part.texts[place])[:_SHOWN],
            }

        rows = zip(pairs.first[:most], pairs.second[:most], pairs.similarity[:most], strict=True)
        return [
            {"similarity": float(s), "first": side(int(a)), "second": side(int(b))}
            for a, b, s in rows
        ]


def overlap(parts: Sequence[Part]) -> Overlap:
    """Find near-duplicates within and across parts; of very many texts, those of a sample."""
    owners = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    probes = _probes(owners)
    pairs = near_duplicates(Joined(parts), owners, probes=probes)
    leaks = pairs.where(owners[pairs.first] != owners[pairs.second])
    classes = [part.labels for part in parts if part.labels is not None]
    conflicts = None
    if len(classes) == len(parts):
        labels = np.concatenate(classes)
        one, other = labels[pairs.first], labels[pairs.second]
        conflicts = pairs.where(
            (pairs.similarity >= ALIKE) & (one != other) & (one >= 0) & (other >= 0)
        )
    return Overlap(parts, pairs, owners, probes, leaks, conflicts)


def _probes(owners: np.ndarray) -> np.ndarray:
    if len(owners) <= MOST_TEXTS:
        return np.ones(len(owners), bool)
    rng, probes = np.random.default_rng(0), np.zeros(len(owners), bool)
    for rows in (np.flatnonzero(owners == 0), np.flatnonzero(owners > 0)):
        probes[rng.choice(rows, min(PROBES, len(rows)), replace=False)] = True
    return probes


def drift(first: Part, others: Sequence[Part], labels: int) -> list[dict[str, Any]]:
    """Each other part against the first: labels, where both have them, and lengths.

    The p-values are corrected for all the tests of the list together (Holm 1979).
    """
    rows: list[dict[str, Any]] = []
    lengths = first.lengths()
    for other in others:
        found = []
        if first.labels is not None and other.labels is not None:
            one, two = (
                np.bincount(part.labels[part.labels >= 0], minlength=labels)
                for part in (first, other)
                if part.labels is not None
            )
            found.append(("labels", label_drift(one, two)))
        found.append(("lengths", length_drift(lengths, other.lengths())))
        rows += [
            {
                "of": kind,
                "split": other.name,
                "against": first.name,
                "n": len(other),
                "n_against": len(first),
                "effect": result.effect,
                "p": result.p,
                "test": result.test,
            }
            for kind, result in found
        ]
    corrected = holm([row["p"] for row in rows])
    return [{**row, "p_corrected": p} for row, p in zip(rows, corrected, strict=True)]
