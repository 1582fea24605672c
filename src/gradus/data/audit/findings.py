"""An audit in sentences, the most serious first. The numbers stand in the measurements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gradus.data.audit.adversarial import Distinction
from gradus.data.audit.compare import ALIKE, Overlap
from gradus.records import Measurement

ALPHA: Final = 0.05
_SERIOUS: Final = 0.01  # share of leaked texts from which a finding is bad, not merely to be noted
_FAR: Final = 0.7  # area under the ROC curve from which samples differ plainly
_ORDER: Final = ("bad", "warn", "good")

Finding = Mapping[str, str]


def findings_of(
    facts: Mapping[str, Any],
    measured: Sequence[Measurement],
    found: Overlap,
    drifts: Sequence[Mapping[str, Any]],
    told: Distinction,
    first: str,
    second: str,
) -> tuple[Finding, ...]:
    """All findings: each has ``tone`` (good, warn, bad), ``about`` and ``text``."""
    values = {m.metric: m for m in measured}
    made = [
        *_copies(facts.get("moved_out") or {}),
        *_duplicates(values["near_duplicate_rate"], found, second == "sample"),
        *_conflicts(values.get("near_conflict_rate"), found, facts),
        *_texts(values, facts.get("filtered") or {}),
        *_drifted(drifts),
        *_apart(told, first, second),
    ]
    return tuple(sorted(made, key=lambda finding: _ORDER.index(finding["tone"])))


def _finding(tone: str, about: str, text: str) -> Finding:
    return {"tone": tone, "about": about, "text": text}


def _copies(moved_out: Mapping[str, int]) -> list[Finding]:
    """Exact copies across given splits, which loading has put right."""
    return [
        _finding(
            "warn",
            "leak",
            f"{number:,} rows of {split} are exact copies of texts in another given split: "
            f"left out of {split}.",
        )
        for split, number in moved_out.items()
    ]


def _duplicates(rate: Measurement, found: Overlap, real: bool) -> list[Finding]:
    if rate.value is None:
        return []
    if not rate.value:
        where = (
            "of the sample is in train or dev" if real else "outside train is in an earlier split"
        )
        return [_finding("good", "leak", f"No near-duplicate of a text {where}.")]
    made = []
    for later, part in enumerate(found.parts):
        texts = found.leaked_at_all(later)
        if not texts or (real and part.name != "sample"):
            continue
        counts = found.leaked()[later]
        places = ", ".join(
            f"{counts[i]:,} in {found.parts[i].name}" for i in range(later) if counts[i]
        )
        n = int((found.probes & (found.owners == later)).sum())
        bad = not real and texts / n >= _SERIOUS
        made.append(
            _finding(
                "bad" if bad else "warn",
                "leak",
                f"{texts:,} of {n:,} texts of {part.name} ({texts / n:.1%}) have a near-duplicate "
                f"in an earlier split: {places}.",
            )
        )
    return made


def _conflicts(rate: Measurement | None, found: Overlap, facts: Mapping[str, Any]) -> list[Finding]:
    made = []
    exact = int(facts.get("conflicting_duplicates", 0))
    if exact:
        made.append(
            _finding(
                "bad",
                "conflict",
                f"{exact:,} exact duplicates had another label than the first of their text.",
            )
        )
    if rate is not None and rate.value:
        made.append(
            _finding(
                "warn",
                "conflict",
                f"{found.conflicting():,} of {rate.n:,} texts have a near-duplicate under another "
                f"label (similarity {ALIKE} or more).",
            )
        )
    elif rate is not None and rate.value == 0 and not exact:
        made.append(_finding("good", "conflict", "No text stands under two labels."))
    return made


def _texts(values: Mapping[str, Measurement], filtered: Mapping[str, int]) -> list[Finding]:
    made = []
    short = filtered.get("min_chars", 0) + filtered.get("min_words", 0)
    if short:
        text = (
            f"Rows without a text, or with a shorter one than the filter asks, left out: {short:,}."
        )
        made.append(_finding("warn", "empty", text))
    empty, cut = values["empty_rate"], values["cut_rate"]
    if empty.value:
        text = f"{round(empty.value * empty.n):,} of {empty.n:,} texts hold no letter and no digit."
        made.append(_finding("warn", "empty", text))
    if cut.value:
        text = (
            f"{round(cut.value * cut.n):,} of {cut.n:,} texts have exactly the same, greatest "
            "length: they look cut off."
        )
        made.append(_finding("warn", "cut", text))
    return made


def _drifted(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    made = []
    for row in rows:
        if row["p_corrected"] < ALPHA:
            made.append(
                _finding(
                    "warn",
                    "drift",
                    f"The {row['of']} of {row['split']} differ from those of {row['against']} "
                    f"(distance {row['effect']:.3f}, corrected p = {row['p_corrected']:.2g}, "
                    f"{row['test']}).",
                )
            )
    if not made and any(row["p"] == row["p"] for row in rows):
        kinds = " and ".join(dict.fromkeys(str(row["of"]) for row in rows if row["p"] == row["p"]))
        made.append(_finding("good", "drift", f"No drift of {kinds} was found."))
    return made


def _apart(told: Distinction, first: str, second: str) -> list[Finding]:
    if told.auroc is None or told.low is None or told.high is None:
        return []
    area = f"area under the ROC curve {told.auroc:.3f} [{told.low:.3f}, {told.high:.3f}]"
    if told.low <= 0.5:
        text = f"A classifier can't tell {second} from {first}: {area}; 0.5 is guessing."
        return [_finding("good", "apart", text)]
    words = "; ".join(
        f"{name}: {', '.join(terms)}"
        for name, terms in ((first, told.terms_first), (second, told.terms_second))
        if terms
    )
    text = f"A classifier tells {second} from {first}: {area}. Words that speak for {words}."
    return [_finding("bad" if told.auroc >= _FAR else "warn", "apart", text)]
