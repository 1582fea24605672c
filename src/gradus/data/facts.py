"""What is said about a data set: facts for the report, measurements for gates."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from gradus.data.config import DataConfig
from gradus.data.dataset import Dataset, Split
from gradus.data.given import by_split
from gradus.records import Measurement

if TYPE_CHECKING:
    from gradus.data.pool import Pool

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

    ``rows`` counts rows as read and ``kept`` the texts in the splits; ``splits`` has rows and label
    counts of each; ``path``, ``origin`` and ``format`` are by given split, or under ``all``;
    ``moved_out`` counts the texts left out of a given split because they stand in test or dev;
    ``strays`` are the files, relative to their source, that weren't in the first encoding;
    ``filtered`` counts by the filter's key, ``unsampled`` what the sample left out; ``reading`` is
    what the format says of its files. Numbers have their mean and range instead of label counts.
    """
    given = [name for name in by_split(config.source) if name]
    named = pools if given else {"all": pools["train"]}
    facts: dict[str, Any] = {
        "rows": _sum(pools, "rows"),
        "kept": sum(len(split) for split in _distinct(splits)),
        "splits": {
            name: {"rows": len(split), "labels": count_labels(split, labels), **_range(split)}
            for name, split in splits.items()
        },
        "target": config.target,
        "rows_read": sum(pool.tally.rows for pool in pools.values()),
        "filtered": dict(sum((pool.tally.filtered for pool in pools.values()), Counter())),
        "spans_trimmed": sum(pool.tally.trimmed for pool in pools.values()),
        "unsampled": sum(pool.unsampled for pool in pools.values()),
        "reading": {name: pool.tally.facts for name, pool in named.items() if pool.tally.facts},
        "duplicates": config.duplicates,
        "duplicates_dropped": 0 if config.duplicates == "keep" else _sum(pools, "duplicates"),
        "duplicates_found": _sum(pools, "duplicates"),
        "conflicting_duplicates": _sum(pools, "conflicts"),
        "moved_out": {name: pool.elsewhere for name, pool in pools.items() if pool.elsewhere},
        "files": sum(pool.tally.files for pool in pools.values()),
        "path": {name: str(pool.located.path) for name, pool in named.items()},
        "origin": {name: dict(pool.located.origin) for name, pool in named.items()},
        "format": {name: pool.format for name, pool in named.items()},
        "encodings": dict(sum((pool.tally.encodings for pool in pools.values()), Counter())),
        "strays": _strays(pools)[:_MOST_STRAYS],
        "split": {
            "how": _how(config),
            "given": given,
            "shares": config.shares(),
            "seed": seed,
            "stored": config.split.stratify and stored,
        },
        "limit": config.limit,
        "optimistic": config.dev == "joined",
    }
    facts["notes"] = _notes(facts, sum(_available(pool, config) for pool in pools.values()))
    return facts


def _strays(pools: Mapping[str, Pool]) -> list[str]:
    """Files, relative to their source, that weren't in the first encoding."""
    return [
        os.path.relpath(file, pool.located.path)
        for pool in pools.values()
        for file in pool.tally.strays
    ]


def _sum(pools: Mapping[str, Pool], what: str) -> int:
    return sum(getattr(pool, what) for pool in pools.values())


def _available(pool: Pool, config: DataConfig) -> int:
    """The texts that a limit chose from."""
    texts = pool.rows if config.duplicates == "keep" else pool.distinct
    return texts - pool.unsampled - pool.elsewhere


def _how(config: DataConfig) -> str:
    if config.split.stratify:
        return "stratified"
    return "content hash" if config.columns.group is None else "hash of the group"


def _range(split: Split) -> dict[str, Any]:
    """Mean and range of a split's numbers; nothing for other targets."""
    if split.labels.dtype.kind != "f":
        return {}
    numbers = split.labels
    return {
        "numbers": {
            "mean": float(numbers.mean()),
            "min": float(numbers.min()),
            "max": float(numbers.max()),
        }
    }


