"""Whether a judge agrees with a panel of people well enough for a gate to rest on it.

Asked of each measurement by itself: a judge may know fluency and not accuracy.

- Of scores: Spearman's rank correlation over writings between the judge's score and the panel's.
  It says that the judge tells better texts from worse ones as people do, not that its points are
  people's points.
- Of pairs: the share of pairs in which both prefer the same text, of those in which each prefers
  one. By chance it is one half.

Trust is met where the lower end of the two-sided interval reaches the plan's bound; what is drawn
are prompts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradus.errors import DataError
from gradus.judge.outcome import LEVEL, preferred_of, share_interval
from gradus.panel.records import Rating
from gradus.writing.records import Samples

_SAME: Final = "give both steps the same mode"

Columns = Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a judge and a panel agree about one measurement.

    Attributes:
        metric: the judge's, as ``judge_fluency``.
        measure: how agreement is measured, in words.
        value: None where there is too little in common.
        low, high: its two-sided interval; None where nothing bounds it.
        n: how many writings (pairs) both judged.
    """

    metric: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    n: int

    def facts(self, panel: str, bound: float) -> dict[str, Any]:
        """For the report."""
        return {
            "panel": panel,
            "measure": self.measure,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "bound": bound,
            "met": self.met(bound),
        }

    def met(self, bound: float) -> bool:
        """Whether the lower end reaches the bound."""
        return self.low is not None and self.low >= bound

    def lacking(self, panel: str, bound: float) -> str:
        """Why no gate may rest on the judge, in a sentence's end."""
        if self.value is None:
            return (
                f"its agreement with the panel '{panel}' isn't known ({self.n} in common), and "
                f"{bound:g} is asked for"
            )
        least = "unknown" if self.low is None else f"{self.low:.2f}"
        return (
            f"its agreement with the panel '{panel}' is {self.value:.2f}, at least {least} "
            f"({self.measure}, {self.n} in common), and {bound:g} is asked for"
        )


def of_scores(judged: Columns, rated: Columns, samples: Samples) -> list[Agreement]:
    """Agreement of each of the judge's columns with the panel's of the same criterion.

    Raises:
        DataError: the panel rated none of the writings, or in pairs.
    """
    if "panel_wins" in rated:
        raise DataError("the panel compared writings and the judge scores them: " + _SAME)
    known = {one.id for one in samples.writings}
    _in_common(known, (one for values in rated.values() for one in values))
    return [_of_column(name, judged[name], rated, samples) for name in judged]


def _of_column(
    name: str, judged: Mapping[str, float | None], rated: Columns, samples: Samples
) -> Agreement:
    import numpy as np

    from gradus import registry
    from gradus.metrics.writings import Writings
    from gradus.writing.agreement import correlations

    measure = "Spearman's rank correlation over writings"
    theirs = name.replace("judge_", "panel_", 1)
    if theirs not in rated:
        return Agreement(name, measure, None, None, None, 0)
    writers = {}
    for writer in samples.writers:
        of = samples.of(writer)
        columns = {
            column: np.array(
                [np.nan if (v := values.get(one.id)) is None else v for one in of], np.float64
            )
            for column, values in ((name, judged), (theirs, rated[theirs]))
        }
        writers[writer] = Writings(
            tuple(one.prompt for one in of),
            tuple(one.text for one in of),
            tuple(one.source for one in of),
            tuple(one.item for one in of),
            columns,
        )
    metrics = [registry.load("metrics", one)() for one in (name, theirs)]
    found = correlations(writers, metrics[:1], metrics[1:], level=LEVEL)
    (one,) = (f for f in found if (f.over, f.method) == ("writings", "spearman"))
    return Agreement(name, measure, one.value, one.ci_low, one.ci_high, one.n)


def of_pairs(judged: Sequence[Rating], rated: Sequence[Rating], samples: Samples) -> Agreement:
    """Agreement about which of two writings is better, each side by the majority of its answers.

    Raises:
        DataError: the panel rated none of the writings, or one by one.
    """
    if rated and all(row.pair is None for row in rated):
        raise DataError("the panel scored writings and the judge compares them: " + _SAME)
    prompts = {one.id: one.prompt_id for one in samples.writings}
    rated = [row for row in rated if row.pair is not None and not row.check]
    _in_common(set(prompts), (one for row in rated for one in row.pair or ()))
    mine, theirs = _majorities(judged), _majorities(rated)
    both = [pair for pair in mine if theirs.get(pair) and mine[pair]]
    measure = "share of pairs in which both prefer the same text"
    if not both:
        return Agreement("judge_wins", measure, None, None, None, 0)
    same = [float(mine[pair] == theirs[pair]) for pair in both]
    told = share_interval(same, [prompts[min(pair)] for pair in both], LEVEL)
    return Agreement("judge_wins", measure, told["value"], told["low"], told["high"], len(both))


def _majorities(rows: Iterable[Rating]) -> dict[frozenset[str], str]:
    """By pair of ids, the one that more answers prefer; empty where as many prefer either."""
    votes: dict[frozenset[str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        if row.pair is not None:
            votes[frozenset(row.pair)][preferred_of(row.pair, row.value)] += 1
    found = {}
    for pair, counts in votes.items():
        one, two = sorted(pair)
        first, second = counts[one], counts[two]
        found[pair] = "" if first == second else one if first > second else two
    return found


def _in_common(known: set[str], rated: Iterable[str]) -> None:
    if known.isdisjoint(rated):
        raise DataError(
            "the panel rated none of the writings that the judge judged: let both be of the same "
            "step 'sample'"
        )


def withheld(
    metrics: Iterable[str],
    agreements: Sequence[Agreement],
    panel: str | None,
    bound: float,
) -> dict[str, str]:
    """By metric, why no gate may rest on it; without those on which one may."""
    if panel is None:
        why = "nothing says that the judge agrees with people: the step has no 'trust'"
        return dict.fromkeys(metrics, why)
    by_metric = {one.metric: one for one in agreements}
    return {
        metric: by_metric[metric].lacking(panel, bound)
        if metric in by_metric
        else f"the panel '{panel}' wasn't asked about it"
        for metric in metrics
        if metric not in by_metric or not by_metric[metric].met(bound)
    }
