"""From a gate and the measurements of one or two checkpoints to a verdict.

Alpha. Every test is one-sided at alpha = 1 - `level`. Its bound is one-sided at the level: a gate
that asks for more is open when the lower bound clears the threshold, closed when the upper bound
fails it, undecided in between. `ci_low` and `ci_high` of a verdict are those two bounds, that is
the two-sided interval at 2 `level` - 1 = 0.90; the intervals of measurements are two-sided at
`level` and so a little longer. For the cheapest case, a gain without a margin between proportions,
the exact McNemar test decides and the bounds are shown beside it.

Against a constant, and for amounts (size, memory) always, the numbers are compared as they stand.

Without a margin, ``accuracy >= tuned`` is non-inferiority at margin 0: it opens only where a loss
of any size is ruled out, which takes the same evidence as a gain. Two equally good checkpoints stay
undecided however many items there are; write the loss that doesn't matter as a margin.

`n_needed` is the number of items (of rounds, for timings) at which the gate would decide with power
0.8, were the observed rates the true ones.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gradus.gates.costs import amounts, timings
from gradus.gates.deciding import (
    MISSING,
    decide,
    items_for_bounds,
    needed_text,
    nothing_shared,
    with_seeds,
)
from gradus.gates.grammar import GateSpec
from gradus.gates.sequence import without_claim
from gradus.gates.sides import Side, align, check_contract, defined
from gradus.gates.wording import bounds_text, number, p_text, signed
from gradus.metrics.score import NONE, Scores
from gradus.records import Answer, Measurement, Verdict

if TYPE_CHECKING:
    from gradus.metrics.base import Items, Metric
    from gradus.metrics.repeated import Seen
    from gradus.stats.paired import Comparison


def judge(
    gate: GateSpec,
    own: Side,
    other: Side | None,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    claims: bool = True,
    scores: Scores = NONE,
) -> Verdict:
    """The verdict on a gate.

    Args:
        gate: see `gradus.gates.parse`.
        own: the checkpoint that the gate stands behind.
        other: what `gate.reference` names; None for constants.
        level: of the one-sided bounds; alpha is 1 - level.
        draws: of the bootstraps.
        seed: of the bootstraps.
        claims: False once an earlier test of the plan has failed, see `gradus.gates.Sequence`.
        scores: the plan's own.

    Raises:
        ContractError: the two sides were measured in ways that can't be compared.
    """
    mine = own.measurement(gate)
    if mine is None or not defined(mine):
        verdict = _missing(gate, own.name, mine)
    elif gate.constant is not None:
        settings = {"level": level, "draws": draws, "seed": seed}
        verdict = _surely(gate, own, mine, scores, settings) if gate.surely else _point(gate, mine)
    else:
        theirs = other.measurement(gate.theirs) if other is not None else None
        if other is None or theirs is None or not defined(theirs):
            verdict = _missing(gate.theirs, other.name if other else str(gate.reference), theirs)
        else:
            settings = {"level": level, "draws": draws, "seed": seed}
            verdict = _between(gate, own, other, (mine, theirs), scores, settings)
    return verdict if claims else without_claim(verdict)


def _missing(gate: GateSpec, name: str, measurement: Measurement | None) -> Verdict:
    what = "isn't defined" if measurement is not None else "wasn't measured"
    if measurement is not None and measurement.value is not None:
        what = f"is {measurement.value}"
    where = f" on {gate.prefix}" if gate.prefix else ""
    why = f"{gate.measured} of {name}{where} {what}: a gate without its number is closed"
    return Verdict(gate=gate.text, verdict=Answer.CLOSED, why=why, test=MISSING)


def _point(gate: GateSpec, measurement: Measurement) -> Verdict:
    assert gate.constant is not None
    assert measurement.value is not None
    met = gate.holds(measurement.value, gate.constant)
    unit = "" if measurement.unit == "proportion" else f" {measurement.unit}"
    counted = f" on {measurement.n:,} items" if measurement.n > 1 else ""
    return Verdict(
        gate=gate.text,
        verdict=Answer.OPEN if met else Answer.CLOSED,
        why=f"{number(measurement.value)}{unit}{counted} "
        f"{'is' if met else 'is not'} {gate.op} {number(gate.constant)}",
        value=measurement.value,
        reference=gate.constant,
        difference=measurement.value - gate.constant,
        ci_low=measurement.ci_low,
        ci_high=measurement.ci_high,
        n=measurement.n,
    )


def _surely(
    gate: GateSpec, own: Side, m: Measurement, scores: Scores, settings: dict[str, Any]
) -> Verdict:
    from gradus.metrics.repeated import Repeated
    from gradus.stats import seeds
    from gradus.stats.intervals import interval, one_sided

    assert gate.constant is not None
    assert m.value is not None
    kind = scores.kind(gate.metric)
    if kind.interval == "none":
        return _point(gate, m)
    level = settings["level"]
    cost = kind.needs in ("latency", "throughput", "memory", "size")
    seen = own.observed if cost else own.predictions
    if seen is None:
        return nothing_shared(
            gate, f"the items of {gate.measured} of {own.name} were not kept, so it has no bound"
        )
    labels = () if own.predictions is None else own.predictions.labels
    metric = scores.get(gate.asked, labels)
    asked = {**settings, "level": one_sided(level)}
    if isinstance(seen, Repeated):
        found = seeds.interval(metric, seen, **asked)
    else:
        found = interval(metric, seen, exact=True, **asked)
    answer = decide(gate, found.low, found.high, gate.constant)
    n_needed = None
    if answer is Answer.UNDECIDED:
        n_needed = _items_for_constant(metric, own, m, gate.constant, found.low, found.high, level)
    bounds = bounds_text(gate, answer, found.low, found.high, level, sign=False)
    low, high = found.ends()
    return Verdict(
        gate=gate.text,
        verdict=answer,
        why=f"{number(m.value)} on {m.n:,} {'rounds' if cost else 'items'}"
        f"{'' if cost else with_seeds(own.predictions)}, {bounds} "
        f"({found.method}); asked for {gate.op} {number(gate.constant)}"
        f"{needed_text(answer, n_needed, 'rounds' if cost else 'items')}",
        test=found.method,
        value=m.value,
        reference=gate.constant,
        difference=m.value - gate.constant,
        ci_low=low,
        ci_high=high,
        n=m.n,
        n_needed=n_needed,
    )


def _items_for_constant(
    metric: Metric,
    own: Side,
    m: Measurement,
    constant: float,
    low: float,
    high: float,
    level: float,
) -> int | None:
    from gradus.metrics.repeated import Repeated
    from gradus.stats import power

    assert m.value is not None
    if isinstance(own.predictions, Repeated):
        return None  # more items alone may never decide: the seeds differ as well
    shares = metric.successes(own.predictions) if own.predictions is not None else None
    if metric.interval == "wilson" and shares is not None and metric.of_share(0.5) == 0.5:
        if not 0 < constant < 1:
            return None
        of_subset = power.for_proportion(float(shares.mean()), constant, level=level)
        if of_subset is None or own.predictions is None:
            return None
        # The proportion may be over a subset; what is asked for are items of the whole.
        return max(math.ceil(of_subset * len(own.predictions) / len(shares)), m.n + 1)
    return items_for_bounds(m.value, low, high, constant, m.n, level)


def _between(
    gate: GateSpec,
    own: Side,
    other: Side,
    pair: tuple[Measurement, Measurement],
    scores: Scores,
    settings: dict[str, Any],
) -> Verdict:
    kind = scores.kind(gate.metric)
    note = check_contract(*pair, kind.bound)
    if kind.interval == "none":
        return amounts(gate, pair, note)
    if kind.needs in ("latency", "throughput"):
        return timings(gate, own, other, note, scores.get(gate.asked), settings)
    return _items(gate, own, other, note, scores, settings)


def _items(
    gate: GateSpec, own: Side, other: Side, note: str, scores: Scores, settings: dict[str, Any]
) -> Verdict:
    from gradus.metrics.repeated import value as mean

    if own.predictions is None or other.predictions is None:
        lacking = own.name if own.predictions is None else other.name
        return nothing_shared(gate, f"the items of {lacking} were not kept, nothing to compare")
    first, second = align(own.predictions, other.predictions)
    if not len(first):
        return nothing_shared(
            gate, f"{own.name} and {other.name} share none of their items, nothing to compare"
        )
    metric = scores.get(gate.asked, first.labels)
    if gate.against is not None:
        from gradus.metrics.repeated import viewed

        first = viewed(first, metric)
        second = viewed(second, scores.get(gate.theirs.asked, first.labels))
    value, reference = mean(metric, first), mean(metric, second)
    if not (math.isfinite(value) and math.isfinite(reference)):
        lacking = own.name if not math.isfinite(value) else other.name
        return nothing_shared(
            gate, f"{gate.measured} of {lacking} isn't defined on the {len(first):,} shared items"
        )
    answer, found, p_value, n_needed = _test_items(gate, metric, first, second, settings)
    ours, theirs = len(own.predictions), len(other.predictions)
    shared = "" if len(first) == ours == theirs else f" (of {ours:,} and {theirs:,})"
    test = found.method if p_value is None else "exact McNemar"
    less = "" if gate.factor is None else f" {number(gate.factor)} times"
    bounds = bounds_text(gate, answer, found.low, found.high, settings["level"], sign=True)
    if found.low == found.high:
        bounds = "the same on every item"
    asked = "" if gate.margin == 0 else f"; asked for {gate.op} {signed(gate.margin)}"
    return Verdict(
        gate=gate.text,
        verdict=answer,
        why=f"{number(value)} against{less} {number(reference)} on {len(first):,} shared items"
        f"{shared}{with_seeds(first, second)}: {signed(found.value)}, {bounds} "
        f"({test}{'' if p_value is None else ' ' + p_text(p_value)}){asked}"
        f"{needed_text(answer, n_needed, 'items')}{note}",
        test=test,
        value=value,
        reference=reference,
        difference=found.value,
        ci_low=found.low if math.isfinite(found.low) else None,
        ci_high=found.high if math.isfinite(found.high) else None,
        p_value=p_value,
        n=len(first),
        n_needed=n_needed,
    )


def _test_items(
    gate: GateSpec,
    metric: Metric,
    first: Seen,
    second: Seen,
    settings: dict[str, Any],
) -> tuple[Answer, Comparison, float | None, int | None]:
    """Answer, difference with bounds, p-value where a test gives one, items needed."""
    from gradus.metrics.repeated import Repeated, one_of
    from gradus.stats import seeds

    if isinstance(first, Repeated) or isinstance(second, Repeated):
        found = seeds.difference(metric, first, second, factor=gate.factor or 1.0, **settings)
        return decide(gate, found.low, found.high, gate.margin), found, None, None
    return _test_two(gate, metric, one_of(first), one_of(second), settings)


def _test_two(
    gate: GateSpec,
    metric: Metric,
    first: Items,
    second: Items,
    settings: dict[str, Any],
) -> tuple[Answer, Comparison, float | None, int | None]:
    """As `_test_items`, for one checkpoint on either side."""
    from gradus.stats import paired, power

    level = settings["level"]
    one, two = metric.successes(first), metric.successes(second)
    as_shares = metric.interval == "wilson" and metric.paired and gate.factor is None
    if not as_shares or one is None or two is None:
        found = paired.bootstrap(metric, first, second, factor=gate.factor or 1.0, **settings)
        answer = decide(gate, found.low, found.high, gate.margin)
        n_needed = None
        if answer is Answer.UNDECIDED:
            n_needed = items_for_bounds(
                found.value, found.low, found.high, gate.margin, len(first), level
            )
        return answer, found, None, n_needed
    found = paired.proportions(one, two, level)
    b, c = int((one & ~two).sum()), int((~one & two).sum())
    shares, scale = (b / len(one), c / len(one)), len(first) / len(one)
    if gate.margin == 0 and gate.op in (">", "<"):
        gain, loss = (b, c) if gate.upward else (c, b)
        p_value = paired.mcnemar(gain, loss)
        worse = paired.mcnemar(loss, gain)
        alpha = 1 - level
        answer = Answer.OPEN if p_value <= alpha else Answer.UNDECIDED
        if worse <= alpha:
            answer = Answer.CLOSED
        needed = power.for_mcnemar(*shares, level=level)
    else:
        p_value = None
        answer = decide(gate, found.low, found.high, gate.margin)
        needed = power.for_paired(*shares, gate.margin, level=level)
    if answer is not Answer.UNDECIDED or needed is None:
        return answer, found, p_value, None
    return answer, found, p_value, max(math.ceil(needed * scale), len(first) + 1)