def _notes(facts: Mapping[str, Any], available: int) -> list[str]:
    """What a reader of the report has to know, in sentences."""
    notes = []
    if facts["optimistic"]:
        notes.append(
            "dev.select and dev.gate are the same texts: the verdicts are optimistic, since data "
            "that chose the model also judges it."
        )
    notes += _tagging(facts["reading"])
    if facts["spans_trimmed"]:
        notes.append(
            f"{facts['spans_trimmed']:,} spans began or ended with white space, which was taken "
            "off."
        )
    if facts["filtered"]:
        counts = ", ".join(f"{key} {n:,}" for key, n in sorted(facts["filtered"].items()))
        notes.append(f"The filter took out, of {facts['rows_read']:,} rows: {counts}.")
    if facts["unsampled"]:
        notes.append(f"The sample, by content hash, left out {facts['unsampled']:,} texts.")
    if facts["kept"] < available:
        notes.append(
            f"Limited to {facts['kept']:,} of {available:,} distinct texts, chosen by content hash."
        )
    if facts["duplicates_dropped"]:
        notes.append(f"{facts['duplicates_dropped']:,} exact duplicates were dropped.")
        if facts["split"]["given"]:
            notes.append("Published figures on given splits count them: 'duplicates: keep' does.")
    elif facts["duplicates_found"]:
        notes.append(
            f"{facts['duplicates_found']:,} exact duplicates were kept within their splits; items "
            "that repeat aren't independent, so intervals are a little too narrow."
        )
    if facts["conflicting_duplicates"] and facts["duplicates_dropped"]:
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


def _tagging(reading: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which schemes tags were in, and how many broke their rules."""
    found: dict[tuple[str, str], list[int]] = {}
    for files in reading.values():
        for said in files.values():
            key = (said["scheme"].upper(), said["scheme_is"])
            found.setdefault(key, []).append(said["tags_against_the_scheme"])
    notes = []
    for (scheme, how), odd in sorted(found.items()):
        count = "1 file" if len(odd) == 1 else f"{len(odd)} files"
        broken = f", {sum(odd):,} of them against its rules" if sum(odd) else ""
        notes.append(f"Tags are in {scheme} ({how}) in {count}{broken}; read as conlleval does.")
    return notes


def count_labels(split: Split, labels: tuple[str, ...]) -> dict[str, int]:
    """Label -> number of its texts, or of its spans, in a split, in label order."""
    kind = split.labels.dtype.kind
    if kind == "O" and not labels:
        return {}
    if kind == "b":
        return dict(zip(labels, split.labels.sum(axis=0).tolist(), strict=True))
    if kind == "O":
        counted = Counter(span.label for spans in split.labels for span in spans)
        return {label: counted[label] for label in labels}
    counts = Counter(split.labels.tolist()) if labels else Counter()
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
    smallest_class_share    proportion  of the distinct texts, those of the rarest label; for
                                        spans, of the spans; there is none for numbers
    ======================  ==========  ==================================================

    Proportions have a Wilson interval at 95 %. Each source is looked at by itself: a text that
    two given splits share is not a duplicate but is left out of the lesser split.
    """
    facts = dataset.facts
    totals: Counter[str] = Counter()
    for split in _distinct(dataset.splits):
        totals.update(count_labels(split, dataset.labels))
    kept, rows = facts["kept"], facts["rows"]
    found = [
        Measurement(
            metric="rows",
            value=float(kept),
            unit="texts",
            direction="higher",
            n=kept,
            data=dataset.name,
            split="all",
        ),
        _rate(dataset.name, "duplicate_rate", facts["duplicates_found"], rows, "lower"),
        _rate(dataset.name, "conflict_rate", facts["conflicting_duplicates"], rows, "lower"),
    ]
    if dataset.labels:
        smallest = min(totals[label] for label in dataset.labels)
        of = sum(totals.values()) if dataset.target == "spans" else kept
        found.append(_rate(dataset.name, "smallest_class_share", smallest, of, "higher"))
    return found


def _rate(data: str, metric: str, count: int, n: int, direction: str) -> Measurement:
    from gradus.stats.intervals import wilson

    low, high = wilson(count, n, _LEVEL)
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
