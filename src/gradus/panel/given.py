"""What is there of a panel's answers: whose count, whose don't, and why.

Standard library only, so that a plan can be checked without more.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradus.panel.records import Rating, attentive, read_ratings
from gradus.panel.setting import Panel
from gradus.panel.store import Progress, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is there of a panel's answers.

    Attributes:
        ratings: of the raters who count, attention checks among them.
        raters: who has finished and answered with care.
        careless: who has finished and failed too many attention checks.
        careless_ratings: theirs.
        unfinished: who has begun.
        checks: share of attention checks passed, by rater who has finished and had any.
    """

    ratings: tuple[Rating, ...] = ()
    raters: tuple[str, ...] = ()
    careless: tuple[str, ...] = ()
    careless_ratings: tuple[Rating, ...] = ()
    unfinished: tuple[str, ...] = ()
    checks: dict[str, float]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the ratings that count."""
        from gradus.checkpoints.hashing import hash_json

        return hash_json([rating.to_json() for rating in self.ratings])

    def facts(self) -> dict[str, Any]:
        """Who took part, for the report."""
        return {
            "counted": list(self.raters),
            "careless": list(self.careless),
            "unfinished": list(self.unfinished),
            "checks_passed": dict(self.checks),
            "ratings": sum(not rating.check for rating in self.ratings),
        }

    def notes(self) -> tuple[str, ...]:
        """Whose answers aren't there yet; the estimates say themselves whom they leave out."""
        if not self.unfinished:
            return ()
        return (f"left out, not having finished: {', '.join(self.unfinished)}",)


def collect(panel: Panel) -> Given:
    """The answers that are there: of the page, and those brought from elsewhere.

    Whoever comes from elsewhere counts as finished.

    Raises:
        StorageError: the store isn't a panel's.
        DataError: an imported file is broken; names file, line and field.
    """
    rows, progress = _of_page(panel)
    elsewhere = brought(panel)
    finished = [each.rater for each in progress if each.finished]
    finished += [one for one in _raters(elsewhere) if one not in finished]
    own: dict[str, list[Rating]] = {rater: [] for rater in finished}
    for row in (*rows, *elsewhere):
        if row.rater in own:
            own[row.rater].append(row)
    careless = tuple(rater for rater in finished if not attentive(own[rater]))
    raters = tuple(rater for rater in finished if rater not in careless)
    checks = {rater: [row.passed for row in own[rater] if row.check] for rater in finished}
    return Given(
        ratings=tuple(row for rater in raters for row in own[rater]),
        raters=raters,
        careless=careless,
        careless_ratings=tuple(row for rater in careless for row in own[rater]),
        unfinished=tuple(each.rater for each in progress if each.answered and not each.finished),
        checks={rater: sum(passed) / len(passed) for rater, passed in checks.items() if passed},
    )


def said(panel: Panel, *, but: Path | None = None) -> list[Rating]:
    """Everything that was said so far, on the page and elsewhere, save in one file."""
    return [*_of_page(panel)[0], *brought(panel, but=but)]


def brought(panel: Panel, *, but: Path | None = None) -> list[Rating]:
    """What was brought from elsewhere, save in one file."""
    files = (file for file in sorted(panel.imported.glob("*.jsonl")) if file != but)
    return [row for file in files for row in read_ratings(file)]


def _of_page(panel: Panel) -> tuple[list[Rating], list[Progress]]:
    if not panel.store.is_file():
        return [], []
    store = Store.open(panel.store)
    try:
        return store.rows(), store.progress()
    finally:
        store.close()


def _raters(rows: list[Rating]) -> list[str]:
    return list(dict.fromkeys(row.rater for row in rows))
