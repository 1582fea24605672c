"""What a panel found: from rows of ratings to estimates, facts for the report, and columns.

Of Likert scores: quality of each writer by criterion (`gradus.stats.raters`), Krippendorff's alpha
(`gradus.stats.agreement`), each rater's leniency. Of pairs: strengths and shares of wins
(`gradus.stats.strengths`), and alpha of which writer was preferred. Attention checks are read for
the rater's care alone.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradus.errors import DataError
from gradus.panel.records import HIGHEST, LOWEST, PREFERENCE, SPAN, Mode, Rating, attentive
from gradus.stats.agreement import Agreement, agreement
from gradus.stats.raters import Estimate, Quality, Scores
from gradus.stats.strengths import Answers, Strengths, outcomes, win_share, win_shares

if TYPE_CHECKING:
    from gradus.writing.records import Samples, Writing

WINS: Final = "wins"


@dataclass(frozen=True, slots=True)
class Results:
    """What a panel found.

    Attributes:
        facts: JSON; numbers that aren't defined or not bounded are None.
        notes: what a reader of the numbers must know.
        columns: by column, a number or None for each writing's id. ``panel_fluency`` is the mean
            score with the raters' leniencies taken out, ``panel_wins`` the share of comparisons
            won, ties half.
    """

    facts: dict[str, Any]
    notes: tuple[str, ...]
    columns: dict[str, dict[str, float | None]]
    _samples: Samples = field(repr=False)

    def arrays(self, writer: str) -> dict[str, np.ndarray]:
        """The columns of one writer: float64 [N] in the order of its writings, NaN for none."""
        writings = self._samples.of(writer)
        return {
            name: np.array(
                [math.nan if (v := values.get(w.id)) is None else v for w in writings], np.float64
            )
            for name, values in self.columns.items()
        }


def estimate(
    rows: Sequence[Rating],
    samples: Samples,
    *,
    mode: Mode,
    criteria: Sequence[str],
    level: float = 0.95,
    seed: int = 0,
    prefix: str = "panel",
) -> Results:
    """What the ratings say of the writers.

    Args:
        rows: the ratings, attention checks among them.
        samples: the writings that were rated.
        mode: ``likert`` or ``pairs``.
        criteria: what was asked for, in this order; for pairs, others than these and the
            preference as a whole aren't looked at either.
        level: of the two-sided intervals.
        seed: of resampling.
        prefix: of the columns' names: ``panel_fluency``.

    Raises:
        DataError: a rating is of a writing that isn't among the samples, of the wrong mode, or
            there is none.
    """
    kept, raters, notes = _careful(rows)
    asked = _asked(kept, mode, criteria)
    known = _Known({w.id: w for w in samples.writings}, samples.writers)
    known.check(kept, mode)
    kept = [row for row in kept if row.criterion in asked]
    if not kept:
        raise DataError("there are no ratings to take an estimate from")
    work: Callable[..., _Found] = _likert if mode == "likert" else _pairs
    columns: dict[str, dict[str, float | None]] = {}
    found: dict[str, Any] = {}
    for criterion in asked:
        of = [row for row in kept if row.criterion == criterion]
        if not of:
            notes.append(f"nobody answered about {criterion}")
            continue
        told = work(of, known, level=level, seed=seed)
        found[criterion] = told.facts
        notes += [f"{criterion}: {note}" for note in told.notes]
        columns[criterion] = _whole(told.column, samples)
    if mode == "pairs":
        columns = {WINS: _wins(columns)}
    if len({row.rater for row in kept}) == 1:
        notes.append("there was one rater: intervals are of what this one would say")
    facts = {
        "mode": mode,
        "level": level,
        "criteria": found,
        "raters": raters,
        "ratings": len(kept),
        "writings": len({w for row in kept for w in _writings_of(row)}),
    }
    named = {f"{prefix}_{name}": column for name, column in columns.items()}
    return Results(facts, tuple(notes), named, samples)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one criterion gave."""

    facts: dict[str, Any]
    column: dict[str, float | None]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class _Known:
    """The writings by id, and the writers in the plan's order."""

    writings: Mapping[str, Writing]
    writers: tuple[str, ...]

    def check(self, rows: Sequence[Rating], mode: Mode) -> None:
        for row in rows:
            if (row.pair is None) != (mode == "likert"):
                kind = "one writing" if row.pair is None else "a pair"
                raise DataError(f"a rating by {row.rater} is of {kind}, but the mode is {mode}")
            for writing in _writings_of(row):
                if writing not in self.writings:
                    raise DataError(
                        f"a rating by {row.rater} is of the writing {writing}, which isn't among "
                        "the samples: it belongs to another panel"
                    )

    def writer(self, writing: str) -> int:
        return self.writers.index(self.writings[writing].writer)

    def prompt(self, writing: str) -> str:
        return self.writings[writing].prompt_id


