"""What is said about a data set: facts for the report, measurements for gates."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, Final

from gradus.data.config import DataConfig, by_split
from gradus.data.dataset import Dataset, Split
from gradus.data.pool import Pool
from gradus.records import Measurement

_MOST_STRAYS: Final = 20
_LEVEL: Final = 0.95

MEASUREMENTS: Final = ("rows", "duplicate_rate", "conflict_rate", "smallest_class_share")
"""The names that a gate under ``data.NAME.gates`` may use."""


def describe(
    config: DataConfig,
    pools: Mapping[str, Pool],
    splits: Mapping[str, Split],
    labels: tuple[str, ...],
    *,
    seed: int,
    stored: bool,
) -> dict[str, Any]:
    """The facts of a data set, JSON only.

    ``rows`` counts rows as read and ``kept`` the texts in the splits; ``moved_out`` the texts left
    out of a given split because they stand in test or dev; ``strays`` the files, relative to
    their source, that weren't in the first encoding.
    """
    strays = [
        os.path.relpath(file, pool.located.path)
        for pool in pools.values()
        for file in pool.tally.strays
    ]
    facts: dict[str, Any] = {
        "rows": sum(pool.rows for pool in pools.values()),
        "kept": sum(len(split) for split in _distinct(splits)),
        "splits": {name: len(split) for name, split in splits.items()},
        "labels": {name: count_labels(split, labels) for name, split in splits.items()},
        "duplicates_dropped": sum(pool.duplicates for pool in pools.values()),
        "conflicting_duplicates": sum(pool.conflicts for pool in pools.values()),
        "moved_out": {name: pool.elsewhere for name, pool in pools.items() if pool.elsewhere},
        "files": sum(pool.tally.files for pool in pools.values()),
        "paths": {name: str(pool.located.path) for name, pool in pools.items()},
        "origins": {name: dict(pool.located.origin) for name, pool in pools.items()},
        "formats": {name: pool.format for name, pool in pools.items()},
        "encodings": dict(sum((pool.tally.encodings for pool in pools.values()), Counter())),
        "strays": strays[:_MOST_STRAYS],
        "split": {
            "how": "stratified" if config.split.stratify else "content hash",
            "given": [name for name in by_split(config.source) if name],
            "shares": config.shares(),
            "seed": seed,
            "stored": config.split.stratify and stored,
        },
        "limit": config.limit,
        "optimistic": config.dev == "joined",
    }
    facts["notes"] = _notes(facts, sum(pool.distinct - pool.elsewhere for pool in pools.values()))
    return facts


def _notes(facts: Mapping[str, Any], available: int) -> list[str]:
    """What a reader of the report has to know, in sentences."""
    notes = []
    if facts["optimistic"]:
        notes.append(
            "dev.select and dev.gate are the same texts: the verdicts are optimistic, since data "
            "that chose the model also judges it."
        )
    if facts["kept"] < available:
        notes.append(
            f"Limited to {facts['kept']:,} of {available:,} distinct texts, chosen by content hash."
        )
    if facts["duplicates_dropped"]:
        notes.append(f"{facts['duplicates_dropped']:,} exact duplicates were dropped.")
    if facts["conflicting_duplicates"]:
        notes.append(
            f"{facts['conflicting_duplicates']:,} of the duplicates had another label than the "
            "first of their text, whose label was kept."
        )
    for split, number in facts["moved_out"].items():
        notes.append(f"{number:,} texts of {split} also stand in another given split: left out.")
    if facts["strays"]:
        tried = facts["encodings"]
        others = sum(tried.values()) - max(tried.values())
        names = ", ".join(facts["strays"][:3]) + (", ..." if len(facts["strays"]) > 3 else "")
        notes.append(
            f"{others:,} of {facts['files']:,} files are in another encoding than the rest "
            f"({', '.join(sorted(tried))}): {names}."
        )
    return notes


def count_labels(split: Split, labels: tuple[str, ...]) -> dict[str, int]:
    """Label -> number of its texts in a split, in label order."""
    counts = Counter(split.labels.tolist())
    return {label: counts[i] for i, label in enumerate(labels)}


def _distinct(splits: Mapping[str, Split]) -> list[Split]:
    """The splits, joined halves of dev once."""
    return list({id(split): split for split in splits.values()}.values())


def measurements(dataset: Dataset) -> list[Measurement]:
    """What gates under ``data.NAME.gates`` are about.

    ======================  ==========  ==================================================
    name                    unit        what
    ======================  ==========  ==================================================
    rows                    texts       distinct texts in all splits
    duplicate_rate          proportion  of the rows read, those that repeat an earlier text
    conflict_rate           proportion  of the rows read, those that repeat a text under
                                        another label
    smallest_class_share    proportion  of the distinct texts, those of the rarest label
    ======================  ==========  ==================================================

    Proportions have a Wilson interval at 95 %. Each source is looked at by itself: a text that
    two given splits share is not a duplicate but is left out of the lesser split.
    """
    facts = dataset.facts
    totals: Counter[str] = Counter()
    for split in _distinct(dataset.splits):
        totals.update(count_labels(split, dataset.labels))
    kept = sum(totals.values())
    smallest = min(totals[label] for label in dataset.labels)
    rows = facts["rows"]
    return [
        Measurement(
            metric="rows",
            value=float(kept),
            unit="texts",
            direction="higher",
            n=kept,
            data=dataset.name,
            split="all",
        ),
        _rate(dataset.name, "duplicate_rate", facts["duplicates_dropped"], rows, "lower"),
        _rate(dataset.name, "conflict_rate", facts["conflicting_duplicates"], rows, "lower"),
        _rate(dataset.name, "smallest_class_share", smallest, kept, "higher"),
    ]


def _rate(data: str, metric: str, count: int, n: int, direction: str) -> Measurement:
    low, high = wilson(count, n)
    return Measurement(
        metric=metric,
        value=count / n,
        unit="proportion",
        direction=direction,
        n=n,
        ci_low=low,
        ci_high=high,
        ci_method="wilson",
        level=_LEVEL,
        data=data,
        split="all",
    )


def wilson(count: int, n: int, level: float = _LEVEL) -> tuple[float, float]:
    """The score interval of a proportion, `count` of `n` (Wilson 1927).

    In closed form with the standard library, so that loading data needs no statistics package.
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = count / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At 0 and n the bound is exactly the end of the range; rounding must not move it.
    low = 0.0 if count == 0 else (centre - half) / scale
    high = 1.0 if count == n else (centre + half) / scale
    return low, high
