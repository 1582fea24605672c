"""Models measured on the same items, compared pair by pair: the facts that `gradus compare` shows.

Plain JSON comes out, so that the terminal, the page and scripts read the same. What can't be
compared is among the facts too, with the reason; where nothing can, that is an error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Final

from gradus import benchmarks
from gradus.errors import ContractError, UsageError, unknown
from gradus.gates.sides import align, check_contract
from gradus.measure import quality
from gradus.metrics import lookup
from gradus.metrics.base import Metric
from gradus.metrics.repeated import Seen, one_of
from gradus.metrics.score import NONE, Scores
from gradus.records import Measurement
from gradus.stats import compare as paired
from gradus.stats.compare_items import UNITS, disagreements
from gradus.stats.power import POWER

LONGEST: Final = 2000
"""Characters of a text among the facts; the rest is in the item file."""


@dataclass(frozen=True, slots=True)
class Contender:
    """A model and what it said of the items of one place.

    Attributes:
        name: what the comparison calls it.
        seen: its items.
        texts: the items' texts, in their order.
        common: what its measurements are recorded with: data, split, benchmark, checkpoint,
            contract, items. None where nothing but the items is known.
        x: where it stands on a scaling axis.
    """

    name: str
    seen: Seen
    texts: Sequence[str]
    common: Mapping[str, Any] | None = None
    x: float | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """How a comparison is made.

    Attributes:
        metrics: what is compared; what the benchmark compares where empty.
        against: only pairs with this model; every pair when None.
        level: of intervals and tests.
        draws: of the bootstraps.
        seed: of the bootstraps.
        most: so many disagreements of each pair.
        scores: metrics beside the catalog's.
    """

    metrics: tuple[str, ...] = ()
    against: str | None = None
    level: float = 0.95
    draws: int = 2000
    seed: int = 0
    most: int = 5
    scores: Scores = field(default=NONE)


def compared(on: str, contenders: Sequence[Contender], settings: Settings) -> dict[str, Any]:
    """Everything that two or more models' items of one place say of their differences.

    Returns:
        ``on``, ``benchmark``, ``models``, ``measurements`` (records), ``pairs`` (one a pair and
        metric), ``refused`` (what isn't compared, and why), ``disagreements`` (one list a pair)
        and ``notes``.

    Raises:
        ContractError: no pair can be compared by any metric.
        UsageError: fewer than two models, two of the same name, or an unknown metric or `against`.
    """
    chosen = pairs_of([c.name for c in contenders], settings.against)
    names = settings.metrics or defaults(contenders[0], settings.scores)
    refused: list[dict[str, Any]] = []
    sides: dict[tuple[int, int], paired.Pairing] = {}
    for i, j in chosen:
        first, second = contenders[i], contenders[j]
        try:
            one, two = _aligned(first, second)
            sides[i, j] = paired.Pairing(first.name, second.name, one, two)
        except ContractError as error:
            refused.append(_refusal(first, second, None, str(error)))
    taken: list[Measurement] = []
    rows: list[dict[str, Any]] = []
    for name in names:
        measured = [_measured(name, contender, settings) for contender in contenders]
        if not settings.metrics and all(m.value is None for m in measured):
            continue  # one of the benchmark's metrics that these items have nothing for
        taken += measured
        found, not_found = _differences(name, contenders, measured, sides, settings)
        rows += found
        refused += not_found
    if not rows:
        raise ContractError(
            f"{on}: nothing can be compared: " + "; ".join(dict.fromkeys(r["why"] for r in refused))
        )
    return {
        "on": on,
        "benchmark": taken[0].benchmark,
        "models": [contender.name for contender in contenders],
        "measurements": [m.to_json() for m in taken],
        "pairs": rows,
        "refused": refused,
        "disagreements": [
            _disagreements(pairing, contenders[i], settings.most)
            for (i, _), pairing in sides.items()
        ],
        "notes": _notes(contenders, sides.values()),
    }


def pairs_of(names: Sequence[str], against: str | None) -> list[tuple[int, int]]:
    """The pairs to compare, by position; with `against` each other model less that one.

    >>> pairs_of(["a", "b", "c"], None), pairs_of(["a", "b", "c"], "b")
    ([(0, 1), (0, 2), (1, 2)], [(0, 1), (2, 1)])

    Raises:
        UsageError: fewer than two names, one of them twice, or `against` isn't among them.
    """
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise UsageError(
            f"two models are called {twice[0]}: name them apart, as in first={twice[0]}"
        )
    if len(names) < 2:
        raise UsageError("a comparison needs two models or more")
    if against is None:
        return list(combinations(range(len(names)), 2))
    if against not in names:
        raise UsageError(unknown("model to compare against", against, names))
    base = list(names).index(against)
    return [(i, base) for i in range(len(names)) if i != base]


def defaults(contender: Contender, scores: Scores) -> tuple[str, ...]:
    """The metrics that the contender's benchmark compares, and scores of the plan's own."""
    items = one_of(contender.seen)
    named = str((contender.common or {}).get("benchmark", ""))
    listed = benchmarks.compared(named) or benchmarks.of(items.target).compared
    fitting = [
        text
        for name in listed
        if scores.kind(name).asked_of(items)
        for text in _asked(scores.kind(name), name, items.labels)
    ]
    return (*fitting, *scores.on(items.target, items.labels))


def _asked(kind: type[Metric], name: str, labels: Sequence[str]) -> list[str]:
    """A metric of all items, or of each label where it is asked of nothing else."""
    single = kind.per_label and not kind.overall
    return [f"{name}[{label}]" for label in labels] if single else [name]


def _metric(name: str, contender: Contender, scores: Scores) -> Metric:
    """The metric of that name on these items.

    Raises:
        UsageError: it is none that is computed from such items.
        UnknownName: there is no such metric or label.
    """
    items = one_of(contender.seen)
    made = scores.get(name, items.labels)
    plain, _ = lookup(name)
    known = benchmarks.of(items.target).metrics
    fits = plain in known or plain in scores.on(items.target, items.labels)
    if not fits or not made.asked_of(items):
        raise UsageError(
            f"{name} isn't measured on {items.target} items: choose from {', '.join(known)}"
        )
    return made


def _measured(name: str, contender: Contender, settings: Settings) -> Measurement:
    metric = _metric(name, contender, settings.scores)
    benchmark = benchmarks.of(one_of(contender.seen).target).name
    common = {"benchmark": benchmark, "checkpoint": contender.name, **(contender.common or {})}
    return quality.measured(
        metric,
        name,
        contender.seen,
        common=common,
        level=settings.level,
        draws=settings.draws,
        seed=settings.seed,
    )


def _aligned(first: Contender, second: Contender) -> tuple[Seen, Seen]:
    one, two = align(first.seen, second.seen)
    if not len(one):
        raise ContractError(f"{first.name} and {second.name} share none of their items")
    return one, two


def _differences(
    name: str,
    contenders: Sequence[Contender],
    measured: Sequence[Measurement],
    sides: Mapping[tuple[int, int], paired.Pairing],
    settings: Settings,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of one metric, a family of their own, and what is refused."""
    metric = _metric(name, contenders[0], settings.scores)
    refused, notes = [], {}
    for i, j in sides:
        first, second = contenders[i], contenders[j]
        try:
            known = first.common is not None and second.common is not None
            both = (measured[i], measured[j])
            notes[i, j] = check_contract(*both, bound=metric.bound) if known else ""
        except ContractError as error:
            refused.append(_refusal(first, second, name, str(error)))
    found = paired.compare(
        metric,
        [sides[pair] for pair in notes],
        level=settings.level,
        draws=settings.draws,
        seed=settings.seed,
    )
    rows = []
    for (i, j), difference in zip(notes, found, strict=True):
        if difference is None:
            why = f"{name} isn't defined for both on the items that they share"
            refused.append(_refusal(contenders[i], contenders[j], name, why))
        else:
            rows.append(_row(name, metric, difference, notes[i, j]))
    return rows, refused


def _row(name: str, metric: Metric, found: paired.Difference, note: str) -> dict[str, Any]:
    better = None
    if found.significant:
        better = found.first if (found.difference > 0) == (metric.direction == "higher") else None
        better = better or found.second
    return {
        "metric": name,
        "unit": metric.unit,
        "direction": metric.direction,
        "first": found.first,
        "second": found.second,
        "n": found.n,
        "first_value": found.first_value,
        "second_value": found.second_value,
        "difference": found.difference,
        "ci_low": found.low if math.isfinite(found.low) else None,
        "ci_high": found.high if math.isfinite(found.high) else None,
        "ci_method": found.method,
        "test": found.test,
        "p_value": found.p_value,
        "p_holm": found.p_holm,
        "only_first": found.only_first,
        "only_second": found.only_second,
        "significant": found.significant,
        "better": better,
        "detectable": found.detectable,
        "power": POWER,
        "n_needed": found.n_needed,
        "note": note.removeprefix("; "),
    }


def _refusal(first: Contender, second: Contender, name: str | None, why: str) -> dict[str, Any]:
    return {"first": first.name, "second": second.name, "metric": name, "why": why}


def _disagreements(pairing: paired.Pairing, first: Contender, most: int) -> dict[str, Any]:
    """The items on which a pair disagrees most, the largest difference first."""
    one, two = one_of(pairing.one), one_of(pairing.two)
    texts = dict(zip(first.seen.ids, first.texts, strict=True))
    rows = []
    for row, gap in disagreements(one, two, most):
        truth, first_says, first_p = one.described(row)
        _, second_says, second_p = two.described(row)
        text = str(texts[one.ids[row]])
        rows.append(
            {
                "id": one.ids[row],
                "text": text[:LONGEST],
                "left_out": max(0, len(text) - LONGEST),
                "truth": truth,
                "first": first_says,
                "second": second_says,
                "first_probability": first_p,
                "second_probability": second_p,
                "difference": gap,
            }
        )
    return {
        "first": pairing.first,
        "second": pairing.second,
        "unit": UNITS[one.target],
        "n": len(one),
        "items": rows,
    }


def _notes(contenders: Sequence[Contender], pairings: Any) -> list[str]:
    notes = [
        f"{c.name}: only its items are known, not how they were measured, so that its contract "
        "isn't checked"
        for c in contenders
        if c.common is None
    ]
    sizes = {c.name: len(c.seen) for c in contenders}
    for pairing in pairings:
        ours, theirs = sizes[pairing.first], sizes[pairing.second]
        # Of texts to the same prompts one side may have more than the other.
        if len(pairing.one) < ours or len(pairing.two) < theirs:
            notes.append(
                f"{pairing.first} and {pairing.second} share {len(pairing.one):,} of {ours:,} and "
                f"{theirs:,} items"
            )
    return notes