def _writings_of(row: Rating) -> tuple[str, ...]:
    return row.pair if row.pair is not None else (str(row.writing),)


def _asked(rows: Sequence[Rating], mode: Mode, criteria: Sequence[str]) -> list[str]:
    """Criteria in order; pairs may also be asked about as a whole."""
    given = {row.criterion for row in rows}
    whole = [PREFERENCE] if mode == "pairs" and PREFERENCE in given else []
    if mode == "pairs":
        return whole + [name for name in criteria if name in given and name != PREFERENCE]
    return list(criteria)


def _careful(rows: Sequence[Rating]) -> tuple[list[Rating], dict[str, Any], list[str]]:
    """Ratings of raters who looked, facts about all raters, and notes on who is left out."""
    by_rater: dict[str, list[Rating]] = defaultdict(list)
    for row in rows:
        by_rater[row.rater].append(row)
    facts, notes, kept = {}, [], []
    for rater, own in sorted(by_rater.items()):
        checks = [row for row in own if row.check]
        passed = sum(row.passed for row in checks)
        left_out = not attentive(own)
        usual = [row for row in own if not row.check]
        times = [row.seconds for row in usual if row.seconds > 0]
        facts[rater] = {
            "ratings": len(usual),
            "checks": len(checks),
            "passed": passed,
            "left_out": left_out,
            "median_seconds": statistics.median(times) if times else None,
        }
        if left_out:
            notes.append(
                f"{rater} answered {passed} of {len(checks)} questions of attention checks "
                "as asked: left out"
            )
        else:
            kept += usual
    return kept, facts, notes


def _likert(rows: Sequence[Rating], known: _Known, *, level: float, seed: int) -> _Found:
    raters = sorted({row.rater for row in rows})
    texts = list(dict.fromkeys(str(row.writing) for row in rows))
    prompts = list(dict.fromkeys(known.prompt(text) for text in texts))
    place, of_prompt = _places(texts), _places(prompts)
    of_rater = _places(raters)
    scores = Scores(
        values=np.array([row.value for row in rows], np.float64),
        writers=np.array([known.writer(str(row.writing)) for row in rows]),
        raters=np.array([of_rater[row.rater] for row in rows]),
        prompts=np.array([of_prompt[known.prompt(str(row.writing))] for row in rows]),
        texts=np.array([place[str(row.writing)] for row in rows]),
    )
    quality = Quality(scores, len(known.writers), len(raters), level=level)
    table = _matrix(scores, len(raters), len(texts))
    groups = np.array([of_prompt[known.prompt(text)] for text in texts])
    agreed = agreement(table, "ordinal", confidence=level, groups=groups, seed=seed)
    notes = []
    if not quality.linked:
        notes.append("writers had raters of their own, so quality and leniency can't be told apart")
    if agreed.why:
        notes.append(f"alpha isn't defined: {agreed.why}")
    return _Found(
        {
            "alpha": _alpha(agreed, "ordinal"),
            "writers": _writers(
                scores.writers, known.writers, lambda i: quality.of(i).within(LOWEST, HIGHEST)
            ),
            "differences": _differences(
                scores.writers,
                known.writers,
                lambda i, j: quality.difference(i, j).within(-SPAN, SPAN),
            ),
            "raters": {name: _rater(quality, i) for name, i in of_rater.items()},
        },
        _means(texts, scores.texts, quality.adjusted()),
        notes,
    )


def _pairs(rows: Sequence[Rating], known: _Known, *, level: float, seed: int) -> _Found:
    raters = _places(sorted({row.rater for row in rows}))
    shown = [row.pair for row in rows if row.pair is not None]
    prompts = _places(list(dict.fromkeys(known.prompt(one) for one, _ in shown)))
    first = np.array([known.writer(one) for one, _ in shown])
    second = np.array([known.writer(two) for _, two in shown])
    met = sorted({*first.tolist(), *second.tolist()})
    number = np.searchsorted(met, np.stack([first, second]))
    values = np.array([row.value for row in rows], np.float64)
    answers = Answers(
        first=number[0],
        second=number[1],
        outcomes=outcomes(values),
        raters=np.array([raters[row.rater] for row in rows]),
        prompts=np.array([prompts[known.prompt(one)] for one, _ in shown]),
    )
    names = [known.writers[i] for i in met]
    fitted = Strengths(answers, len(met), level=level)
    table, groups = _preferred(shown, answers, len(raters))
    agreed = agreement(table, "nominal", confidence=level, groups=groups, seed=seed)
    both = np.concatenate([answers.first, answers.second])
    facts = {
        "alpha": _alpha(agreed, "nominal"),
        "writers": _writers(both, names, fitted.of),
        "differences": _differences(both, names, fitted.difference),
        "wins": dict(
            zip(names, map(_told, win_shares(answers, len(names), level=level)), strict=True)
        ),
        "preferred": _preferences(answers, names, level),
        "ties": float(answers.outcomes[:, 2].mean()),
        "first": _told(fitted.advantage()),
    }
    won = np.concatenate(
        [answers.outcomes[:, i] + answers.outcomes[:, 2] / 2 for i in (0, 1)],
    )
    ids = [pair[i] for i in (0, 1) for pair in shown]
    texts = list(dict.fromkeys(ids))
    place = _places(texts)
    column = _means(texts, np.array([place[one] for one in ids]), won)
    notes = [f"alpha isn't defined: {agreed.why}"] if agreed.why else []
    return _Found(facts, column, notes)


