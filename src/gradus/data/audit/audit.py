"""The audit of a data set, and its comparison with a sample of real use.

Test is looked at for leaks and drift, by comparing texts; nothing predicts on it and no step learns
what was found, so an audit is no reading of test. The classifier tells train from dev alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradus.data.audit.adversarial import FEWEST, Distinction, distinguish
from gradus.data.audit.compare import MOST_TEXTS, Overlap, drift, overlap
from gradus.data.audit.findings import findings_of
from gradus.data.audit.report import Audit
from gradus.data.audit.samples import Joined, Part, count_cut, count_empty, parts_of
from gradus.records import Measurement

if TYPE_CHECKING:
    from gradus.data.dataset import Dataset

PAIRS: Final = 20
_LEVEL: Final = 0.95


def audit(dataset: Dataset, *, pairs: int = PAIRS) -> Audit:
    """Look for near-duplicates, conflicts, broken texts and drift in a data set's splits.

    ======================  ==========  ======================================================
    name                    unit        what
    ======================  ==========  ======================================================
    near_duplicate_rate     proportion  of the texts outside train, those with a near-duplicate
                                        in a split that is used before theirs
    near_conflict_rate      proportion  of all texts, those with a near-duplicate (similarity
                                        0.8 or more) under another label
    empty_rate              proportion  of all texts, those without a letter or digit
    cut_rate                proportion  of all texts, those exactly as long as the longest, if
                                        there are five or more
    label_drift             proportion  greatest total variation distance between the label
                                        shares of train and of another split
    label_drift_p           p-value     least of the tests on labels, corrected for all tests
    length_drift            proportion  greatest distance between the distributions of length
    length_drift_p          p-value     least of the tests on lengths, corrected for all tests
    adversarial_auroc       proportion  how well a classifier tells dev from train: 0.5 not
    ======================  ==========  ======================================================

    The same data give the same audit to the digit. `pairs` is how many pairs are kept in full.
    """
    begun = time.perf_counter()
    parts = parts_of(dataset)
    found = overlap(parts)
    drifts = drift(parts[0], parts[1:], len(dataset.labels))
    dev = [part for part in parts if part.name.startswith("dev")]
    told = distinguish(parts[0].texts, Joined(dev))
    measured = [
        *_of_texts(dataset.name, parts, found),
        *_of_drift(dataset.name, drifts, "all"),
        _of_classifier(dataset.name, told, "dev"),
    ]
    outside = np.array([len(part) for part in parts])[1:].sum()
    return Audit(
        data=dataset.name,
        measurements=tuple(measured),
        findings=findings_of(dataset.facts, measured, found, drifts, told, "train", "dev"),
        leaks=tuple(_leaks(found)),
        drift=tuple(drifts),
        told_apart=_told(told, "train", "dev"),
        pairs=tuple(found.described(found.leaks, pairs, dataset.labels)),
        conflicts=()
        if found.conflicts is None
        else tuple(found.described(found.conflicts, pairs, dataset.labels)),
        counts={
            "pairs": len(found.leaks),
            "conflicts": 0 if found.conflicts is None else len(found.conflicts),
            "within": len(found.pairs) - len(found.leaks),
            "outside_train": int(outside),
        },
        notes=tuple(_notes(parts, found, told)),
        seconds=time.perf_counter() - begun,
    )


def audit_against(
    dataset: Dataset,
    sample: Sequence[Any],
    *,
    name: str = "sample",
    labels: Sequence[str] | None = None,
    pairs: int = PAIRS,
) -> Audit:
    """Whether dev, both halves of it, stands for a sample of real use.

    Args:
        dataset: the data set.
        sample: texts as they come in where the model is used.
        name: what the sample is called.
        labels: their labels, where they are known; those that the data set doesn't have are left
            out of the comparison and said in the notes.
        pairs: how many pairs are kept in full.

    Measures what `audit` does, of the sample beside dev: `near_duplicate_rate` is then the share
    of the sample that train or dev hold too, `label_drift` stays undefined without labels.
    """
    begun = time.perf_counter()
    known = {label: i for i, label in enumerate(dataset.labels)}
    coded = None if labels is None else np.array([known.get(x, -1) for x in labels], np.int64)
    parts = [part for part in parts_of(dataset) if part.name != "test"]
    real = Part("sample", sample, coded)
    dev = [part for part in parts if part.name.startswith("dev")]
    joined = Part(
        "dev",
        Joined(dev),
        None
        if any(part.labels is None for part in dev)
        else np.concatenate([part.labels for part in dev if part.labels is not None]),
    )
    found = overlap([*parts, real])
    drifts = drift(joined, [real], len(dataset.labels))
    told = distinguish(joined.texts, sample)
    measured = [
        *_of_texts(dataset.name, [*parts, real], found, only="sample"),
        *_of_drift(dataset.name, drifts, "sample"),
        _of_classifier(dataset.name, told, "sample"),
    ]
    strange = sorted(set(labels or ()) - known.keys())
    return Audit(
        data=dataset.name,
        against=name,
        measurements=tuple(measured),
        findings=findings_of({}, measured, found, drifts, told, "dev", "sample"),
        leaks=tuple(row for row in _leaks(found) if row["split"] == "sample"),
        drift=tuple(drifts),
        told_apart=_told(told, "dev", "sample"),
        pairs=tuple(found.described(_with(found, len(parts)), pairs, dataset.labels)),
        counts={"pairs": len(_with(found, len(parts)))},
        notes=(
            *_notes([*parts, real], found, told),
            *(f"'{dataset.name}' has no label '{label}'." for label in strange),
        ),
        seconds=time.perf_counter() - begun,
    )


def _with(found: Overlap, part: int) -> Any:
    """The leaks that touch a part."""
    ends = found.owners[found.leaks.first], found.owners[found.leaks.second]
    return found.leaks.where((ends[0] == part) | (ends[1] == part))


def _leaks(found: Overlap) -> list[dict[str, Any]]:
    counts = found.leaked()
    return [
        {
            "split": later.name,
            "in": earlier.name,
            "texts": int(counts[i, j]),
            "n": int(np.count_nonzero(found.probes & (found.owners == i))),
        }
        for i, later in enumerate(found.parts)
        for j, earlier in enumerate(found.parts[:i])
    ]


def _of_texts(
    data: str, parts: Sequence[Part], found: Overlap, only: str | None = None
) -> list[Measurement]:
    """The rates of near-duplicates, conflicts, empty and cut texts."""
    chosen = [i for i, part in enumerate(parts) if i > 0 and only in (None, part.name)]
    looked = [np.count_nonzero(found.probes & (found.owners == i)) for i in chosen]
    leaked = sum(found.leaked_at_all(i) for i in chosen)
    split = only or "all"
    own = [part for part in parts if only in (None, part.name)]
    lengths = np.concatenate([part.lengths() for part in own])
    rates: list[tuple[str, int | None, int]] = [
        ("near_duplicate_rate", leaked, int(sum(looked))),
        ("empty_rate", count_empty(own), len(lengths)),
        ("cut_rate", count_cut(lengths), len(lengths)),
    ]
    if only is None:
        conflicts = None if found.conflicts is None else found.conflicting()
        rates.insert(1, ("near_conflict_rate", conflicts, int(found.probes.sum())))
    return [_rate(data, name, count, n, split) for name, count, n in rates]


def _rate(data: str, metric: str, count: int | None, n: int, split: str) -> Measurement:
    from gradus.stats.intervals import wilson

    common: dict[str, Any] = {"unit": "proportion", "direction": "lower", "data": data}
    if count is None or n == 0:
        return Measurement(metric=metric, value=None, n=n, split=split, **common)
    low, high = wilson(count, n, _LEVEL)
    return Measurement(
        metric=metric,
        value=count / n,
        n=n,
        ci_low=low,
        ci_high=high,
        ci_method="wilson",
        level=_LEVEL,
        split=split,
        **common,
    )


def _of_drift(data: str, rows: Sequence[Mapping[str, Any]], split: str) -> list[Measurement]:
    """The greatest effect and the least corrected p-value, of labels and of lengths."""
    made = []
    for kind, name in (("labels", "label_drift"), ("lengths", "length_drift")):
        own = [row for row in rows if row["of"] == kind and not math.isnan(row["p"])]
        n = sum(row["n"] for row in own)
        made += [
            Measurement(
                metric=name,
                value=max((row["effect"] for row in own), default=None),
                unit="proportion",
                direction="lower",
                n=n,
                data=data,
                split=split,
            ),
            Measurement(
                metric=f"{name}_p",
                value=min((row["p_corrected"] for row in own), default=None),
                unit="p-value",
                direction="higher",
                n=n,
                data=data,
                split=split,
            ),
        ]
    return made


def _of_classifier(data: str, told: Distinction, split: str) -> Measurement:
    return Measurement(
        metric="adversarial_auroc",
        value=told.auroc,
        unit="proportion",
        direction="lower",
        n=told.n,
        ci_low=told.low,
        ci_high=told.high,
        ci_method="none" if told.auroc is None else "cross-validated DeLong",
        level=_LEVEL,
        data=data,
        split=split,
    )


def _told(told: Distinction, first: str, second: str) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "auroc": told.auroc,
        "ci_low": told.low,
        "ci_high": told.high,
        "n": told.n,
        "terms": {first: list(told.terms_first), second: list(told.terms_second)},
    }


def _notes(parts: Sequence[Part], found: Overlap, told: Distinction) -> list[str]:
    """What was left out, in sentences."""
    notes = []
    total, looked = len(found.owners), int(found.probes.sum())
    if looked < total:
        notes.append(
            f"There are more than {MOST_TEXTS:,} texts: near-duplicates of {looked:,} of them, "
            f"drawn from train and from the rest, were looked for among all {total:,}."
        )
    if not found.pairs.complete:
        notes.append(
            "So many texts are alike that not every pair was looked at: the rates of "
            "near-duplicates are lower bounds."
        )
    if any(part.labels is None for part in parts):
        notes.append("Not every part has classes for labels: some checks of labels are left out.")
    if told.auroc is None:
        notes.append(f"Too few texts to tell samples apart: it takes {FEWEST} on either side.")
    elif told.sampled:
        notes.append(
            f"The classifier that tells samples apart saw {told.n:,} texts, drawn at random."
        )
    return notes