def _places(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _matrix(scores: Scores, raters: int, texts: int) -> np.ndarray:
    """Float64 [R, T]; of a text that a rater judged several times, the last."""
    table = np.full((raters, texts), np.nan)
    table[scores.raters, scores.texts] = scores.values
    return table


def _preferred(
    shown: Sequence[tuple[str, str]], answers: Answers, raters: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which of two texts each rater preferred, float64 [R, pairs], and the pairs' prompts.

    Whichever is shown first, the answer is about the same text: -1 the one whose id comes first,
    1 the other, 0 neither.
    """
    both = [(min(pair), max(pair)) for pair in shown]
    units = {pair: i for i, pair in enumerate(dict.fromkeys(both))}
    unit = np.array([units[pair] for pair in both])
    lean = answers.outcomes[:, 1] - answers.outcomes[:, 0]
    turned = np.array([pair[0] != low for pair, (low, _) in zip(shown, both, strict=True)])
    table = np.full((raters, len(units)), np.nan)
    table[answers.raters, unit] = np.sign(np.where(turned, -lean, lean))
    groups = np.zeros(len(units), np.int64)
    groups[unit] = answers.prompts
    return table, groups


def _means(texts: Sequence[str], place: np.ndarray, values: np.ndarray) -> dict[str, float | None]:
    sums = np.bincount(place, weights=values, minlength=len(texts))
    counts = np.bincount(place, minlength=len(texts))
    return {text: float(s / c) for text, s, c in zip(texts, sums, counts, strict=True)}


def _whole(column: Mapping[str, float | None], samples: Samples) -> dict[str, float | None]:
    """The column with None for every writing that nobody rated."""
    return {writing.id: column.get(writing.id) for writing in samples.writings}


def _wins(columns: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """Of the preference as a whole where it was asked for, else the mean over the criteria."""
    used = [columns[PREFERENCE]] if PREFERENCE in columns else list(columns.values())
    found: dict[str, float | None] = {}
    for writing in used[0]:
        values = [value for column in used if (value := column[writing]) is not None]
        found[writing] = statistics.fmean(values) if values else None
    return found


def _writers(
    seen: np.ndarray, names: Sequence[str], of: Callable[[int], Estimate]
) -> dict[str, Any]:
    counts = Counter(seen.tolist())
    return {
        name: _told(of(i)) | {"ratings": counts[i]} if counts[i] else _told(None)
        for i, name in enumerate(names)
    }


def _differences(
    seen: np.ndarray, names: Sequence[str], between: Callable[[int, int], Estimate]
) -> list[dict[str, Any]]:
    """Each writer against each later one."""
    there = set(seen.tolist())
    return [
        {"writer": names[i], "other": names[j]} | _told(between(i, j))
        for i in range(len(names))
        for j in range(i + 1, len(names))
        if {i, j} <= there
    ]


def _preferences(answers: Answers, names: Sequence[str], level: float) -> list[dict[str, Any]]:
    told = [
        {"writer": names[i], "other": names[j]} | _told(win_share(answers, i, j, level=level))
        for i in range(len(names))
        for j in range(i + 1, len(names))
    ]
    return [row for row in told if row["value"] is not None]


def _rater(quality: Quality, number: int) -> dict[str, Any]:
    rater = quality.rater(number)
    return {
        "ratings": rater.ratings,
        "leniency": _told(rater.leniency),
        "spread": _number(rater.spread),
        "consistency": _number(rater.consistency),
    }


def _alpha(found: Agreement, level: str) -> dict[str, Any]:
    return {
        "value": _number(found.alpha),
        "low": _number(found.low),
        "high": _number(found.high),
        "level": level,
        "units": found.units,
        "raters": found.raters,
        "pairable": found.pairable,
        "why": found.why,
    }


def _told(found: Estimate | None) -> dict[str, float | None]:
    if found is None:
        return {"value": None, "low": None, "high": None}
    return {
        "value": _number(found.value),
        "low": _number(found.low),
        "high": _number(found.high),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
